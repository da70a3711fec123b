use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Cluster;
use Cwd                ();
use ExtUtils::Manifest ();
use File::Copy         ();
use File::Path         ();
use Test::More;

# Builds the distribution from what MANIFEST lists, installs it into an empty prefix, and calls from there; the same for
# the one-file client.
my $perl = Cwd::abs_path("$FindBin::Bin/../..");
plan skip_all => 'only in the repository' if !-e "$perl/maint/fatpack.pl";

my $folder = File::Temp->newdir;

# Runs a command in a folder, with nothing of this tree in its environment: whether it was well, and what it said.
sub run {
    my ($where, @command) = @_;
    my $child = open my $from, '-|';
    defined $child or die "fork: $!";
    if (!$child) {
        delete @ENV{qw(PERL5LIB PERL5OPT MAKEFLAGS MAKELEVEL MFLAGS)};
        open STDERR, '>&', \*STDOUT;
        alarm 120;
        chdir $where and exec { $command[0] } @command;
        die "$command[0]: $!";
    }
    my $said = join q{}, readline $from;
    return (close($from), $said);
}

sub is_well {
    my ($name, @command) = @_;
    my ($ok, $said) = run(@command);
    ok $ok, $name or diag $said;
    return $said;
}

my $program = <<'END';
use strict; use warnings;
use Argon::Client;
my ($port, $key) = @ARGV;
my $client = Argon::Client->new('127.0.0.1', $port, key => $key);
print join(' ', $client->queue(sub { $_[0] + $_[1] }, [4, 7]), $client->map(sub { $_[0] ** 2 }, [1 .. 3])), "\n";
eval { $client->queue(sub { die 'no' }) };
print $@;
END
open my $file, '>', "$folder/call.pl" or die $!;
print {$file} $program;
close $file;
my $expected = "11 1 4 9\nno at call.pl line 6.\n";
my $cluster  = Cluster->up(slots => 1);
my @of_call  = ('call.pl', $cluster->port, $cluster->key_file);

# MANIFEST.
{
    local $ExtUtils::Manifest::Quiet = 1;
    my $before = Cwd::getcwd();
    chdir $perl or die $!;
    is_deeply [ExtUtils::Manifest::manicheck()], [], 'every_file_that_MANIFEST_lists_is_there';
    my %is_ours = map { $_ => 1 } split /\n/, qx{git ls-files 2>/dev/null};
    is_deeply [grep { $is_ours{$_} } ExtUtils::Manifest::filecheck()], [], 'every_file_that_belongs_to_the_distribution_is_listed';
    my $listed = ExtUtils::Manifest::maniread();
    for my $path (sort keys %{$listed}) {
        (my $parent = "$folder/source/$path") =~ s{/[^/]+\z}{};
        File::Path::make_path($parent);
        File::Copy::copy($path, "$folder/source/$path") or die "$path: $!";
    }
    chdir $before or die $!;
}

# A stand-in for the program, which is large: it runs the one that was built.
{
    mkdir "$folder/source/bin" or die $!;
    open my $program_file, '>', "$folder/source/bin/argon" or die $!;
    print {$program_file} "#!/bin/sh\nexec '", Cluster::binary(), "' \"\$@\"\n";
    close $program_file;
    chmod 0755, "$folder/source/bin/argon";
    open my $list, '>>', "$folder/source/MANIFEST" or die $!;
    print {$list} "bin/argon\n";
    close $list;
}

# pmap where nothing but the folder of an installation leads to the program.
sub maps_from {
    my ($base, $name) = @_;
    local $ENV{PATH} = '/usr/bin:/bin';
    local $ENV{HOME} = "$folder";
    delete local $ENV{ARGON_PROGRAM};
    is is_well($name, "$folder", $^X, "-I$base/lib/perl5", '-MArgon=pmap', '-E', 'say for pmap { $_ ** 2 } 1 .. 3'), "1\n4\n9\n", '... and is right';
    like is_well('the_program_came_with_it', "$folder", "$base/bin/argon", '--version'), qr/\Aargon \d/, '... and runs';
    return;
}

# The tarball.
SKIP: {
    skip 'make is not installed', 11 if !grep { -x "$_/make" } split /:/, $ENV{PATH};
    is_well('Makefile_PL_is_content', "$folder/source", $^X, 'Makefile.PL');
    is_well('make_dist_builds', "$folder/source", 'make', 'dist');
    my ($tarball) = glob "$folder/source/Argon-*.tar.gz";
    ok $tarball, '... a tarball' or skip 'no tarball', 8;
    is_well('it_unpacks', "$folder", 'tar', '-xzf', $tarball);
    my ($unpacked) = grep {-d} glob "$folder/Argon-*";
    my $said = is_well('it_configures_without_missing_anything', $unpacked, $^X, 'Makefile.PL', "INSTALL_BASE=$folder/prefix");
    unlike $said, qr/not found|missing/i, '... nor warning';
    is_well('it_installs', $unpacked, 'make', 'install');
    $said = is_well('a_call_runs_from_the_prefix', "$folder", $^X, "-I$folder/prefix/lib/perl5", @of_call);
    is $said, $expected, '... and is right';
    maps_from("$folder/prefix", 'pmap_starts_the_program_that_was_installed');
    SKIP: {
        my ($cpanm) = grep {-x} map {"$_/cpanm"} split /:/, $ENV{PATH};
        skip 'cpanm is not installed', 5 if !$cpanm;
        local $ENV{HOME} = "$folder";
        is_well('cpanm_installs_it', "$folder", $cpanm, '--notest', '--quiet', '--local-lib' => "$folder/cpanm", $tarball);
        maps_from("$folder/cpanm", 'pmap_starts_what_cpanm_installed');
    }
}

# One file.
{
    my $said = is_well('fatpack_writes_a_library', "$folder", $^X, "$perl/maint/fatpack.pl");
    like $said, qr/\AArgon-Client\.fat\.pm: \d+ bytes/, '... and says so';
    open my $one, '>', "$folder/one.pl" or die $!;
    print {$one} "BEGIN { require './Argon-Client.fat.pm' }\n# line 1 \"call.pl\"\n$program";
    close $one;
    is is_well('a_script_that_requires_it_runs', "$folder", $^X, 'one.pl', @of_call[1, 2]), $expected, '... and is right';
    is_well('fatpack_writes_a_program', "$folder", $^X, "$perl/maint/fatpack.pl", '--script', 'call.pl', '--out', 'alone.pl');
    unlink "$folder/Argon-Client.fat.pm";
    mkdir "$folder/copied" or die $!;
    is_well('fatpack_writes_the_module_Argon', "$folder", $^X, "$perl/maint/fatpack.pl", '--module', '--out', 'copied/Argon.pm');
    local $ENV{ARGON_PROGRAM} = Cluster::binary();
    is is_well('a_line_runs_from_its_folder', "$folder/copied", $^X, '-I.', '-MArgon=pmap', '-E', 'say for pmap { $_ ** 2 } 1 .. 3'), "1\n4\n9\n",
        '... and is right';
    is is_well('a_program_uses_the_client_of_it', "$folder/copied", $^X, '-I.', '-MArgon', '../call.pl', @of_call[1, 2]),
        $expected =~ s{call\.pl}{../call.pl}r, '... and is right';
    is is_well('the_program_runs_alone', "$folder", "$folder/alone.pl", @of_call[1, 2]), $expected, '... and is right';
}

done_testing;
