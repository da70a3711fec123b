package Argon::Code::Ship::OwnModules;

# Owns what this program knows of the modules that it has loaded: which are its own, not of the installed perl, and whether the
# file of one is still the text that was loaded. A worker gets the names of the own ones with the code, and asks for
# these before it looks for one of its own machine. In a task the own modules are those that came from its client.

use strict;
use warnings;

use Config      ();
use File::Spec  ();
use Time::HiRes ();

# By file, as in %INC: the path from the root, and the facts that change with its text.
my %loaded;
my $noted = -1;

my @own;
my $listed = -1;
my $generation = 0;

my @INSTALLED = grep { defined && length } @Config::Config{qw(privlibexp archlibexp sitelibexp sitearchexp vendorlibexp vendorarchexp)};
# Debian has some of perl in a folder next to it.
push @INSTALLED, map { s{/[^/]+/[^/]+\z}{/perl-base}r } grep {defined} $Config::Config{archlibexp};

# Notes the modules that were loaded since the last call. It is called early and often, so that a file has hardly had time to
# change since it was loaded.
sub note {
    return if $noted == keys %INC;
    for my $file (grep { !$loaded{$_} && /[.]pm\z/ } keys %INC) {
        my $path = $INC{$file};
        next if !defined $path || ref $path;
        $path = File::Spec->rel2abs($path);
        $loaded{$file} = [$path, _facts($path)];
    }
    $noted = keys %INC;
    return;
}

# The files of the own modules, as in %INC.
sub list {
    no warnings 'once';
    return @{ [sort keys %Argon::Runner::Modules::OWN] } if $INC{'Argon/Runner/Modules.pm'};
    note();
    if ($listed != keys %INC) {
        my @now = sort grep { defined $INC{$_} && !ref $INC{$_} && is_own($_) } grep {/[.]pm\z/} keys %INC;
        $generation++ if "@now" ne "@own";
        @own    = @now;
        $listed = keys %INC;
    }
    return @own;
}

# A number that changes when the list does.
sub generation {
    no warnings 'once';
    return scalar keys %Argon::Runner::Modules::OWN if $INC{'Argon/Runner/Modules.pm'};
    list() if $listed != keys %INC;
    return $generation;
}

# True for a loaded module of the program's own folders, in pure perl. Those of Argon come with the runner.
sub is_own {
    my ($file) = @_;
    no warnings 'once';
    return $Argon::Runner::Modules::OWN{$file} if $INC{'Argon/Runner/Modules.pm'};
    note();
    my $known = $loaded{$file} or return 0;
    my $path  = $known->[0];
    return 0 if $file =~ m{\AArgon(?:/|[.]pm\z)} || !length $known->[1] || $path !~ m{/\Q$file\E\z};
    return 0 if grep { index($path, "$_/") == 0 } @INSTALLED;
    return !is_compiled($file, substr $path, 0, length($path) - length($file) - 1);
}

# The path of a loaded module, and true if its file has changed since. Nothing for one that is not loaded from a file.
sub loaded {
    my ($file) = @_;
    return if !exists $INC{$file};
    note();
    my ($path, $facts) = @{ $loaded{$file} || [] };
    return if !defined $facts || !length $facts;
    return ($path, $facts ne _facts($path));
}

# True if a module has compiled parts: if one of the folders holds auto/Foo/Bar/Bar.so (or whatever this system calls it).
sub is_compiled {
    my ($file, @folders) = @_;
    my ($stem, $last) = $file =~ m{\A((?:.*/)?([^/]+))[.]pm\z};
    my $suffix = $Config::Config{dlext} || 'so';
    for my $folder (@folders) {
        return 1 if -e "$folder/auto/$stem/$last.$suffix";
    }
    return 0;
}

# Device and number of a file, its size and times; an empty text if there is none.
sub _facts {
    my ($path) = @_;
    my @stat = Time::HiRes::stat($path) or return q{};
    return join ' ', @stat[0, 1, 7, 9, 10];
}

1;
