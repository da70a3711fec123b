package Argon::Code::Analyse::Origin;

# Finds the origin of a sub: a module file that a worker can load by itself, perl
# itself, or the script (also: evals, generated code), whose subs travel by value.

use strict;
use warnings;

use B ();
use Config ();
use Scalar::Util ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Refusal ();

# Packages whose subs are part of every perl without loading anything.
my %BUILT_IN = map { $_ => 1 } qw(UNIVERSAL Internals utf8 version re mro builtin CORE PerlIO Regexp Tie::Hash::NamedCapture);

my (%module_of_file, $modules_seen);

# ({ kind => 'module', module => 'List/Util.pm', name => 'List::Util::sum' },
#  { kind => 'built in', name } or { kind => 'value' }) for a code reference.
sub of {
    my ($code) = @_;
    my $cv = B::svref_2object($code);
    my ($package, $name) = full_name($cv);
    if ($cv->XSUB && !_is_constant($cv)) {
        Argon::Code::Refusal->throw('a compiled (XS) sub without a name', 'call it from a sub of your own') unless defined $name;
        my $full = "${package}::$name";
        {
            no strict 'refs';
            defined &{$full} && Scalar::Util::refaddr(\&{$full}) == Scalar::Util::refaddr($code)
                or Argon::Code::Refusal->throw("the compiled (XS) sub $full is not what its own name now means", 'call it by its name');
        }
        return { kind => 'built in', name => $full } if $BUILT_IN{$package};
        my $module = module_of_package($package)
            or Argon::Code::Refusal->throw("the compiled (XS) sub $full belongs to no module that was loaded from a file", 'load it with use');
        return { kind => 'module', module => $module, name => $full };
    }
    my $module = _module_of_file($cv->FILE);
    if (defined $module && defined $name && $name ne '__ANON__') {
        no strict 'refs';
        my $full = "${package}::$name";
        return { kind => 'module', module => $module, name => $full }
            if _was_written_in($cv, $package, $module) && defined &{$full} && Scalar::Util::refaddr(\&{$full}) == Scalar::Util::refaddr($code);
    }
    return { kind => 'value', module => $module };
}

# A module can make a sub for a package which is not its own (use constant does);
# loading the module elsewhere would not make that sub again.
sub _was_written_in {
    my ($cv, $package, $module) = @_;
    my $start = ${ $cv->ROOT } ? Argon::Code::Analyse::Optree::first_statement($cv) : undef;
    return $start->stashpv eq $package if $start;
    (my $file = "$package.pm") =~ s{::}{/}g;
    return $file eq $module;
}

# True if a module file is part of perl's own library.
sub is_core {
    my ($module) = @_;
    my $path = $INC{$module};
    return 0 unless defined $path;
    # Debian keeps some of it in a folder next to it.
    my $base = defined $Config::Config{archlibexp} ? $Config::Config{archlibexp} =~ s{/[^/]+/[^/]+\z}{/perl-base}r : undef;
    for my $folder (@Config::Config{qw(privlibexp archlibexp)}, $base) {
        return 1 if defined $folder && index($path, "$folder/") == 0;
    }
    return 0;
}

sub full_name {
    my ($cv) = @_;
    my $hek = $cv->can('NAME_HEK') ? $cv->NAME_HEK : undef;
    return ($cv->STASH->NAME, $hek) if defined $hek && $cv->STASH->isa('B::HV');
    my $glob = $cv->GV;
    return unless $glob->isa('B::GV') && $glob->STASH->isa('B::HV');
    return ($glob->STASH->NAME, $glob->NAME);
}

# "A/B.pm" for the package A::B::C whose file, or a parent's, was loaded.
sub module_of_package {
    my ($package) = @_;
    (my $own = "$package.pm") =~ s{::}{/}g;
    return $own if is_genuine($own);
    # A package inside another module's file: its subs name the file.
    no strict 'refs';
    my $stash = \%{"${package}::"};
    for my $name (sort keys %$stash) {
        next if $name =~ /::\z/ || !defined &{"${package}::$name"};
        my $cv = B::svref_2object(\&{"${package}::$name"});
        next if $cv->XSUB || !${ $cv->ROOT };
        my $start = Argon::Code::Analyse::Optree::first_statement($cv);
        next if !$start || $start->stashpv ne $package;
        return _module_of_file($cv->FILE);
    }
    # Only compiled subs, like POSIX::SigSet: the nearest parent with a file.
    my @parts = split /::/, $package;
    while (pop @parts) {
        my $file = join('/', @parts) . '.pm';
        return $file if @parts && is_genuine($file);
    }
    return;
}

# True if %INC names a real file of that name. Some modules enter classes which were
# written elsewhere into %INC.
sub is_genuine {
    my ($module) = @_;
    my $path = $INC{$module};
    return 0 if !defined $path || ref $path || $path !~ m{(?:\A|/)\Q$module\E\z};
    return 1 if -f $path;
    # In a task it may be the text of a file of the client, or come with the runner.
    no warnings 'once';
    return defined $Argon::Runner::Modules::TEXT{$module} || $INC{'Argon/Runner.pm'} && $module =~ m{\AArgon(?:/|[.]pm\z)} ? 1 : 0;
}

# The key of %INC for a file name, if that file is a module a worker could ask for.
sub _module_of_file {
    my ($file) = @_;
    return unless defined $file;
    if (!$modules_seen || $modules_seen != keys %INC) {
        %module_of_file = ();
        for my $module (keys %INC) {
            my $path = $INC{$module};
            $module_of_file{$path} = $module if $module =~ /\.pm\z/ && is_genuine($module);
        }
        $modules_seen = keys %INC;
    }
    return $module_of_file{$file};
}

sub _is_constant {
    my ($cv) = @_;
    return $cv->CvFLAGS & B::CVf_CONST();
}

sub is_constant { return _is_constant($_[0]) }

1;
