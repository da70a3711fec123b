use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client::Session::ModuleAnswers;
use File::Temp ();
use Test::More;

my $folder = File::Temp->newdir;
mkdir "$folder/$_" for qw(Pure Compiled auto auto/Compiled auto/Compiled/Thing);
for my $name (qw(Pure/Thing.pm Compiled/Thing.pm secret.txt)) {
    open my $file, '>', "$folder/$name" or die $!;
    print {$file} "package X;\n1;\n";
    close $file;
}
require Config;
open my $shared, '>', "$folder/auto/Compiled/Thing/Thing.$Config::Config{dlext}" or die $!;
close $shared;

local @INC = (sub { }, "$folder");

my ($text, $refusal) = Argon::Client::Session::ModuleAnswers::text_of('Pure/Thing.pm');
is $text, qq{# line 1 "$folder/Pure/Thing.pm"\npackage X;\n1;\n}, 'a_pure_module_is_given_with_the_name_of_its_file';
for my $case (
    ['Compiled/Thing.pm', qr/compiled code/,          'a_compiled_module_is_refused'],
    ['Not/There.pm',      qr/does not have it/,       'a_module_that_is_not_there_is_refused'],
    ['../Pure/Thing.pm',  qr/is not the name of/,     'a_path_that_climbs_is_refused'],
    ['Pure/../secret.pm', qr/is not the name of/,     'a_path_that_climbs_inside_is_refused'],
    ["$folder/Pure/Thing.pm", qr/is not the name of/, 'an_absolute_path_is_refused'],
    ['secret.txt',        qr/is not the name of/,     'a_file_that_is_no_module_is_refused'],
    ["Pure/Thing.pm\n",   qr/is not the name of/,     'a_name_with_a_line_break_is_refused'],
    [undef,               qr/names no module/,        'no_name_is_refused'],
    [[],                  qr/names no module/,        'a_name_that_is_no_text_is_refused'],
    )
{
    ($text, $refusal) = Argon::Client::Session::ModuleAnswers::text_of($case->[0]);
    is $text, undef, $case->[2];
    like $refusal, $case->[1], '... with the reason';
}

done_testing;
