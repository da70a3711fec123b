# What a task sees of the stack is what it would see here: its own frames, and nothing of the runner.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Carp ();
use Test::More;

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);

sub confesses { Carp::confess("deep in @_") }
sub dies      { die "deep\n" }
sub frames    { my ($level, @frames) = 0; while (my @frame = caller $level++) { push @frames, "$frame[3] $frame[2]" } return join ', ', @frames }
sub outer     { return frames() }
sub named     { return (caller 0)[3] }
sub recursive { my ($n) = @_; return $n ? recursive($n - 1) : scalar(my @found = split /, /, frames()) }
{
    package Local::Module;
    sub croaks   { Carp::croak("bad @_") }
    sub carps    { Carp::carp('hm'); return }
    sub asks     { return scalar caller }
    sub arguments { package DB; my @frame = caller 1; return "@DB::args" }
    package Local::Task;
    sub new { return bless {}, shift }
    sub run { return main::frames() }
}

my $file = __FILE__;

sub error_of { my (@call) = @_; return eval { $client->queue(@call); 1 } ? 'it did not die' : "$@" }

# kind: frames of the runner | `confess` in a task | right | the builtin `caller` ends with the frame of the task
my $line = __LINE__;
is(error_of(sub { confesses(@_) }, [4, 'x']), <<"END", 'confess shows the frames of the program only');
deep in 4 x at $file line 17.
\tmain::confesses(4, "x") called at $file line @{[$line + 1]}
\tmain::__ANON__(4, "x") called at $file line @{[$line + 1]}
END
$line = __LINE__;
is(error_of(sub { Local::Module::croaks(7) }), "bad 7 at $file line @{[$line + 1]}.\n", 'croak names the line of the program');
$line = __LINE__;
is(error_of(sub { Carp::croak('direct') }), "direct at $file line @{[$line + 1]}.\n\tmain::__ANON__() called at $file line @{[$line + 1]}\n", 'croak in the sub itself shows what it shows here');
# kind: frames of the runner | `$SIG{__DIE__} = \&Carp::confess` | right | as it would confess here
$line = __LINE__;
is(error_of(sub { local $SIG{__DIE__} = \&Carp::confess; dies(1) }), <<"END", 'a handler for die that confesses does so');
deep
 at $file line 18.
\tmain::dies(1) called at $file line @{[$line + 1]}
\tmain::__ANON__() called at $file line @{[$line + 1]}
END
{
    $line = __LINE__;
    my $task = $client->defer(sub { Carp::cluck('hm'); Local::Module::carps(); warn 'plain'; return }, [], { capture => 1 });
    $task->get;
    is($task->output, "hm at $file line @{[$line + 1]}.\n\tmain::__ANON__() called at $file line @{[$line + 1]}\nhm at $file line @{[$line + 1]}.\nplain at $file line @{[$line + 1]}.\n", 'cluck, carp and warn too');
}
$line = __LINE__;
is($client->queue(sub { outer() }), "main::frames 20, main::outer @{[$line + 1]}, main::__ANON__ @{[$line + 1]}", 'who walks the stack finds its end');
is($client->queue(sub { join ',', map { scalar(my @frame = caller $_) } 0 .. 12 }), '11,' . join(',', (0) x 12), '... also who begins far out');
is($client->queue(sub { join '|', caller }), "main|$file|" . __LINE__, 'caller without a level gives package, file and line');
is($client->queue(sub { scalar(caller) . ' ' . Local::Module::asks() }), 'main main', '... and the package in scalar context');
is($client->queue(sub { Local::Module::arguments(1, 2) }, [5, 6]), '5 6', '@DB::args has the arguments of the frame');
# kind: frames of the runner | a named sub that asks for its name | right | it keeps its name
is($client->queue(\&named), 'main::named', 'a named sub keeps its name');
is($client->queue(sub { recursive(3) }), 6, 'each call of a recursion is a frame');
is($client->queue(sub { eval { eval q{outer()} } }) =~ s/ \d+//gr, 'main::frames, main::outer, (eval), (eval), main::__ANON__', 'evals of the task are frames');
like($client->queue('Local::Task'), qr/\Amain::frames \d+, Local::Task::run \d+, main::__ANON__ 1\z/, 'a class that runs');
like(error_of('No::Such::Class'), qr/No::Such::Class was asked for: Can't locate .* in its \@INC either\n\z/, 'a module that nobody has is told in words, without a place in the runner');
like(error_of(sub { require No::Such::Module }), qr/Can't locate No\/Such\/Module\.pm .* at \Q$file\E line @{[__LINE__]}\.\n\z/, '... or with that of the program');
is($client->queue(sub { require Text::Wrap; Text::Wrap->import('wrap'); return defined &main::wrap ? 'imported' : 'not' }), 'imported', 'import finds the package that asks');
SKIP: {
    skip 'Devel::StackTrace is not installed', 1 if !eval { require Devel::StackTrace; 1 };
    unlike($client->queue(sub { require Devel::StackTrace; return Devel::StackTrace->new->as_string }), qr/Argon|argon/, 'Devel::StackTrace shows nothing of the runner');
}

done_testing;
