package Argon::Client;

# Owns the interface that programs call: queue, defer, submit, collect, map and what goes with them. It turns a call into
# a SUBMIT frame, which is the hot path here; Argon::Client::Session takes it from there.

use 5.016;
use strict;
use warnings;

use Scalar::Util ();

use Argon                  ();
use Argon::Client::Address ();
use Argon::Client::Code    ();
use Argon::Client::Loop    ();
use Argon::Client::Map     ();
use Argon::Client::Options ();
use Argon::Client::Result  ();
use Argon::Client::Session ();
use Argon::Client::Task qw(:all);
use Argon::Data     ();
use Argon::Deferred ();
use Argon::Error    ();
use Argon::Protocol qw(:all);

our $VERSION = $Argon::VERSION;

my %CONNECTION_OPTION = map { $_ => 1 } qw(host port hosts key give_up_after remote_modules connect loop interface);

# Clients that are alive, so that they say goodbye before perl takes objects apart in any order.
my %alive;

sub new {
    my ($class, @arguments) = @_;
    my %given = Argon::Client::Address::arguments(
        sub { return $CONNECTION_OPTION{ $_[0] } || Argon::Client::Options::is_known($_[0]) }, @arguments);
    my %defaults = map { $_ => $given{$_} } grep { !$CONNECTION_OPTION{$_} } keys %given;
    my $session = Argon::Client::Session->new(
        addresses      => [Argon::Client::Address::all(@given{qw(host port hosts)})],
        key            => $given{key},
        give_up_after  => $given{give_up_after},
        remote_modules => $given{remote_modules} // 1,
    );
    my $self = bless {
        session  => $session,
        code     => Argon::Client::Code->new,
        defaults => \%defaults,
        options  => Argon::Client::Options::resolve(\%defaults),
    }, $class;
    _speak_as_before($self, $given{interface}) if defined $given{interface};
    Scalar::Util::weaken($alive{ Scalar::Util::refaddr($self) } = $self);
    $session->attach($given{loop}) if $given{loop};
    $self->connect if $given{connect};
    return $self;
}

sub connect {
    my ($self) = @_;
    $self->session->connect;
    return $self;
}

sub queue {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = @rest ? Argon::Client::Options::from_call($self->{defaults}, @rest) : $self->{options};
    my $record = $self->_offer($code, $arguments, $options, $options->{wants_list} || wantarray);
    $self->{session}->wait_for($record) if !$record->[TASK_DONE];
    $self->{failed} = $record if $record->[TASK_STATUS] != STATUS_OK;
    return Argon::Client::Result::deliver($record);
}

sub defer {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = @rest ? Argon::Client::Options::from_call($self->{defaults}, @rest) : $self->{options};
    return Argon::Deferred->new($self->_offer($code, $arguments, $options, $options->{wants_list}), $self);
}

sub process { my ($self, @call) = @_; return $self->queue(@call) }

sub submit {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = Argon::Client::Options::from_call($self->{defaults}, @rest);
    local $options->{flags} = $options->{flags} | FLAG_DETACHED;
    my $record = $self->_offer($code, $arguments, $options, $options->{wants_list});
    $self->session->wait_for($record);
    die Argon::Client::Result::error($record) if $record->[TASK_STATUS] != STATUS_OK;
    return unpack 'H*', $record->[TASK_ID];
}

sub collect {
    my ($self, $id) = @_;
    return $self->collect_later($id)->get;
}

sub collect_later {
    my ($self, $id) = @_;
    die Argon::Error->new(kind => 'option', message => 'Argon::Client: collect needs the id that submit returned')
        if !defined $id || $id !~ /\A[0-9a-f]{48}\z/;
    my $session = $self->session;
    $session->connect;
    my $record = [pack 'H*', $id];
    $record->[TASK_WANTS_LIST] = 1;
    $session->collect($record);
    return Argon::Deferred->new($record, $self);
}

sub map {
    my ($self, @call) = @_;
    my $map   = $self->_map(@call);
    my $final = $map->final;
    # Whatever ends the waiting, an interrupt too, ends the tasks.
    if (!eval { $map->go_on; $self->{session}->wait_for($final); 1 }) {
        my $error = $@;
        $map->stop($error);
        die $error;
    }
    my @results = Argon::Client::Result::deliver($final);
    return wantarray ? @results : $map->gives_count ? $results[0] : \@results;
}

sub map_later {
    my ($self, @call) = @_;
    Argon::Client::Loop::of_loaded($self->session) if !$self->{session}{loops};
    my $map = $self->_map(@call);
    $map->go_on;
    $self->{session}->flush;
    return Argon::Deferred->new($map->final, $self);
}

sub _map {
    my ($self, $code, $items, @rest) = @_;
    my $options = Argon::Client::Options::from_call($self->{defaults}, @rest);
    return Argon::Client::Map->new(
        items   => $items,
        options => $options,
        session => $self->session,
        offer   => sub { return $self->_offer($code, $_[0], $options, $options->{wants_list}) },
    );
}

# All that is known of the failure that was thrown last, an Argon::Error; undef when there was none.
sub last_failure {
    my ($self) = @_;
    my $record = $self->{failed} or return;
    return Argon::Client::Result::failure($record);
}

# What is known of the task that threw last, a hash reference; undef when none did.
sub last_report {
    my ($self) = @_;
    my $record = $self->{failed} or return;
    return Argon::Deferred->new($record, $self)->report;
}

sub server_status {
    my ($self) = @_;
    my $session = $self->session;
    $session->connect;
    my $record = [];
    $session->ask(status => $record);
    $session->wait_for($record);
    my ($reply) = @{ $record->[TASK_LIST] || [] };
    die Argon::Client::Result::error($record) if !$reply;
    die Argon::Error->new(kind => 'rejected', message => $reply->{message} // 'the manager gives no status') if !$reply->{ok};
    delete @{$reply}{qw(request ok)};
    return wantarray ? %{$reply} : $reply;
}

# Writes what still waits to be sent together with later tasks.
sub flush {
    my ($self) = @_;
    $self->session->poll;
    return $self;
}

sub shutdown {
    my ($self) = @_;
    $self->session->close;
    return;
}

# How many tasks have no outcome yet.
sub unfinished { return $_[0]->session->unfinished }

sub session {
    my ($self) = @_;
    my $session = $self->{session};
    $session->begin_after_fork if $session->{process} != $$;
    return $session;
}

# Makes the record of a task and its frame, and hands it to the session.
sub _offer {
    my ($self, $code, $arguments, $options, $wants_list) = @_;
    my $session = $self->{session};
    $session->begin_after_fork if $session->{process} != $$;
    my ($blob, $captures, $meta) = $self->{code}->prepare($code);
    $meta = _with_label($meta, $options->{label}) if defined $options->{label};
    $meta = q{} if !defined $meta;
    my $payload = Argon::Data::encode([$captures, $arguments || []]);
    my $length  = length $payload;
    _refuse_size($length) if $length > PAYLOAD_BYTES_MAX;

    my $id   = $session->next_id;
    my $body = TASK_HEAD_BYTES + ($blob ? 32 : 0) + length $meta;
    my $big  = $length > PART_BYTES_MAX;
    my $frame = pack 'N C a24 N n C C N n C C N N N N Q> a* a*', 1 + $body + ($big ? 0 : $length), SUBMIT, $id, 0,
        $options->{flags} | ($wants_list ? FLAG_LIST : 0), $options->{priority}, RUNTIME_PERL, $options->{timeout_ms},
        $options->{retries}, CODEC_RUNTIME, $blob ? 1 : 0, $options->{backoff_ms}, $options->{memory_mib}, length $meta,
        0, $length, $blob ? $blob->[0] : q{}, $meta;
    $frame .= $payload if !$big;

    my @record;
    @record[TASK_ID, TASK_FRAME, TASK_BLOB, TASK_BYTES, TASK_OPTIONS, TASK_WANTS_LIST]
        = ($id, $frame, $blob, $length, $options, $wants_list);
    $record[TASK_BIG] = \$payload if $big;
    $session->offer(\@record);
    return \@record;
}

sub _with_label {
    my ($meta, $label) = @_;
    require JSON::PP;
    my $json = JSON::PP->new->utf8->canonical;
    return $json->encode({ %{ defined $meta ? $json->decode($meta) : {} }, label => $label });
}

sub _refuse_size {
    my ($bytes) = @_;
    die Argon::Error->new(kind => 'option',
        message => "Argon::Client: the arguments take $bytes bytes, more than the " . PAYLOAD_BYTES_MAX . ' that one task may have');
}

# Whether the id is of a task that this client made.
sub is_own { return index($_[1], unpack 'H*', $_[0]->session->{identity}) == 0 }

sub _speak_as_before {
    my ($self, $version) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: interface must be a version from 0.12 to 0.16, not '$version'")
        if $version !~ /\A0[.]1[2-6]\z/;
    require Argon::Client::Original;
    return bless $self, 'Argon::Client::Original';
}

sub DESTROY {
    my ($self) = @_;
    delete $alive{ Scalar::Util::refaddr($self) };
    my $session = $self->{session} or return;
    return if $session->{process} != $$ || ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!, $?);
    eval { $session->close };
    return;
}

END {
    local ($@, $!, $?);
    for my $client (grep {defined} values %alive) {
        next if $client->{session}{process} != $$;
        eval { $client->{session}->close };
    }
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Client - call functions on a cluster

=head1 SYNOPSIS

  use Argon::Client;

  my $client = Argon::Client->new(host => 'mgrhost', port => 8000);

  # Send a task and wait for its value.
  my $sum = $client->queue(sub { my ($x, $y) = @_; return $x + $y }, [4, 7]);

  # Send it off, do something else, wait when the value is needed.
  my $deferred = $client->defer(sub { my ($x, $y) = @_; return $x + $y }, [4, 7]);
  my $same     = $deferred->();

  # Many at once, results in order.
  my @sizes = $client->map(sub { -s $_[0] }, \@files);

  # With options.
  my $page = $client->queue('My::Fetch', [$url], { timeout => 10, retries => 2, priority => 'high' });

=head1 DESCRIPTION

A client hands functions and their arguments to a manager (or to a stand-alone worker) and gives back what they return, or
throws what they threw. The code travels with the variables it captured; see L<Argon::Code> for what can travel and what is
refused. It needs nothing but core modules.

The client keeps each task until its outcome is in hand. When the connection is lost it comes back by itself, to the same
or another address of its list, and offers the unfinished tasks again under the same ids: callers notice nothing but time.

With L<Coro> loaded, whoever waits lets other threads run. Otherwise waiting blocks. Event loops can drive the client, see
L<Argon::Client::Manual/EVENT LOOPS>.

=head1 CONSTRUCTOR

=head2 new(%options), new($host, $port, %options)

Makes a client. The connection is made by the first call that needs it, or by C<connect>.

=over 4

=item host, port

The manager's address; default 127.0.0.1 and 8000. C<host> may be C<name:port>, C<[::1]:8000>.

=item hosts

Several managers, C<['a:8000', 'b:8000']>, tried in turn.

=item key

The cluster key: a file, or the line C<argon1-...> itself. Without it the environment variable C<ARGON_KEY> is used (either
of the two), then the file F<argon/key> in C<$XDG_CONFIG_HOME> or F<~/.config>, where a manager of the same user puts it.

=item give_up_after

Seconds to look for a manager before a waiting call dies with L<Argon::Error> of the kind C<unreachable>. Default: about one
second for the first connection; for ever after a connection was lost. The tasks stay; the next call looks again.

=item connect

True: connect now.

=item loop

The event loop that drives this client: C<AnyEvent>, C<IO::Async>, C<Mojo>, or a loop object of the latter two. With it not
even the first task waits for a connection. See L<Argon::Client::Manual/EVENT LOOPS>.

=item interface

A version from C<0.12> to C<0.16>: the client behaves as it did then, see L<Argon::Client::Manual/OLD SCRIPTS>.

=item remote_modules

False: never give the text of this program's modules to tasks that lack them. Default true.

=back

Every option of a task, see L<Argon::Client::Manual/OPTIONS OF A TASK>, may be given too and is the default for all tasks of
this client.

=head1 TASKS

A task is given as

=over 4

=item * a code reference;

=item * the name of a class: C<< My::Task->new(@args)->run >> is what runs;

=item * the full name of a function, C<'My::Module::function'>.

=back

Classes and functions of a module file are loaded by the worker, from its own C<@INC> or, if it lacks them, with the text that
this client gives. Those that exist only in your script travel as code does.

Arguments are an array reference. After it comes a hash reference of options, or, in the manner of older versions, a
priority and the number of tries:

  $client->queue($code, \@args, $Argon::PRI_HIGH, 10);

=head2 queue($code, \@args, \%options)

Waits for the value and returns it. The task runs in the context of the call, list or scalar.

=head2 defer($code, \@args, \%options)

Returns an L<Argon::Deferred> at once. The task runs in scalar context unless C<< context => 'list' >>.

Many tasks deferred in a loop are sent together. On Linux the last of them go out within 0.2 seconds at the latest, whatever
the program does next; elsewhere a small share waits for the next call of any method, such as C<flush>.

=head2 map($code, \@items, \%options)

Calls the code for each item, which is its only argument, and returns the results; an array reference in scalar context.
Instead of an array reference it takes an iterator: a code reference that returns the next item, and an empty list at the
end. The first error is thrown, and what was under way is cancelled; so it is when a signal handler dies meanwhile.

=over 4

=item ahead

How many items may have been taken whose results were not handed on yet; default 1000.

=item order

C<given>: results in the order of the items, the default. C<completed>: as they come.

=item on_result

A code reference, called for each result with the index of the item and the value (or list). The results are not kept, so that
a million items need no memory; C<map> then returns their number.

=item progress

A code reference, called after each result with the number of results and of items (C<undef> with an iterator).

=back

=head2 map_later($code, \@items, \%options)

The same without waiting: an L<Argon::Deferred> of the list.

=head2 submit($code, \@args, \%options)

Hands over a detached task, which outlives this client, and returns its id, 48 hexadecimal digits, once the manager has it
safely.

=head2 collect($id)

Waits for the outcome of a detached task, from any process that holds the key, and returns it as C<queue> does.
C<collect_later($id)> returns a deferred for it.

=head2 process($code, \@args, \%options)

The same as C<queue>.

=head1 OTHER METHODS

=head2 connect

Connects now, or dies with a sentence.

=head2 server_status

A hash (a reference in scalar context) of at least C<workers>, C<total_capacity>, C<current_capacity>, C<queue_length> and
C<pending>.

=head2 flush

Writes what waits to be sent, and reads what has come.

=head2 unfinished

The number of tasks whose outcome is not here yet.

=head2 last_failure

All that is known of the failure that came last out of C<queue> or a deferred's C<get>: an L<Argon::Error>, as
L<Argon::Deferred/failure> gives it. C<$@> is what the task threw; this says where, on which worker, after which output:

  eval { $client->queue($code, \@args, { stack => 1 }) } or warn $client->last_failure;

=head2 last_report

What is known of the task that threw last out of C<queue> or a deferred's C<get>: the hash reference of
L<Argon::Deferred/report>. For a thrown string, which has no place for more, this tells the worker, process and attempt.

=head2 is_own($id)

Whether the id is of a task that this client made.

=head2 session

For L<Argon::Deferred>.

=head2 shutdown

Says goodbye: unfinished tasks are cancelled, and their deferreds throw L<Argon::Error> of the kind C<cancelled>. The same
happens when the client goes out of scope and at the end of the program. Detached tasks go on.

=head1 ERRORS

What a task threw is thrown again: the same string, with its file and line, or an object of the same class. Everything else is
an L<Argon::Error>. Code or arguments that cannot travel, and wrong options, are refused at the call.

For the stack of the task's own calls say C<< local $SIG{__DIE__} = \&Carp::confess >> in it: the lines are those of your files.

=head1 FORK

A forked child must not use its parent's connection, and does not: its first call begins a session of its own. The parent's
unfinished tasks stay the parent's; to wait for one in the child throws an L<Argon::Error> of the kind C<lost>.

=head1 SEE ALSO

L<Argon::Client::Manual> for the options of a task, its output, event loops and old scripts.

L<Argon>, L<Argon::Deferred>, L<Argon::Error>, L<Argon::Simple>

=cut
