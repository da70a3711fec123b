package Argon::Deferred;

# Owns the handle on one task under way: a callable that waits for the outcome, with methods to look, wait, chain and
# cancel. It holds the task's record and the client, so that the client lives as long as somebody can ask.

use strict;
use warnings;

use overload '&{}' => sub { my $self = shift; return sub { return $self->get } }, fallback => 1;

use Scalar::Util ();

use Argon::Client::Loop   ();
use Argon::Client::Result ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Client::Wait::Leaving ();
use Argon::Protocol qw(:all);

# [record, client, what happens when the handle is dropped]
sub new {
    my ($class, $record, $client) = @_;
    return bless [$record, $client], $class;
}

sub get {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $self->_wait if !$record->[TASK_DONE];
    $client->{failed} = $record if $record->[TASK_STATUS] != STATUS_OK;
    return Argon::Client::Result::deliver($record);
}

sub is_ready {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $client->session->poll if !$record->[TASK_DONE];
    return $record->[TASK_DONE] ? 1 : 0;
}

sub on_ready {
    my ($self, $callback) = @_;
    my ($record, $client) = @{$self};
    if ($record->[TASK_DONE]) {
        $callback->($self);
        return $self;
    }
    push @{ $record->[TASK_CALLBACKS] }, sub { $callback->($self) };
    Argon::Client::Loop::of_loaded($client->session) if !$client->session->{loops};
    return $self;
}

sub then {
    my ($self, $on_value, $on_error) = @_;
    my ($record, $client) = @{$self};
    my $derived = [];
    $derived->[TASK_WANTS_LIST] = $record->[TASK_WANTS_LIST];
    my $result = ref($self)->new($derived, $client);
    # Cancelling the derived value, or leaving the wait for it, cancels the task.
    $derived->[TASK_LEFT] = sub { return $self->cancel };
    $self->on_ready(sub { _derive($record, $derived, $client, $on_value, $on_error) });
    return $result;
}

# For adapters: the values or what was thrown, to one of two handlers. An Argon::Error names the place that asked for it.
sub on_outcome {
    my ($self, $place, $on_value, $on_error) = @_;
    my $record = $self->[0];
    return $self->on_ready(sub {
        return $on_value->(Argon::Client::Result::deliver($record)) if $record->[TASK_STATUS] == STATUS_OK;
        my $error = Argon::Client::Result::error($record);
        @{$error}{qw(file line)} = @{$place} if Scalar::Util::blessed($error) && $error->isa('Argon::Error');
        return $on_error->($error);
    });
}

sub condvar {
    my ($self) = @_;
    $self->[1]->session->attach('AnyEvent');
    return Argon::Client::Loop::AnyEvent::condvar($self, [(caller)[1, 2]]);
}

sub future {
    my ($self) = @_;
    require Argon::Client::Loop::Future;
    return Argon::Client::Loop::Future::future($self, [(caller)[1, 2]], $self->[1]);
}

sub promise {
    my ($self) = @_;
    my $loop = $self->[1]->session->attach('Mojo');
    return Argon::Client::Loop::Mojo::promise($self, [(caller)[1, 2]], $loop->{engine});
}

sub cancel {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $client->session->cancel($record) if !$record->[TASK_DONE];
    return $self;
}

sub id {
    my ($self) = @_;
    my $id = $self->[0][TASK_ID];
    return defined $id ? unpack 'H*', $id : undef;
}

# The thing that get would throw, or undef. Waits.
sub error {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $self->_wait if !$record->[TASK_DONE];
    return Argon::Client::Result::error($record);
}

# The same with all that is known of it, as an Argon::Error; undef when it went well. Waits.
sub failure {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $self->_wait if !$record->[TASK_DONE];
    return Argon::Client::Result::failure($record);
}

sub output {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $self->_wait if !$record->[TASK_DONE];
    return $record->[TASK_OUTPUT] if defined $record->[TASK_OUTPUT];
    my $output = Argon::Client::Result::report($record)->{output};
    return q{} if !defined $output;
    utf8::encode($output) if utf8::is_utf8($output);
    return $output;
}

sub report {
    my ($self) = @_;
    my ($record, $client) = @{$self};
    $self->_wait if !$record->[TASK_DONE];
    return {
        %{ Argon::Client::Result::report($record) },
        status => $Argon::Protocol::STATUS_NAME[$record->[TASK_STATUS]],
        run_us => $record->[TASK_RUN_US],
        $record->[TASK_ATTEMPT] ? (attempt => $record->[TASK_ATTEMPT]) : (),
    };
}

sub _wait {
    my ($self) = @_;
    my ($record, $client, $left) = @{$self};
    $left->forget if $left;
    my $session = $client->session;
    return $session->wait_for($record, Argon::Client::Wait::Leaving->new($session, $record, undef, $self));
}

# A wait was left by an exception, such as that of a time limit: one may wait again, until the handle is dropped.
sub left {
    my ($self, $leaving) = @_;
    $self->[2] = $leaving;
    return;
}

# Passes an outcome on to a derived record: through the handler for it, or as it is.
sub _derive {
    my ($record, $derived, $client, $on_value, $on_error) = @_;
    my $failed  = $record->[TASK_STATUS] != STATUS_OK;
    my $handler = $failed ? $on_error : $on_value;
    my ($ok, @values);
    if ($handler) {
        $ok = eval {
            @values = $handler->($failed ? Argon::Client::Result::error($record) : Argon::Client::Result::deliver($record));
            1;
        };
        @values = ($@) if !$ok;
    }
    else {
        @values = $failed ? (Argon::Client::Result::error($record)) : Argon::Client::Result::deliver($record);
        $ok = !$failed;
    }
    my $next = $values[0];
    if ($ok && Scalar::Util::blessed($next) && $next->isa(__PACKAGE__)) {
        $derived->[TASK_WANTS_LIST] = $next->[0][TASK_WANTS_LIST];
        $next->on_ready(sub { _derive($next->[0], $derived, $client) });
        return;
    }
    $derived->[TASK_LEFT]   = undef;
    $derived->[TASK_STATUS] = $ok ? STATUS_OK : STATUS_ERROR;
    $derived->[TASK_LIST]   = \@values;
    return $client->session->settle_derived($derived);
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Deferred - a task under way

=head1 SYNOPSIS

  my $deferred = $client->defer(sub { slow($_[0]) }, [$input]);

  my $value = $deferred->();        # waits, returns or throws
  my $same  = $deferred->get;       # as often as you like

  print '.' until $deferred->is_ready;
  $deferred->on_ready(sub { print 'done: ', $_[0]->get, "\n" });
  my $length = $deferred->then(sub { length $_[0] })->get;

=head1 DESCRIPTION

L<Argon::Client/defer> returns one of these for each task. It can be called like a function. While it is unfinished, the
client lives on even if you keep nothing but the handle. To drop the handle does not cancel the task, unless a wait for it was left by
an exception, see L<Argon::Client/LEAVING A WAIT>.

=head1 METHODS

=head2 get

Waits until the task has ended and returns its value, or throws what the task threw, every time it is called. A call of the
object, C<< $deferred->() >>, is the same. A task with C<< context => 'list' >> gives its list, in scalar context the last
of it. Throws L<Argon::Error> when the task neither returned nor died by itself.

=head2 is_ready

True once the outcome is here. Looks at the connection, but does not wait.

=head2 on_ready($callback)

Calls back with this object when the outcome is here; at once if it is already. Callbacks run while this program waits for
some task, looks with C<is_ready>, or runs an event loop that drives the client, see L<Argon::Client::Manual/EVENT LOOPS>. Returns the
object.

=head2 then($on_value, $on_error)

A new deferred for what the handler returns: C<$on_value> is called with the task's value (or list), C<$on_error> with what
was thrown. Without the handler the outcome is passed on. A handler that returns a deferred is waited for.

=head2 condvar

A condition variable of L<AnyEvent>: its C<recv> returns the value or throws what the task threw.

=head2 future

A L<Future>: one of L<IO::Async>'s loop if the program has loaded it, so that C<await> runs the loop, else one that waits on
the client's connection. A failure is what the task threw. To cancel the future cancels the task.

=head2 promise

A L<Mojo::Promise>, resolved with the value or list, rejected with what the task threw.

=head2 on_outcome(\@place, $on_value, $on_error)

For adapters to other frameworks: calls one of the handlers, with the value or list or with what was thrown. The place, file
and line, is what an L<Argon::Error> will name.

=head2 cancel

Asks for the task to be cancelled: one that waits is dropped, one that runs is killed. On the handle of C<map_later> or C<then> it
cancels the tasks behind it. C<get> then throws an
L<Argon::Error> of the kind C<cancelled>, unless the task had ended before. Returns at once, with the object.

=head2 id

The task's id, 48 hexadecimal digits; C<undef> for what C<then> returned.

=head2 error

Waits; what C<get> would throw, or C<undef>.

=head2 failure

Waits; C<undef> when the task went well, else all that is known of its end as an L<Argon::Error>. A task that threw has
one of the kind C<error>, with what was thrown in C<thrown>, the last lines that it printed in C<output>, and the
stack of the C<die> in C<stack> if the task had the option C<stack>.

=head2 output

Waits; what a task with the option C<capture> printed, as bytes.

=head2 report

Waits; a hash reference with C<status>, C<run_us> (microseconds in the runner) and whatever of C<worker>, C<host>, C<pid>,
C<attempt>, C<attempts>, C<peak_kib>, C<story> and so on is known.

=head1 SEE ALSO

L<Argon::Client>, L<Argon::Error>

=cut
