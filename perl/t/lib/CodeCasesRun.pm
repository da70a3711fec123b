package CodeCasesRun;

# Drives the three roles of CodeCases over a set of cases and judges each: "right",
# "loud" (refused before it was sent), or what went wrong.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Temp ();

my $here = File::Basename::dirname(Cwd::abs_path(__FILE__));
my $lib  = Cwd::abs_path("$here/../../lib");

# A list of { case, verdict, expected, got } for cases under a prefix of pragmas.
sub judge {
    my ($cases, $prefix) = @_;
    require CodeCases;
    my $folder = File::Temp->newdir;
    my @files = map {
        my $file = "$folder/$_->{name}.pl";
        _write($file, CodeCases::program($_, $prefix));
        $file;
    } @$cases;
    _role('here',   $folder, @files);
    _role('sender', $folder, @files);
    my @sent = grep { _read("$folder/$_->{name}.sender") =~ /\Ashipped / } @$cases;
    for my $case (@sent) {
        _write("$folder/$case->{name}.parcel", substr _read("$folder/$case->{name}.sender"), 8);
    }
    # The script is no more where the code arrives.
    rename $_, "$_.gone" for @files;
    _role('there', $folder, map {"$folder/$_->{name}.parcel"} @sent);
    my @judged;
    for my $case (@$cases) {
        my $expected = _read("$folder/$case->{name}.here");
        my $sender   = _read("$folder/$case->{name}.sender");
        my $got      = $sender =~ /\Ashipped / ? _read("$folder/$case->{name}.there") : $sender;
        my $verdict  = $expected =~ /\A(?:failed|does not compile)/ ? 'broken case'
            : $got eq $expected    ? 'right'
            : $got =~ /\Arefused / ? 'loud'
            : $got =~ /\Alost /    ? 'refused only there'
            :                        'WRONG';
        s/\Q$folder\E/FOLDER/g for $expected, $got;
        push @judged, { case => $case, verdict => $verdict, expected => $expected, got => $got };
    }
    return @judged;
}

sub _role {
    my ($role, $folder, @files) = @_;
    return unless @files;
    # The other perl of maint/cases-between.pl.
    my $perl = $role eq 'there' && $ENV{ARGON_PERL_THERE} ? $ENV{ARGON_PERL_THERE} : $^X;
    system($perl, "-I$lib", "-I$here", '-e', 'require CodeCases; CodeCases::main(@ARGV)', $role, $folder, @files) == 0
        or die "the role $role failed with status $?";
    return;
}

sub _read {
    my ($file) = @_;
    open my $in, '<:raw', $file or return 'failed: no answer';
    local $/;
    return scalar <$in>;
}

sub _write {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or die "cannot write $file: $!";
    print {$out} $text;
    close $out;
    return;
}

1;
