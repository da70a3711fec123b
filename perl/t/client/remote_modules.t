use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use File::Path ();
use Test::More;

# Modules that only the client has, with real workers whose @INC does not hold them.
my $folder = File::Temp->newdir;

sub write_file {
    my ($path, $text) = @_;
    (my $parent = "$folder/$path") =~ s{/[^/]+\z}{};
    File::Path::make_path($parent);
    open my $file, '>', "$folder/$path" or die "$path: $!";
    print {$file} $text;
    close $file;
    return;
}

write_file('lib/Local/Pure.pm', <<'END');
package Local::Pure;
use strict; use warnings;
use Local::Pure::Part qw(doubled);
sub new { my ($class, $number) = @_; return bless { number => $number }, $class }
sub run { my ($self) = @_; return doubled($self->{number}) }
sub place { return join ' ', __FILE__, __LINE__ }
sub fails { die 'it failed' }
1;
END
write_file('lib/Local/Pure/Part.pm', "package Local::Pure::Part;\nuse Exporter 'import';\nour \@EXPORT_OK = ('doubled');\nsub doubled { return 2 * \$_[0] }\n1;\n");
write_file('lib/Local/Unloaded.pm', "package Local::Unloaded;\nsub answer { return 42 }\n1;\n");
write_file('lib/Local/Counted.pm', "package Local::Counted;\nsub answer { return 43 }\n1;\n");
write_file('lib/Local/False.pm', "package Local::False;\n0;\n");
write_file('lib/Local/Broken.pm', "package Local::Broken;\nsub {\n");
write_file('lib/Local/Characters.pm', "package Local::Characters;\nuse utf8;\nsub snow { return \"\xe2\x98\x83\" }\n1;\n");
write_file('lib/Local/WithData.pm', "package Local::WithData;\nsub lines { my \@lines = <DATA>; return \@lines }\n1;\n__DATA__\none\ntwo\n");
write_file('elsewhere/Local/Secret.pm', "package Local::Secret;\n1;\n");
write_file('lib/Local/Compiled.pm', "package Local::Compiled;\nrequire XSLoader;\nXSLoader::load();\n1;\n");
require Config;
write_file("lib/auto/Local/Compiled/Compiled.$Config::Config{dlext}", q{});

local @INC = ("$folder/lib", @INC);
delete local @ENV{qw(PERL5LIB PERLLIB)};

sub error_of { my ($call) = @_; return eval { $call->(); 1 } ? q{} : "$@" }

my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);

is $client->queue(sub { return scalar grep { !ref && -e "$_/Local/Pure.pm" } @INC }), 0, 'the_worker_has_no_such_folder';
require Local::Pure;
is $client->queue('Local::Pure', [21]), 42, 'a_class_of_a_module_and_its_own_module_are_fetched';
is $client->queue('Local::Pure::place'), "$folder/lib/Local/Pure.pm 6", 'it_knows_its_own_file_and_line';
like error_of(sub { $client->queue('Local::Pure::fails') }), qr{\Ait failed at \Q$folder\E/lib/Local/Pure\.pm line 7\.}, '... and errors name them';
is $client->queue(sub { return Local::Pure->new(4)->run }), 8, 'code_that_uses_a_module_of_the_client_has_it';
is $client->queue(sub { require Local::Unloaded; return Local::Unloaded::answer() }), 42, 'a_module_that_the_client_has_not_loaded_is_fetched_too';
is $client->queue(sub { require Local::Characters; return Local::Characters::snow() }), "\x{2603}", 'a_module_keeps_its_characters';
is_deeply [$client->queue(sub { require Local::WithData; return Local::WithData::lines() })], ["one\n", "two\n"], 'a_module_keeps_its_data';
like error_of(sub { $client->queue(sub { require Local::False }) }), qr{Local/False\.pm did not return a true value}, 'a_module_that_is_false_says_so';
like error_of(sub { $client->queue(sub { require Local::Broken }) }), qr{\Q$folder\E/lib/Local/Broken\.pm line \d}, 'a_module_that_does_not_compile_names_its_file';

my $refused = error_of(sub { $client->queue(sub { require Local::Compiled }) });
like $refused, qr{\ACan't locate Local/Compiled\.pm in \@INC .* on the worker \S+; .*compiled code \(XS\).*must be installed on the worker}, 'a_compiled_module_is_refused_in_words_that_name_the_worker';
like error_of(sub { $client->queue(sub { require Local::Nowhere }) }), qr{\ACan't locate Local/Nowhere\.pm in \@INC .* on the worker \S+; .*does not have it}, 'a_module_that_nobody_has_is_refused';
like error_of(sub { $client->queue(sub { require Local::Secret }) }), qr{\ACan't locate Local/Secret\.pm}, 'a_file_outside_of_INC_is_not_given';
for my $path ("$folder/elsewhere/Local/Secret.pm", '../elsewhere/Local/Secret.pm', 'Local/../../elsewhere/Local/Secret.pm') {
    my $got = $client->queue(sub { my ($hook) = grep { ref eq 'Argon::Runner::Modules' } @INC; my $handle = eval { $hook->INC($_[0]) }; return $handle ? 'given' : 'refused' }, [$path]);
    is $got, 'refused', "a_path_is_no_module: $path" =~ s/\Q$folder\E//r;
}
is $client->queue(sub { return eval { require Local::Nowhere; 1 } ? 'there' : 'optional' }), 'optional', 'a_task_may_try_for_a_module';

{
    my $closed = Argon::Client->new($cluster->client_arguments, remote_modules => 0);
    write_file('lib/Local/Withheld.pm', "package Local::Withheld;\n1;\n");
    like error_of(sub { $closed->queue(sub { require Local::Withheld }) }), qr{Can't locate Local/Withheld\.pm .*the client does not give modules}, 'remote_modules_0_gives_nothing';
    my $strict = Cluster->up(slots => 1, arguments => ['--no-remote-modules']);
    my $other  = Argon::Client->new($strict->client_arguments);
    like error_of(sub { $other->queue(sub { require Local::Withheld }) }), qr{\ACan't locate Local/Withheld\.pm in \@INC}, 'a_worker_may_be_told_not_to_ask';
    is $other->queue(sub { require List::Util; return List::Util::sum(1, 2) }), 3, '... and_has_its_own_modules';
}

{
    # Modules with the name of one that the worker's machine has, here in its PERL5LIB.
    write_file("worker/$_.pm", 'package ' . s{/}{::}gr . "; sub whose { 'the worker' } 1;\n") for qw(Local/Same Local/SamePart Local/Later);
    write_file('lib/Local/Same.pm', "package Local::Same; require Local::SamePart; sub whose { 'the client, ' . Local::SamePart::whose() } 1;\n");
    write_file('lib/Local/SamePart.pm', "package Local::SamePart; sub whose { 'its part' } 1;\n");
    write_file('lib/Local/Later.pm', "package Local::Later; sub whose { 'the client' } 1;\n");
    local $ENV{PERL5LIB} = "$folder/worker";
    my $has_same = Cluster->up(slots => 1);
    my $other    = Argon::Client->new($has_same->client_arguments);
    is $other->queue(sub { require Local::Later; Local::Later::whose() }), 'the worker', 'a_module_that_the_client_has_not_loaded_is_the_one_of_the_worker';
    require Local::Same;
    is $other->queue(sub { Local::Same::whose() }), 'the client, its part', 'a_module_that_the_client_has_loaded_from_its_own_folder_wins';
    my $by_name = Argon::Client->new($has_same->client_arguments);
    is $by_name->queue('Local::Same::whose'), 'the client, its part', '... also for a function by its name';
    is $by_name->queue(sub { ref $_[0] eq 'Local::Same' ? Local::Same::whose() : 'no object' }, [bless {}, 'Local::Same']), 'the client, its part', '... and for an object';
    like $by_name->queue(sub { require List::Util; $INC{'List/Util.pm'} }), qr{\A/}, 'an installed module is the one of the worker';
    require Local::Later;
    like error_of(sub { $other->queue(sub { Local::Later::whose() }) }), qr{The module Local::Later of the client cannot be loaded: an earlier task .* has loaded that of the worker's machine, \Q$folder\E/worker}, 'one that was loaded from the worker before is not mixed in';
}

{
    # A file that changes while the program runs.
    write_file('lib/Local/Edited.pm', "package Local::Edited; sub text { 'first' } 1;\n");
    write_file('lib/Local/EditedLater.pm', "package Local::EditedLater; sub text { 'first' } 1;\n");
    require Local::Edited;
    require Local::EditedLater;
    my $text = sub { Local::EditedLater::text() };
    is $client->queue($text), 'first', 'a module is loaded';
    write_file("lib/Local/$_.pm", "package Local::$_; sub text { 'second edition' } 1;\n") for qw(Edited EditedLater);
    like error_of(sub { $client->queue(sub { Local::Edited::text() }) }), qr{it has changed: \Q$folder\E/lib/Local/Edited\.pm is not what this program loaded; start the program again}, 'a_module_that_was_changed_since_it_was_loaded_is_refused_in_words';
    my $fresh = Cluster->up(slots => 1);
    is(Argon::Client->new($fresh->client_arguments)->queue($text), 'first', 'one_run_of_a_program_gives_all_tasks_the_same_text');
}

{
    # Many runners of one worker, new ones too: the client is asked once, and once for what it does not have.
    my %asked;
    my $text_of = \&Argon::Client::Session::ModuleAnswers::text_of;
    no warnings 'redefine';
    local *Argon::Client::Session::ModuleAnswers::text_of = sub { $asked{ $_[0] }++; return $text_of->(@_) };
    my $wide  = Cluster->up(slots => 3, arguments => ['--max-requests' => 2]);
    my $other = Argon::Client->new($wide->client_arguments);
    my @got = $other->map(sub {
        require Local::Counted;
        my $has_absent = eval { require Local::Absent; 1 };
        select undef, undef, undef, 0.01;
        return [$$, Local::Counted::answer(), $has_absent];
    }, [1 .. 20]);
    my %runner = map { $_->[0] => 1 } @got;
    cmp_ok scalar keys %runner, '>', 5, 'tasks_ran_in_several_runners';
    is_deeply [grep { $_->[1] != 43 || $_->[2] } @got], [], '... and_each_had_its_module';
    is_deeply \%asked, { 'Local/Counted.pm' => 1, 'Local/Absent.pm' => 1 }, '... for_which_the_client_was_asked_once';
}

done_testing;
