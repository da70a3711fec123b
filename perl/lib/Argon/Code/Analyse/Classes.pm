package Argon::Code::Analyse::Classes;

# Owns the plan for a class on another machine: its file, if it has one; if it
# is written in the script, its subs, parents and overloaded operators.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Origin ();

# undef if there is no such class here; otherwise { modules, subs, parents,
# overloads, fallback, is_of_script }.
sub plan {
    my ($class, $is_certain) = @_;
    return unless exists_here($class);
    my %plan = (modules => [], subs => [], parents => [], overloads => {}, fallback => undef, is_of_script => 0);
    if (!is_of_script($class)) {
        my $module = Argon::Code::Analyse::Origin::module_of_package($class);
        return unless defined $module && ($is_certain || $class =~ /::/);
        $plan{modules} = [$module];
        return \%plan;
    }
    return if $class eq 'main';
    $plan{is_of_script} = 1;
    no strict 'refs';
    my $stash = \%{"${class}::"};
    for my $name (sort keys %$stash) {
        next if $name =~ /::\z/;
        next unless defined &{"${class}::$name"};
        if ($name =~ /\A\((.*)\z/s) {
            my $operator = $1;
            if ($operator eq ')') { $plan{fallback} = [ ${"${class}::()"} ]; next }
            next if $operator eq '(';
            my $code = \&{"${class}::$name"};
            $plan{overloads}{$operator} = _is_overload_nil($code) ? ${"${class}::$name"} : $code;
            next;
        }
        next if $name eq 'BEGIN' || $name eq '__ANON__';
        push @{ $plan{subs} }, "${class}::$name";
    }
    $plan{parents} = [ @{"${class}::ISA"} ];
    return \%plan;
}

# The module that generated subs of a class, as Moo, Moose and Object::Pad do: such subs
# refer to what that module remembers about the class in this process.
sub maker {
    my ($plan) = @_;
    for my $name (@{ $plan->{subs} }) {
        my $cv = do { no strict 'refs'; B::svref_2object(\&{$name}) };
        next if Argon::Code::Analyse::Origin::is_constant($cv);
        my $origin = eval { Argon::Code::Analyse::Origin::of($cv->object_2svref) };
        my $module = !$origin ? 'a compiled module'
            : $origin->{kind} eq 'value' && defined $origin->{module} ? $origin->{module}
            :                                                           next;
        next if $module eq 'constant.pm' || $module eq 'overload.pm' || Argon::Code::Analyse::Origin::is_core($module);
        $module =~ s{/}{::}g;
        $module =~ s/\.pm\z//;
        return $module;
    }
    return;
}

sub _is_overload_nil {
    my ($code) = @_;
    my ($package, $name) = Argon::Code::Analyse::Origin::full_name(B::svref_2object($code));
    return defined $name && $package eq 'overload' && $name =~ /\A_?nil\z/;
}

# The package has a symbol table with something in it.
sub exists_here {
    my ($class) = @_;
    my $stash = \%main::;
    for my $part (split /::/, $class) {
        my $entry = "${part}::";
        return 0 unless exists $stash->{$entry} && ref \$stash->{$entry} eq 'GLOB';
        $stash = *{ $stash->{$entry} }{HASH} or return 0;
    }
    return 1 if %$stash;
    return 0;
}

sub has_entry {
    my ($full_name) = @_;
    my ($package, $name) = $full_name =~ /\A(.*)::(.+)\z/s or return 0;
    return 0 unless exists_here($package);
    no strict 'refs';
    return exists ${"${package}::"}{$name};
}

# A package is the script's own when it was not loaded from a module file. A package
# with subs is judged by them: the place of most of them would be a guess, so
# one sub written outside a module file is enough.
sub is_of_script {
    my ($package) = @_;
    return 1 if $package eq 'main';
    return 0 if $package =~ /\A(?:UNIVERSAL|CORE|Regexp|Internals|utf8|version|re|mro|builtin|B|Argon)(?:::|\z)/;
    (my $file = "$package.pm") =~ s{::}{/}g;
    return 0 if Argon::Code::Analyse::Origin::is_genuine($file);
    return 1 unless exists_here($package);
    no strict 'refs';
    my $stash = \%{"${package}::"};
    my ($has_module_subs, $guess, $is_made) = (0);
    for my $name (keys %$stash) {
        next if $name =~ /::\z/ || $name =~ /\A\(/ || !defined &{"${package}::$name"};
        my $origin = eval { Argon::Code::Analyse::Origin::of(\&{"${package}::$name"}) } or next;
        next if $origin->{kind} eq 'built in';
        if ($origin->{kind} eq 'module') {
            # an import proves nothing about the package; a sub of its own does
            next if $origin->{name} ne "${package}::$name";
            # that of a compiled one is guessed from its name
            if (B::svref_2object(\&{"${package}::$name"})->XSUB) { $guess = $origin->{module} }
            else                                              { $has_module_subs = 1 }
            next;
        }
        return 1 unless defined $origin->{module};
        $is_made = 1;
    }
    return 0 if $has_module_subs;
    return 1 if !defined $guess;
    return $is_made && !_names_package($INC{$guess}, $package);
}

# True if a module file contains such a package besides its own.
sub _names_package {
    my ($file, $package) = @_;
    open my $in, '<', $file or return 0;
    while (my $line = readline $in) { return 1 if $line =~ /\bpackage\s+\Q$package\E\b/ }
    return 0;
}

# One class for the text of a shipment, as Argon::Code::Receive::install reads it.
sub as_text {
    my ($class) = @_;
    my $overloads = 'undef';
    if (%{ $class->{overloads} }) {
        $overloads = '{' . join(', ', map {
            my $how = $class->{overloads}{$_};
            B::perlstring($_) . ' => ' . (ref $how ? "\\$$how" : B::perlstring($how));
        } sort keys %{ $class->{overloads} }) . '}';
    }
    my $fallback = !$class->{fallback} ? 'undef'
        : '[' . (defined $class->{fallback}[0] ? B::perlstring($class->{fallback}[0]) : 'undef') . ']';
    return '[' . join(', ', B::perlstring($class->{name}),
        '[' . join(', ', map { B::perlstring($_) } @{ $class->{parents} }) . ']', $overloads, $fallback) . ']';
}

1;
