package Argon::Code::Ship::DeclaredClasses;

# Classes that a module made from declarations in the script, as Moo and Moose do: what such a module remembers about a class
# is out of reach, so the class travels as the text of its package block and is declared again. Whether that gives the same
# class is tried once in a new perl process, here, before anything is sent. Argon::Code::Ship::Shipment asks; Argon::Code::Receive
# declares.

use strict;
use warnings;

use B ();
use Digest::SHA ();
use Scalar::Util ();
use Storable ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Analyse::Purity ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Analyse::Pragma ();
use Argon::Code::Analyse::Dependencies ();
use Argon::Code::Refusal ();
use Argon::Code::Analyse::Fingerprint ();
use Argon::Code::Ship::Captures ();

use constant {
    TRIAL_SECONDS => 30,
    ENDS_MAX      => 200,
    DEPTH_MAX     => 100,    # of values that are compared
};

# The operations of a declaration that are not on values only.
my %DECLARES = map { $_ => 1 } qw(
    anoncode entersub const gv gvsv rv2sv rv2av rv2hv rv2cv rv2gv aelemfast multideref sort split match subst qr regcomp bless require
    method method_named method_super method_redir introcv clonecv padcv padanycv sassign once caller
);

# Results of earlier trials.
my %known;    # by class: [fingerprint, { name, digest, text }]

# Adds a class to a shipment, behind what it needs.
sub add {
    my ($shipment, $class, $maker, $plan) = @_;
    # Its module brings the parents that belong to it; roles and the like are named in the text.
    my @parents = grep { !Argon::Code::Analyse::Origin::module_of_package($_) } @{ $plan->{parents} };
    $shipment->add_class($_, 1) for @parents, _mentioned($class, $maker);
    for my $code (_own_subs($class)) {
        my $reach = Argon::Code::Analyse::Dependencies::of(B::svref_2object($code));
        delete @{ $reach->{globs} }{ grep {/\A\Q$class\E::[^:]+\z/} keys %{ $reach->{globs} } };
        $shipment->add_globs(undef, $reach);
        $shipment->add_named_classes($reach);
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
    _refuse($class, $maker, 'its text does not compile by itself: ' . (($answer =~ s/\s+\z//r) || 'the trial printed nothing')) if !defined $number;
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
    return grep { /\A[A-Z]/ && Argon::Code::Analyse::Classes::exists_here($_) && Argon::Code::Analyse::Classes::is_of_script($_) } sort keys %names;
}

# The subs of a class that stand in the script, as code references.
sub _own_subs {
    my ($class) = @_;
    no strict 'refs';
    return map { \&{$_} } grep { _is_own($_) } @{ Argon::Code::Analyse::Classes::plan($class, 1)->{subs} };
}

sub _is_own {
    my ($name) = @_;
    no strict 'refs';
    my $cv = B::svref_2object(\&{$name});
    return 0 if !${ $cv->ROOT };
    my $origin = eval { Argon::Code::Analyse::Origin::of(\&{$name}) } or return 0;
    my $start  = Argon::Code::Analyse::Optree::first_statement($cv);
    return $origin->{kind} eq 'value' && !defined $origin->{module} && $start && -f $start->file;
}

# Fingerprint of a class: its parents, the names of its subs, the operations of those written in the script, the values that they
# captured and those of its variables.
sub fingerprint {
    my ($class) = @_;
    my $plan = Argon::Code::Analyse::Classes::plan($class, 1) or return 'none';
    my @parts = ("parents @{ $plan->{parents} }", map {"overload $_"} sort keys %{ $plan->{overloads} });
    no strict 'refs';
    for my $name (@{ $plan->{subs} }) {
        my $is_own = _is_own($name);
        push @parts, $is_own ? "sub $name" : "made $name";
        next if !$is_own;
        my $cv = B::svref_2object(\&{$name});
        push @parts, map {s/\breference \d+/reference/gr} @{ Argon::Code::Analyse::Fingerprint::lines($cv) };
        push @parts, map { _value($_) } _captured($cv);
    }
    for my $name (sort grep { !/::\z|\A\(|\A(?:ISA|BEGIN|__ANON__)\z/ } keys %{"${class}::"}) {
        my $full = "${class}::$name";
        push @parts, map { "$name $_ " . _value(*{$full}{$_}) } Argon::Code::Ship::Captures::filled($full);
    }
    my $text = join "\n", @parts;
    utf8::encode($text);
    return Digest::SHA::sha256_hex($text);
}

sub _has_state {
    my ($class) = @_;
    return 1 if grep { _captured(B::svref_2object($_)) } _own_subs($class);
    no strict 'refs';
    return (grep { Argon::Code::Ship::Captures::filled($_) } map {"${class}::$_"} grep { !/::\z|\A\(|\A(?:ISA|BEGIN|VERSION|__ANON__)\z/ } keys %{"${class}::"}) ? 1 : 0;
}

sub _captured {
    my ($cv) = @_;
    my @names = $cv->PADLIST->ARRAYelt(0)->ARRAY;
    my @found;
    for my $index (1 .. $#names) {
        my $name = $names[$index];
        next if $name->isa('B::SPECIAL') || !$name->can('PVX') || !($name->FLAGS & B::SVf_FAKE()) || ($name->PVX // q{}) !~ /\A[\$\@%]./;
        my $value = Argon::Code::Analyse::Optree::pad_value($cv, $index);
        push @found, $value->object_2svref if !$value->isa('B::SPECIAL');
    }
    return @found;
}

# Data as text, without calling anything of its classes. Of code, handles and what is tied only that it is there.
sub _value {
    my ($reference, %inside) = @_;
    my $type  = Scalar::Util::reftype($reference);
    my $class = Scalar::Util::blessed($reference) // q{};
    my $address = Scalar::Util::refaddr($reference);
    return "$class again" if $inside{$address} || keys %inside > DEPTH_MAX;
    my $each = sub { return !defined $_[0] ? 'undef' : ref $_[0] ? _value($_[0], %inside, $address => 1) : length($_[0]) . ":$_[0]" };
    my $text
        = re::is_regexp($reference) ? join ' ', re::regexp_pattern($reference)
        : $type eq 'ARRAY'          ? (tied @{$reference} ? 'tied' : join ',', map { $each->($_) } @{$reference})
        : $type eq 'HASH'           ? (tied %{$reference} ? 'tied' : join ',', map { length($_) . ":$_=" . $each->($reference->{$_}) } sort keys %{$reference})
        : $type eq 'SCALAR' || $type eq 'REF' ? (tied ${$reference} ? 'tied' : $each->(${$reference}))
        :                             'something';
    return "$type $class ($text)";
}

# The state that the text starts in, and what may be its text: a block "package NAME {...}", or a block around "package NAME;".
sub _texts {
    my ($class, $maker) = @_;
    my ($sub) = _own_subs($class);
    my $start = $sub ? Argon::Code::Analyse::Optree::first_statement(B::svref_2object($sub)) : undef;
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
    my $state = $start ? Argon::Code::Analyse::Pragma::change(undef, Argon::Code::Analyse::Pragma::of($start)) : 'use strict; use warnings;';
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

# Declares the class in a new process from the first of the texts that compiles. Returns the output of that process.
sub _try {
    my ($class, $needed, @texts) = @_;
    require File::Temp;
    require POSIX;
    my $file = File::Temp->new;
    binmode $file;
    local ($,, $\);
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
        { no warnings 'exec'; exec $^X, (map {"-I$_"} grep { !ref } @INC), '-MArgon::Code::Ship::DeclaredClasses', '-e', 'Argon::Code::Ship::DeclaredClasses::trial(@ARGV)', "$file" }
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
        # (Argon's own are above the line that names the file.)
        if ($text =~ /^#line .*^\s*BEGIN\s*\{/ms) { $why = "it has a BEGIN block, which would run\n"; last }
        my $block = eval { Argon::Code::Receive::compile("sub {\n$text}\n") };
        if (!$block) { $why = $@ if !$number || $@ !~ /Missing right curly|syntax error/; next }
        if (defined(my $does = _does_more($given->{class}, B::svref_2object($block)))) { $why = "its block does more than declare: $does\n"; last }
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

# Names what a block does besides giving values to variables and calling subs of modules, as "has" and "extends" are: to try it, here
# or on a worker, would do that again.
sub _does_more {
    my ($class, $cv) = @_;
    my ($line, $does) = ('?');
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op, $parent) = @_;
        return if defined $does;
        $line = $op->line if $op->isa('B::COP');
        my $name = $op->name;
        my $called
            = $name eq 'gv' && $parent && _calls($parent) ? join '::', Argon::Code::Analyse::Optree::glob_name(Argon::Code::Analyse::Optree::glob_of($cv, $op))
            : $name eq 'method_named'                     ? "${class}::" . Argon::Code::Analyse::Optree::constant_of($cv, $op)->PV
            :                                               undef;
        if (defined $called) {
            no strict 'refs';
            $does = "it calls $called, a sub of the script" if defined &{$called} && _is_own($called);
        }
        elsif (!$DECLARES{$name} && !Argon::Code::Analyse::Purity::is_harmless($name)) { $does = "it has the operation $name" }
        $does .= " (line $line)" if defined $does;
    });
    return $does;
}

sub _calls { return $_[0]->name =~ /\A(?:entersub|rv2cv)\z/ || $_[0]->name eq 'null' && B::ppname($_[0]->targ) =~ /\App_(?:entersub|rv2cv)\z/ }

sub _refuse {
    my ($class, $maker, $why) = @_;
    Argon::Code::Refusal->throw("the class $class is written in the script, and $maker made parts of it that exist only in this process; $why",
        "write it as one block, package $class {...}, that needs nothing around it, or put it in a module file of its own");
    return;
}

1;
