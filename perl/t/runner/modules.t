use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Protocol qw(:all);
use JSON::PP ();
use RunnerProcess;
use ShippedText qw(shipped);
use Test::More;

my $runner = RunnerProcess->start;
$runner->ready;

my $uses = $runner->send_blob(shipped('sub { require Only::Here; return Only::Here::where() . " $INC{q{Only/Here.pm}}" }'));
$runner->send_run(blob => $uses);
my ($kind, $ask) = $runner->next_frame;
is $kind, ASK, 'a_module_found_nowhere_is_asked_for';
my $question = JSON::PP::decode_json(substr $ask, 32);
is_deeply $question, { kind => 'perl-module', name => 'Only/Here.pm' }, '... by its file name';
$runner->send_frame(ANSWER, substr($ask, 0, 32) . pack('C', ANSWER_YES)
        . qq{# line 1 "/elsewhere/lib/Only/Here.pm"\npackage Only::Here;\nsub where { __FILE__ . " " . __LINE__ }\n1;\n});
is_deeply $runner->outcome->{list}, ['/elsewhere/lib/Only/Here.pm 2 /elsewhere/lib/Only/Here.pm'],
    'a_module_from_the_client_shows_its_own_file_and_line';
is $runner->run(blob => $uses)->{status}, STATUS_OK, 'a_module_from_the_client_is_loaded_once';

my $lacks = $runner->send_blob(shipped("sub {\n require Not::There; 1 }"));
$runner->send_run(blob => $lacks);
($kind, $ask) = $runner->next_frame;
$runner->send_frame(ANSWER, substr($ask, 0, 32) . pack('C', ANSWER_NO) . 'it is compiled (XS)');
my $text = $runner->outcome->{list}[0];
like $text, qr/\ACan't locate Not\/There\.pm in \@INC .* on the worker test; .*it is compiled \(XS\) at task line 2\.\n\z/,
    'a_refused_module_fails_as_a_missing_one_with_the_reason';
is $runner->run(blob => $lacks)->{list}[0], $text, 'a_refusal_is_remembered_for_the_session';

{
    my $asks = $runner->send_blob(shipped('sub { require Yet::Another; 1 }'));
    $runner->send_run(blob => $asks);
    my (undef, $question_body) = $runner->next_frame;
    $runner->send_run(meta => '{"call":"List::Util::sum"}', arguments => [1, 2]);
    $runner->send_frame(ANSWER, substr($question_body, 0, 32) . pack('C', ANSWER_YES) . '1;');
    is_deeply $runner->outcome->{list}, [1], 'an_answer_is_found_behind_other_messages';
    is_deeply $runner->outcome->{list}, [3], '... which keep their turn';
}

my $apart = RunnerProcess->start(ARGON_NO_REMOTE_MODULES => 1);
$apart->ready;
my $alone = $apart->run(blob => $apart->send_blob(shipped('sub { require Only::Here; 1 }')));
like $alone->{list}[0], qr/\ACan't locate Only\/Here\.pm in \@INC/, 'asking_can_be_turned_off';

done_testing;
