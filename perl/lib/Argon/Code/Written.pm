package Argon::Code::Written;

# The text of a sub as its author wrote it, found in its file: for what the op tree cannot give back. Where a sub begins and
# ends is only guessed. What is taken must compile, in the place where it will stand, to the same operations as the
# sub itself, so a wrong guess, or a file that was changed meanwhile, is no more than a guess too many.

use strict;
use warnings;

use B ();
use Argon::Code::Optree ();
use Argon::Code::Origin ();
use Argon::Code::Receive ();
use Argon::Code::Shape ();

use constant {
    TRIES_MAX  => 300,
    LINES_BACK => 100,         # between the word "sub" and the first statement
    FILE_BYTES => 4_194_304,
};

# What would run, or be defined for good, each time that the text is compiled.
my $DOES_MORE = qr/
    \b(?:BEGIN|UNITCHECK|CHECK|INIT|END)\s*\{ | (?:\A|[;{}\n])\s*(?:use|no|package|format)\b | (?<!my)(?<!state)(?<!our)\s+sub\s+[A-Za-z_] | ^__(?:END|DATA)__ | ^=\w
/mx;

# Gives the unit its own text; true when there is one that does the same. $kinds: those of the captured values.
sub give {
    my ($shipment, $unit, @opening) = @_;
    pop @opening if @opening && $opening[-1] =~ /\A#line /;
    for my $candidate (_candidates($unit->{cv})) {
        my ($line, $text) = @{$candidate};
        my @own = (@opening, _declarations($unit, $text), '#line ' . $line . ' "' . _start($unit->{cv})->file . '"');
        my $sub = _compiled($shipment, join("\n", @own) . "\n", $text, $unit->{closing}) or next;
        next if Argon::Code::Shape::difference($unit->{cv}, B::svref_2object($sub));
        _reach_words($shipment, $unit, $text) or next;
        @{$unit}{qw(text opening constants)} = ("sub $text", join("\n", @own), undef);
        return 1;
    }
    return 0;
}

# Whether the unit compiles as it is: to find out which one of a shipment does not.
sub compiles {
    my ($shipment, $unit) = @_;
    return 1 if !defined $unit->{text} || $unit->{text} !~ m{\Asub };
    return !!_compiled($shipment, $unit->{opening} . "\n", $unit->{text} =~ s/\Asub //r, $unit->{closing});
}

sub _compiled {
    my ($shipment, $opening, $text, $closing) = @_;
    my $factory = eval {
        Argon::Code::Receive::compile("sub {\nmy (\$argon_cell, \$argon_sub) = Argon::Code::Receive::cells(undef, "
                . B::perlstring($shipment->{slots}->kinds) . ");\n{$opening\$argon_sub = sub $text;\n" . ($closing || '') . "}\n\$argon_sub;\n}\n");
    };
    my $sub = $factory ? eval { $factory->() } : undef;
    return ref $sub eq 'CODE' ? $sub : undef;
}

sub _start { return Argon::Code::Optree::first_statement($_[0]) }

# [line, text from behind the word "sub" and the name on], the likeliest first.
sub _candidates {
    my ($cv) = @_;
    my $start = ${ $cv->ROOT } ? _start($cv) : undef;
    my $source = $start ? _source($start) : undef;
    return if !defined $source;
    my $last = $start->line;
    Argon::Code::Optree::walk($cv->ROOT, sub {
        my ($op) = @_;
        $last = $op->line if $op->isa('B::COP') && $op->file eq $start->file && $op->line > $last;
    });
    my $name = (Argon::Code::Origin::full_name($cv))[1];
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
        pos($source) = $text_at > $line[$last] ? $text_at : $line[$last];
        while ($source =~ /\}/g) {
            my $text = substr $source, $text_at, $+[0] - $text_at;
            last if $text =~ $DOES_MORE || @found >= TRIES_MAX;
            # Shorter ones that leave a bracket open in so many words need no try.
            push @found, [$number, $text];
            last if @found % 60 == 0;
        }
    }
    return @found;
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
        next if !Argon::Code::Classes::has_entry($full) || !defined &{$full};
        next if $shipment->{seen}{$full}{CODE}++;
        eval { $shipment->_reach_sub($full); 1 } or return 0;
    }
    return 1;
}

1;
