package Argon::Code::Receive;

# The receiving half of code that travels: compiles a shipped text once and gives
# a factory, which makes a fresh sub from captured values as often as needed.
#
# Must stay small and load quickly: it is embedded in the runner, which has a
# bare perl and no other file of this distribution. It never reads op trees and
# never loads B::Deparse.

# Shipped text is compiled here, above every pragma and every variable of this
# file, so that it sees none of them.
sub compile_bare { package main; eval $_[0] }    ## no critic (ProhibitStringyEval, RequireUseStrict): this is where shipped text becomes code

use strict;
use warnings;

use feature ();

our $CHECKING;                      # the sender compiles its own text: install nothing

*Argon::Code::receive = \&receive unless defined &Argon::Code::receive;

# Text (bytes) in; a factory out: $factory->($captures) returns a code reference.
# Dies with one sentence if the text does not compile or a module is missing.
sub receive {
    my ($text) = @_;
    my $source = $text;
    utf8::decode($source);
    my ($format) = $source =~ /\A# Argon Perl code, format (\d+)/
        or die "This is not Perl code shipped by Argon.\n";
    $format == 1
        or die "The code was shipped in format $format, and this runner reads format 1: use the same Argon on both machines.\n";
    my $factory = compile($source);
    # Each call starts with code that is compiled anew, because operations such as m?once? keep state.
    return $source =~ /\A\N*; it keeps something from run to run\n/ ? _anew($factory, $source) : $factory;
}

sub _anew {
    my ($factory, $source) = @_;
    return sub {
        my $this = $factory || compile($source);
        undef $factory;
        return $this->(@_);
    };
}

# The same for source characters without the format line; the sender uses it to check a text.
sub compile {
    my ($source) = @_;
    local ($@, $SIG{__DIE__});
    local $SIG{__WARN__} = sub { };    # the author saw them when the code was first compiled
    my $factory = compile_bare($source);
    return $factory if ref $factory eq 'CODE';
    my $why = $@;
    $why = "the text gave no sub\n" if $why eq '';
    $why =~ s/BEGIN failed--compilation aborted at \(eval \d+\) line \d+\.\n//;
    die $why =~ /\AThe (?:module|sub) / ? $why : "The shipped code does not compile on this perl ($]): $why";
}

# Classes that came as the text of their declaration: { name, digest, text }. The one that another program declared under
# the same name in this process is removed first; so is one with variables of its own (fresh), for each call starts afresh.
# Called while a text compiles and again for each of its calls.
my (%declared, %text_of_digest);

sub declare_class {
    my ($class) = @_;
    my ($name, $digest) = @$class{qw(name digest)};
    $text_of_digest{$digest} = $class->{text} if defined $class->{text};
    return if ($declared{$name} || '') eq $digest && !$class->{fresh};
    _remove_class($name) if delete $declared{$name};
    local ($@, $SIG{__DIE__});
    local $SIG{__WARN__} = sub { };
    compile_bare("$text_of_digest{$digest};1") or die "The class $name cannot be declared on this perl ($]): " . ($@ || 'its text is false');
    $declared{$name} = $digest;
    return;
}

sub _remove_class {
    my ($name) = @_;
    no strict 'refs';
    no warnings 'once';
    Class::MOP::remove_metaclass_by_name($name) if $INC{'Class/MOP.pm'};
    # Records of Moo, Role::Tiny and Class::Method::Modifiers. The sender has tried that this is enough.
    delete $_->{$name} for grep { ref eq 'HASH' } values %Role::Tiny::COMPOSED;
    delete @Role::Tiny::COMPOSITE_INFO{ grep {/(?:\A|\|)\Q$name\E(?:\||\z)/} keys %Role::Tiny::COMPOSITE_INFO };
    delete $_->{$name} for \(%Moo::MAKERS, %Role::Tiny::INFO, %Role::Tiny::APPLIED_TO, %Moo::Role::INFO, %Class::Method::Modifiers::MODIFIER_CACHE);
    my $stash = \%{"${name}::"};
    delete @$stash{ grep { !/::\z/ } keys %$stash };
    return;
}

# Called by shipped text while it compiles: makes the names it calls known, with
# their prototypes, before the code that calls them is parsed.
sub prepare {
    my (%plan) = @_;
    own_modules(@{ $plan{own} }) if $plan{own};
    load_module($_) for @{ $plan{modules} || [] };
    declare_class($_) for @{ $plan{declared} || [] };
    for my $file (@{ $plan{classes} || [] }) {
        (my $class = $file) =~ s{/}{::}g;
        $class =~ s/\.pm\z//;
        load_module($file, $class);
    }
    no strict 'refs';
    no warnings qw(redefine prototype);
    for (@{ $plan{declare} || [] }) {
        my ($name, $prototype, $is_lvalue) = @$_;
        my $slot;
        my $placeholder = $is_lvalue
            ? sub :lvalue { die "The sub $name was called before its shipment was complete.\n"; $slot }
            : sub { die "The sub $name was called before its shipment was complete.\n" };
        set_prototype($placeholder, $prototype);
        _place($name, $placeholder);
    }
    _place_imports(\%plan);
    return;
}

# Modules of the sender's own, which a runner takes from there even if this machine has some of the same names.
sub own_modules {
    Argon::Runner::Modules::own(@_) if $INC{'Argon/Runner/Modules.pm'};
    return;
}

# The subs that shipments have put into the symbol table, by full name. Whatever else is found there belongs to a module
# of this machine and is put back after the task, for its own module calls it too.
my (%placed, %hidden, @undo);

sub _place {
    my ($name, $code) = @_;
    no strict 'refs';
    no warnings qw(redefine prototype);
    *{$name} = delete $hidden{$name} if $hidden{$name};
    if (defined &{$name} && !($placed{$name} && $placed{$name} == \&{$name})) { push @undo, [ \*{$name}, \&{$name} ] }
    $placed{$name} = $code;
    *{$name} = $code;
    return;
}

# Imported subs and tied variables of modules, and names that must mean no sub.
sub _place_imports {
    my ($what) = @_;
    no strict 'refs';
    for (@{ $what->{alias} || [] }) {
        my ($name, $target) = @$_;
        defined &{$target}
            or die "The sub $target, which the code needs, is not in the module that this machine loaded; the versions differ.\n";
        _place($name, \&{$target}) if $name ne $target;
    }
    for (@{ $what->{variables} || [] }) {
        my ($name, $target, $slot) = @$_;
        *{$name} = *{$target}{$slot};
    }
    for my $name (@{ $what->{undefined} || [] }) {
        next unless $placed{$name} && defined &{$name} && $placed{$name} == \&{$name};
        # A sub that is declared without a body: calling it dies with its name, or tries AUTOLOAD.
        my $nothing = do { local *{$name}; eval "sub $name; 1" ? \&{$name} : next };    ## no critic (ProhibitStringyEval)
        _place($name, $nothing);
    }
    return;
}

# A class of another shipment may have had the same name, and methods that this one has not.
sub _hide_methods {
    my ($package, $own) = @_;
    no strict 'refs';
    my $stash = \%{"${package}::"};
    for my $method (keys %$stash) {
        my $name = "${package}::$method";
        next if $own->{$name} || !$placed{$name} || !defined &{$name} || $placed{$name} != \&{$name};
        # Code compiled earlier holds this very glob, so it is kept for the day that its shipment comes again.
        $hidden{$name} = \*{$name};
        delete $stash->{$method};
    }
    return;
}

# Requires "Some/Module.pm"; a failure names the module in one sentence. A class whose
# import is more than Exporter's sets itself up there, so that is called as "use" does.
sub load_module {
    my ($file, $class) = @_;
    local $@;
    return if $INC{$file};
    return if eval {
        require $file;
        my $import = defined $class ? $class->can('import') : undef;
        if ($import && !($INC{'Exporter.pm'} && $import == \&Exporter::import)) {
            package Argon::Code::Receive::Importer;
            $class->$import;
        }
        1;
    };
    my $why = $@;
    (my $module = $file) =~ s{/}{::}g;
    $module =~ s/\.pm\z//;
    die $why =~ /\ACan't locate \Q$file\E in \@INC/
        ? "The module $module, which the code needs, is not on this machine" . ($why =~ / its client does not give it: (it .+) at \S+ line \d+\.\n/ ? ", and its client does not give it: $1.\n" : ".\n")
        : "The module $module, which the code needs, does not load on this machine: $why";
}

# By name: the factory returns the sub itself.
sub by_name {
    my ($name) = @_;
    no strict 'refs';
    defined &{$name} or die "The sub $name is not defined on this machine.\n";
    my $code = \&{$name};
    return sub {$code};
}

# One reference to a variable for each captured value. A captured value that is
# not a reference stands for itself; otherwise it is a reference to the variable.
sub cells {
    my ($captures, $kinds) = @_;
    my $position = 0;
    return [
        map {
            my $value = $captures ? $captures->[$position] : undef;
            $position++;
            ref $value ? $value : $_ eq '@' ? [] : $_ eq '%' ? {} : \$value;
        } split //, $kinds
    ];
}

# Gives the variables of perl and of modules that shipments have set their values back.
# The runner calls it after every task; package variables of the script stay, for the
# next shipment that uses one brings its own.
sub restore {
    no warnings qw(redefine prototype);
    while (my $change = pop @undo) {
        my ($variable, $value) = @$change;
        if    (ref $variable eq 'GLOB')  { *$variable = $value }
        elsif (ref $variable eq 'ARRAY') { @$variable = @$value }
        elsif (ref $variable eq 'HASH')  { %$variable = %$value }
        else                             { $$variable = $value }
    }
    return;
}

# Puts a shipment's named subs and package variables in their places. Called by
# the factory each time, because another task may have used the same names.
sub install {
    my (%what) = @_;
    if ($CHECKING) {
        @$CHECKING = @{ $what{subs} };
        return;
    }
    declare_class($_) for @{ $what{declared} || [] };
    _stub(@$_, \%what) for @{ $what{needs} || [] };
    no strict 'refs';
    no warnings qw(redefine prototype);
    if ($what{classes}) {
        my %own = map { $_ => 1 } (map { $_->[1] } @{ $what{names} || [] }), (map { $_->[0] } @{ $what{alias} || [] });
        _hide_methods($_->[0], \%own) for @{ $what{classes} };
    }
    _place_imports(\%what);
    if (my $globals = $what{globals}) {
        my $cells = $what{cells};
        # (Not in a loop over $_, which gives back the old $_ at its end.)
        for my $global (@$globals) {
            my ($slot, $name, $how) = @$global;
            my $value = $cells->[$slot];
            $value = ref $value eq 'Argon::Code::Missing' ? _empty($value) : $value;
            if    ($how eq 'alias') { *{$name} = $value }
            elsif (ref $value eq 'ARRAY') { push @undo, [ \@{$name}, [ @{$name} ] ]; @{$name} = @$value }
            elsif (ref $value eq 'HASH')  { push @undo, [ \%{$name}, { %{$name} } ]; %{$name} = %$value }
            else                          { push @undo, [ \${$name}, ${$name} ];     ${$name} = $$value }
        }
    }
    for (@{ $what{names} || [] }) {
        my ($index, $name) = @$_;
        my $code = $what{subs}[$index];
        name_sub($name, $code);
        _place($name, $code);
    }
    for (@{ $what{classes} || [] }) {
        my ($package, $parents, $overloads, $fallback) = @$_;
        @{"${package}::ISA"} = @$parents if "@{\"${package}::ISA\"}" ne "@$parents";
        if ($overloads) {
            require overload;
            my %table = map { $_ => ref $overloads->{$_} ? $what{subs}[ ${ $overloads->{$_} } ] : $overloads->{$_} }
                keys %$overloads;
            $table{fallback} = $fallback->[0] if $fallback;
            overload::OVERLOAD($package, %table);
        }
    }
    return;
}

# A method that needs what could not travel dies in words when it is called.
{ package Argon::Code::Missing; our $IS_KNOWN = 1 }

sub _stub {
    my ($index, $name, @slots_and_what) = @_;
    my $what = pop @slots_and_what;
    my ($missing) = grep { ref eq 'Argon::Code::Missing' } @{ $what->{cells} }[@slots_and_what] or return;
    my ($why) = "$missing" =~ /=ARRAY/ ? @$missing : "$missing" =~ /=HASH/ ? values %$missing : $$missing;
    $what->{subs}[$index] = sub {
        my (undef, $file, $line) = caller;
        die "$name cannot run on a worker: $why at $file line $line.\n";
    };
    return;
}

sub _empty { return "$_[0]" =~ /=ARRAY/ ? [] : "$_[0]" =~ /=HASH/ ? {} : \my $nothing }

# "use builtin NAME" for the text that is being compiled.
sub lexical_builtin {
    my ($name) = @_;
    my $import = builtin->can('import') or die "The sub builtin::$name, which the code needs, is not in this perl ($]).\n";
    $import->('builtin', $name);
    return;
}

# Gives a sub the name that caller and stack traces show. Perl before 5.22 has no
# core way to do it; there the name stays __ANON__.
my $set_name;
sub name_sub {
    my ($name, $code) = @_;
    $set_name = do {
        local $@;
        eval { require Sub::Util; 1 } ? \&Sub::Util::set_subname : sub { };
    } unless $set_name;
    $set_name->($name, $code);
    return $code;
}

sub set_prototype {
    my ($code, $prototype) = @_;
    require Scalar::Util;
    &Scalar::Util::set_prototype($code, $prototype);
    return;
}

# A ${^WARNING_BITS} from names: "[all ]+ NAME… / + NAME…" where the second list is
# fatal and "-" means all but these. Names this perl does not know are left out.
sub warning_bits {
    my ($set) = @_;
    return $warnings::NONE if $set eq 'none';
    return $warnings::Bits{all} if $set eq 'all';
    my ($on, $fatal) = map { [ split ' ' ] } split m{/}, $set;
    my $all = $on->[0] eq 'all' ? shift @$on : 0;
    my $bits = $warnings::NONE;
    vec($bits, $warnings::Offsets{all}, 1) = 1 if $all;
    my @on = _chosen($on, [ grep { $_ ne 'all' } keys %warnings::Offsets ]);
    vec($bits, $warnings::Offsets{$_}, 1) = 1 for @on;
    vec($bits, $warnings::Offsets{$_} + 1, 1) = 1 for _chosen($fatal, \@on);
    return $bits;
}

sub _chosen {
    my ($list, $universe) = @_;
    my ($sign, @names) = @$list;
    return grep { exists $warnings::Offsets{$_} } @names if $sign eq '+';
    my %left_out = map { $_ => 1 } @names;
    return grep { !$left_out{$_} } @$universe;
}

1;
