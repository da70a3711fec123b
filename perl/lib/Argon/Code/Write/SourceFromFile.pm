package Argon::Code::Write::SourceFromFile;

# The text of a sub as its author wrote it, found in its file: for what the op tree cannot give back. Where a sub begins and
# ends is only guessed. A guess is compiled, never run. What is taken must be exactly one sub, and must compile, in the
# place where it will stand, to the same operations as the sub itself, so a wrong guess, or a file that was changed
# meanwhile, only costs a guess.

use strict;
use warnings;

use B ();
use Argon::Code::Write::Frame ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Analyse::Fingerprint ();

use constant {
    TRIES_MAX  => 300,
    ENDS_MAX   => 60,          # for one beginning
    LINES_BACK => 100,         # between the word "sub" and the first statement
    FILE_BYTES => 4_194_304,
};

# Matches what compiling the text would define for good. (What it would run is found by perl's own parser, see
# Argon::Code::Write::Frame.) Words in strings match, too, which only costs a candidate.
my $GAP = qr/(?:\s|#[^\n]*\n)+/;
my $DEFINES = qr/
    \b(?:my|state)$GAP\bsub$GAP (*SKIP)(*FAIL)
    | \bsub$GAP (?:[^\W\d]|'|::) | \bpackage$GAP[^\W\d] | \b(?:class|role)$GAP[^\W\d][\w:]*(?:\s+v?[\d._]+|\s*:[^;{]*)?\s*[;{] | ^\s*format\b[\s\w:']*=[ \t]*$
    | \b(?:UNITCHECK|CHECK|INIT|END|ADJUST)(?:\s|\#[^\n]*\n)*\{ | ^__(?:END|DATA)__ | ^=[^\W\d]
/mx;

# Gives the unit its own text; true when there is one that does the same. $kinds: those of the captured values.
sub give {
    my ($shipment, $unit, @opening) = @_;
    pop @opening if @opening && $opening[-1] =~ /\A#line /;
    for my $candidate (_candidates($unit->{cv})) {
        my ($line, $text) = @{$candidate};
        my @own = (@opening, _declarations($unit, $text), '#line ' . $line . ' "' . _start($unit->{cv})->file . '"');
        my $sub = _compiled($shipment, join("\n", @own) . "\n", $text, $unit->{closing}) or next;
        next if Argon::Code::Analyse::Fingerprint::difference($unit->{cv}, B::svref_2object($sub));
        _reach_words($shipment, $unit, $text) or next;
        @{$unit}{qw(text opening constants)} = ("sub $text", join("\n", @own), undef);
        return 1;
    }
    return 0;
}

# True if the unit compiles as it is: finds the one of a shipment that does not.
sub compiles {
    my ($shipment, $unit) = @_;
    return 1 if !defined $unit->{text} || $unit->{text} !~ m{\Asub };
    local $@;
    return Argon::Code::Write::Frame::compiles($shipment->{slots}->kinds, $unit->{opening} . "\n", $unit->{closing}, $unit->{text});
}

sub _compiled {
    my ($shipment, $opening, $text, $closing) = @_;
    local $@;
    return Argon::Code::Write::Frame::only_sub($shipment->{slots}->kinds, $opening, $closing, "sub $text");
}

sub _start { return Argon::Code::Analyse::Optree::first_statement($_[0]) }

# [line, text from behind the word "sub" and the name on], the likeliest first.
sub _candidates {
    my ($cv) = @_;
    my $start = ${ $cv->ROOT } ? _start($cv) : undef;
    my $source = $start ? _source($start) : undef;
    return if !defined $source;
    my $last = $start->line;
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op) = @_;
        $last = $op->line if $op->isa('B::COP') && $op->file eq $start->file && $op->line > $last;
    });
    my $name = (Argon::Code::Analyse::Origin::full_name($cv))[1];
    my @line = (0, 0);    # where each begins
    push @line, $+[0] while $source =~ /\n/g;
    push @line, length $source;
    return if $last + 1 > $#line;
    my $first = $start->line > LINES_BACK ? $start->line - LINES_BACK : 1;
    my @begins;
    pos($source) = $line[$first];
    while ($source =~ /\bsub\b\s*(?:([A-Za-z_][\w:']*)\s*)?(?=[\{\(:])/g && $-[0] < $line[ $start->line + 1 ]) {
        my $written = $1;
        next if defined $written && (!defined $name || $name ne ($written =~ s/.*(?:::|')//sr));
        unshift @begins, [$-[0], $+[0]];
    }
    my @found;
    for my $begin (@begins) {
        my ($at, $text_at) = @{$begin};
        my $number = 1 + (substr($source, 0, $text_at) =~ tr/\n//);
        my $after = $text_at > $line[$last] ? $text_at : $line[$last];
        my @ends  = _ends($source, $after, length $source, ENDS_MAX);
        # The last statement may stand in a here-document, which begins on the line of the end.
        my $inside = substr $source, $text_at, $after - $text_at;
        while ($inside =~ /^.*<<[~"'A-Za-z_].*$/mg) { push @ends, _ends($source, $text_at + $-[0], $text_at + $+[0], ENDS_MAX) }
        for my $end (@ends) {
            my $text = substr $source, $text_at, $end - $text_at;
            next if $text =~ $DEFINES || @found >= TRIES_MAX;
            push @found, [$number, $text . _here_documents($text, $source, $end)];
        }
    }
    return @found;
}

sub _ends {
    my ($source, $from, $to, $max) = @_;
    my @ends;
    pos($source) = $from;
    while (@ends < $max && $source =~ /\}/g && pos $source <= $to) { push @ends, pos $source }
    return @ends;
}

# The lines below, if here-documents begin on the last line of the text: they belong to it, though it ends before them.
sub _here_documents {
    my ($text, $source, $at) = @_;
    my @ends = (substr $text, 1 + rindex $text, "\n") =~ /<<(~?(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z_]\w*))/g or return q{};
    my $begins = 1 + index $source, "\n", $at;
    pos($source) = $begins;
    for (@ends) {
        my ($indent, $word) = /\A(~?)["']?([^"']*)/;
        my $blank = $indent ? qr/[ \t]*/ : q{};
        return q{} if $source !~ /\G.*?^$blank\Q$word\E\n/gcms;
    }
    return "\n" . substr $source, $begins, pos($source) - $begins;
}

# The file as perl read it: characters under "use utf8".
sub _source {
    my ($start) = @_;
    my $file = $start->file;
    return if !-f $file || -s _ > FILE_BYTES;
    open my $in, '<:raw', $file or return;
    my $source = do { local $/; readline $in };
    close $in;
    $source =~ s/\r\n/\n/g;
    return $source if !($start->hints & 0x0080_0000);
    return utf8::decode($source) ? $source : undef;
}

# "our" for the package variables that the text may call by their short names.
sub _declarations {
    my ($unit, $text) = @_;
    my ($package) = map { /\Apackage ([\w:]+);\z/ ? $1 : () } reverse split /\n/, $unit->{opening};
    my @lines;
    for my $full (sort keys %{ $unit->{globs} || {} }) {
        my ($home, $name) = $full =~ /\A(.*)::([A-Za-z_]\w*)\z/s or next;
        next if $home eq 'main' && $name =~ /\A(?:ENV|ARGV|INC|STDIN|STDOUT|STDERR|ARGVOUT|SIG|_)\z/ || $name =~ /\A[ab]\z/;
        next if $text !~ /(?:[\$\@%]|\$#)\{?\s*\Q$name\E\b/;
        my %sigil = (SCALAR => '$', ARRAY => '@', HASH => '%');
        my @variables = map { $unit->{globs}{$full}{$_} ? "$sigil{$_}$name" : () } sort keys %sigil;
        push @lines, "package $home; our (" . join(', ', @variables) . ');' if @variables;
    }
    push @lines, "package $package;" if @lines && defined $package;
    return @lines;
}

# Names that mean subs while the text is parsed here, such as constants that perl folded away, must mean them there.
sub _reach_words {
    my ($shipment, $unit, $text) = @_;
    my $package = $unit->{cv}->STASH->isa('B::HV') ? $unit->{cv}->STASH->NAME : 'main';
    my %words = map { $_ => 1 } $text =~ /(?<![\w\$\@%:])([A-Za-z_]\w*(?:::\w+)*)/g;
    for my $word (sort keys %words) {
        my $full = $word =~ /::/ ? $word : "${package}::$word";
        no strict 'refs';
        next if !Argon::Code::Analyse::Classes::has_entry($full) || !defined &{$full};
        next if $shipment->{seen}{$full}{CODE}++;
        eval { $shipment->add_sub($full); 1 } or return 0;
    }
    return 1;
}

1;
