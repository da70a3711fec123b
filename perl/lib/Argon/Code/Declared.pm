package Argon::Code::Declared;

# Classes that a module made from declarations in the script, as Moo and Moose do: what such a module remembers about a class
# is out of reach, so the class travels as the text of its package block and is declared again. Whether that gives the same
# class is tried once in a new perl process, here, before anything is sent. Argon::Code::Shipment asks; Argon::Code::Receive
# declares.

use strict;
use warnings;

use B ();
use Digest::SHA ();
use Storable ();
use Argon::Code::Classes ();
use Argon::Code::Optree ();
use Argon::Code::Origin ();
use Argon::Code::Pragma ();
use Argon::Code::Reach ();
use Argon::Code::Refusal ();
use Argon::Code::Shape ();

use constant {
    TRIAL_SECONDS => 30,
    ENDS_MAX      => 200,
};

# What was found out once.
my %known;    # by class: [fingerprint, { name, digest, text }]

# Adds a class to a shipment, behind what it needs.
sub add {
    my ($shipment, $class, $maker, $plan) = @_;
    # Its module brings the parents that belong to it; roles and the like are named in the text.
    my @parents = grep { !Argon::Code::Origin::module_of_package($_) } @{ $plan->{parents} };
    $shipment->_add_class($_, 1) for @parents, _mentioned($class, $maker);
    for my $code (_own_subs($class)) {
        my $reach = Argon::Code::Reach::of(B::svref_2object($code));
        delete @{ $reach->{globs} }{ grep {/\A\Q$class\E::[^:]+\z/} keys %{ $reach->{globs} } };
        $shipment->_reach_globs(undef, $reach);
        $shipment->_reach_classes($reach);
    }
    push @{ $shipment->{declared} }, _text_of($class, $maker, $shipment->{declared});
    return;
}

# { name, digest, text, fresh } for a class, fresh when it has variables of its own; $needed: those of the classes that must be there before it. Dies with a refusal.
sub _text_of {
    my ($class, $maker, $needed) = @_;
    my $fingerprint = fingerprint($class);
    my $known = $known{$class};
    return $known->[1] if $known && $known->[0] eq $fingerprint;
    my ($opening, @texts) = _texts($class, $maker);
    my $answer = _try($class, $needed, map {"$opening$_\n"} @texts);
    my ($number, $got) = $answer =~ /^argon-class (\d+) (\w+)$/m;
    $answer =~ s/, <\$in> \w+ \d+//g;
    _refuse($class, $maker, 'its text does not compile by itself: ' . (($answer =~ s/\s+\z//r) || 'the trial said nothing')) if !defined $number;
    _refuse($class, $maker, 'declared anew from its text it is not the same') if $got ne $fingerprint;
    my $text = "$opening$texts[$number]\n";
    my $declared = { name => $class, text => $text, fresh => _has_state($class), digest => Digest::SHA::sha256_hex(utf8::is_utf8($text) ? Storable::freeze(\$text) : $text) };
    $known{$class} = [$fingerprint, $declared];
    return $declared;
}

# The other classes of the script that the text names.
sub _mentioned {
    my ($class, $maker) = @_;
    my (undef, @texts) = _texts($class, $maker);
    my ($text) = ((grep { tr/{// == tr/}// } @texts), @texts);
    my %names = map { $_ => 1 } $text =~ /(?<![\w:\$\@%&])([A-Za-z_]\w*(?:::\w+)*)/g;
    delete @names{ $class, 'main' };
    return grep { /\A[A-Z]/ && Argon::Code::Classes::exists_here($_) && Argon::Code::Classes::is_of_script($_) } sort keys %names;
}

# The subs of a class that stand in the script, as code references.
sub _own_subs {
    my ($class) = @_;
    no strict 'refs';
    return map { \&{$_} } grep { _is_own($_) } @{ Argon::Code::Classes::plan($class, 1)->{subs} };
}

sub _is_own {
    my ($name) = @_;
    no strict 'refs';
    my $cv = B::svref_2object(\&{$name});
    return 0 if !${ $cv->ROOT };
    my $origin = eval { Argon::Code::Origin::of(\&{$name}) } or return 0;
    my $start  = Argon::Code::Optree::first_statement($cv);
    return $origin->{kind} eq 'value' && !defined $origin->{module} && $start && -f $start->file;
}

# What a class is: its parents, the names of its subs, the operations of those written in the script, the values that they
# captured and those of its variables.
sub fingerprint {
    my ($class) = @_;
    my $plan = Argon::Code::Classes::plan($class, 1) or return 'none';
    my @parts = ("parents @{ $plan->{parents} }", map {"overload $_"} sort keys %{ $plan->{overloads} });
    no strict 'refs';
    for my $name (@{ $plan->{subs} }) {
        my $is_own = _is_own($name);
        push @parts, $is_own ? "sub $name" : "made $name";
        next if !$is_own;
        my $cv = B::svref_2object(\&{$name});
        push @parts, map {s/\breference \d+/reference/gr} @{ Argon::Code::Shape::lines($cv) };
        push @parts, map { _value($_) } _captured($cv);
    }
    for my $name (sort grep { !/::\z|\A\(|\A(?:ISA|BEGIN|__ANON__)\z/ } keys %{"${class}::"}) {
        my $full = "${class}::$name";
        push @parts, "\$$name " . _value(\${$full}) if defined ${$full};
        push @parts, "\@$name " . _value(\@{$full}) if @{$full};
        push @parts, "%$name " . _value(\%{$full})  if %{$full};
    }
    my $text = join "\n", @parts;
    utf8::encode($text);
    return Digest::SHA::sha256_hex($text);
}

sub _has_state {
    my ($class) = @_;
    return 1 if grep { _captured(B::svref_2object($_)) } _own_subs($class);
    no strict 'refs';
    return (grep { defined ${$_} || @{$_} || %{$_} } map {"${class}::$_"} grep { !/::\z|\A\(|\A(?:ISA|BEGIN|VERSION|__ANON__)\z/ } keys %{"${class}::"}) ? 1 : 0;
}

sub _captured {
    my ($cv) = @_;
    my @names = $cv->PADLIST->ARRAYelt(0)->ARRAY;
    my @found;
    for my $index (1 .. $#names) {
        my $name = $names[$index];
        next if $name->isa('B::SPECIAL') || !$name->can('PVX') || !($name->FLAGS & B::SVf_FAKE()) || ($name->PVX // q{}) !~ /\A[\$\@%]./;
        my $value = Argon::Code::Optree::pad_value($cv, $index);
        push @found, $value->object_2svref if !$value->isa('B::SPECIAL');
    }
    return @found;
}

# Plain data as text; of anything else only that it is there.
sub _value {
    my ($reference) = @_;
    local $Storable::canonical = 1;
    local $Storable::forgive_me;
    local $SIG{__WARN__} = sub { };
    my $bytes = eval { ref $reference eq 'REF' && ref ${$reference} eq 'CODE' ? undef : Storable::nfreeze($reference) };
    return defined $bytes ? unpack 'H*', $bytes : 'something';
}

# The state that the text starts in, and what may be its text: a block "package NAME {...}", or a block around "package NAME;".
sub _texts {
    my ($class, $maker) = @_;
    my ($sub) = _own_subs($class);
    my $start = $sub ? Argon::Code::Optree::first_statement(B::svref_2object($sub)) : undef;
    my $file  = $start ? $start->file : $0;
    my $source = _source($file, $start && $start->hints & 0x0080_0000);
    _refuse($class, $maker, "its text cannot be read from $file") if !defined $source;
    my @begins;
    while ($source =~ /(?:^|[;{}])[ \t]*(?:(\{)\s*)?((?:package|class|role)\s+\Q$class\E\b(?!::)[^;{}\n]*([;{]))/mg) {
        push @begins, [defined $1 ? $-[1] : $-[2], $+[0]] if defined $1 || $3 eq '{';
    }
    _refuse($class, $maker, "$file has " . (@begins ? 'several blocks' : "no block 'package $class {...}'") . ' of it') if @begins != 1;
    my ($at, $from) = @{ $begins[0] };
    my $line = 1 + (substr($source, 0, $at) =~ tr/\n//);
    my @texts;
    pos($source) = $from;
    while ($source =~ /\}/g && @texts < ENDS_MAX) { push @texts, substr $source, $at, $+[0] - $at }
    my $state = $start ? Argon::Code::Pragma::change(undef, Argon::Code::Pragma::of($start)) : 'use strict; use warnings;';
    _refuse($class, $maker, 'such a class cannot be declared twice in one process') if substr($source, $at) =~ /\A(?:\{\s*)?(?:class|role)\b/;
    return ("$state\n#line $line \"$file\"\n", @texts);
}

sub _source {
    my ($file, $is_utf8) = @_;
    open my $in, '<:raw', $file or return;
    my $source = do { local $/; readline $in };
    close $in;
    return $source if !$is_utf8;
    return utf8::decode($source) ? $source : undef;
}

# Declares the class in a new process from the first of the texts that compiles. What that process says.
sub _try {
    my ($class, $needed, @texts) = @_;
    require File::Temp;
    require POSIX;
    my $file = File::Temp->new;
    binmode $file;
    print {$file} Storable::nfreeze({ class => $class, needed => $needed, texts => \@texts });
    close $file;
    local $SIG{CHLD} = 'DEFAULT';
    local ($?, $!);
    my $child = open my $from, '-|';
    _refuse($class, 'a module', "no process can be started to try it: $!") if !defined $child;
    if (!$child) {
        # By their numbers: the handles may be tied or in memory. Whatever happens, this child does not go on as its parent.
        POSIX::dup2(1, 2);
        alarm TRIAL_SECONDS;
        { no warnings 'exec'; exec $^X, (map {"-I$_"} grep { !ref } @INC), '-MArgon::Code::Declared', '-e', 'Argon::Code::Declared::trial(@ARGV)', "$file" }
        POSIX::_exit(127);
    }
    my $answer = do { local $/; readline $from };
    close $from;
    return defined $answer ? $answer : q{};
}

# The other process.
sub trial {
    my ($path) = @_;
    require Argon::Code;
    open my $in, '<:raw', $path or die "$path: $!";
    my $given = Storable::thaw(do { local $/; readline $in });
    my @needed = @{ $given->{needed} };
    Argon::Code::Receive::declare_class($_) for @needed;
    my $why = "there is no text\n";
    for my $number (0 .. $#{ $given->{texts} }) {
        my $text = $given->{texts}[$number];
        # Compiling is not declaring: an end that is none is found out before anything of the class runs.
        if (!eval { Argon::Code::Receive::compile("sub {\n$text}\n"); 1 }) { $why = $@ if !$number || $@ !~ /Missing right curly|syntax error/; next }
        my @class = map { { name => $given->{class}, digest => $_, text => $text } } 'once', 'twice';
        if (!eval { Argon::Code::Receive::declare_class($class[0]); 1 }) { $why = $@; last }
        my $first = fingerprint($given->{class});
        # A runner may have to declare it anew, alone or with what it needs.
        for my $again ([$class[1]], [map({ { %{$_}, fresh => 1 } } @needed), $class[0]]) {
            next if eval { Argon::Code::Receive::declare_class($_) for @{$again}; fingerprint($given->{class}) eq $first };
            print "it cannot be declared twice in one process", ($@ ? ": $@" : q{});
            return;
        }
        print "\nargon-class $number $first\n";
        return;
    }
    print $why;
    return;
}

sub _refuse {
    my ($class, $maker, $why) = @_;
    Argon::Code::Refusal->throw("the class $class is written in the script, and $maker made parts of it that exist only in this process; $why",
        "write it as one block, package $class {...}, that needs nothing around it, or put it in a module file of its own");
    return;
}

1;
