package Argon::Client::Map;

# Owns one call of map under way: takes items as there is room, hands on results in the order of the items or as they come,
# and ends its final record with the list, or with the first error after cancelling the rest. It runs on the callbacks of
# its tasks, so that it serves callers that wait and event loops alike.

use strict;
use warnings;

use Argon::Client::Result ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Error ();
use Argon::Protocol qw(:all);

# offer is called with [item] and returns a record; options are those of Argon::Client::Options.
sub new {
    my ($class, %fields) = @_;
    my $items = $fields{items};
    my $self = bless {
        %fields,
        next    => _iterator($items),
        total   => ref $items eq 'ARRAY' ? scalar @{$items} : undef,
        results => [],
        queue   => [],
        ended   => [],
        tasks   => {},
        final   => [],
        (map { $_ => 0 } qw(offered done exhausted busy)),
    }, $class;
    $self->{final}[TASK_WANTS_LIST] = 1;
    # Leaving the wait for the map ends its tasks.
    $self->{final}[TASK_LEFT] = sub { return $self->stop(Argon::Error->new(kind => 'cancelled', message => 'the map was cancelled')) };
    $self->{is_ordered} = $fields{options}{order} ne 'completed';
    return $self;
}

# The record that is done when the map is.
sub final { return $_[0]{final} }

# True if the final value is the number of results, which went to on_result.
sub gives_count { return defined $_[0]{options}{on_result} }

# Takes results that are there and items that there is room for. What the iterator, a callback or a task throws ends all.
sub go_on {
    my ($self) = @_;
    return if $self->{busy} || $self->{final}[TASK_DONE];
    my ($ok, $error);
    {
        local $self->{busy} = 1;
        local $self->{session}{batching} = 1;
        $ok = eval {
            my $moved = 1;
            while ($moved) {
                $moved = $self->_take_results;
                $moved = 1 while $self->_offer_more;
            }
            1;
        };
        $error = $@;
    }
    return $self->stop($error) if !$ok;
    $self->_settle(STATUS_OK, $self->{options}{on_result} ? [$self->{done}] : $self->{results})
        if $self->{exhausted} && $self->{done} == $self->{offered};
    return;
}

# Ends the map with an error and cancels what is under way.
sub stop {
    my ($self, $error) = @_;
    return if $self->{final}[TASK_DONE];
    $self->_settle(STATUS_ERROR, [$error]);
    my @unfinished = grep { !$_->[TASK_DONE] } values %{ $self->{tasks} };
    @{$self}{qw(tasks queue ended)} = ({}, [], []);
    $self->{session}->cancel($_) for @unfinished;
    return;
}

sub _settle {
    my ($self, $status, $list) = @_;
    @{ $self->{final} }[TASK_STATUS, TASK_LIST, TASK_LEFT] = ($status, $list);
    return $self->{session}->settle_derived($self->{final});
}

# True when it offered a task, or found the end.
sub _offer_more {
    my ($self) = @_;
    return 0 if $self->{exhausted} || $self->{offered} - $self->{done} >= $self->{options}{ahead};
    my @item = $self->{next}->();
    if (!@item) {
        # Tasks may have ended while the iterator looked: another turn.
        return $self->{exhausted} = 1;
    }
    my $record = $self->{offer}->(\@item);
    my $index  = $self->{offered}++;
    $self->{tasks}{$index} = $record;
    push @{ $self->{queue} }, $index if $self->{is_ordered};
    if ($record->[TASK_DONE]) { $self->_ended($index) }
    else                      { $record->[TASK_CALLBACKS] = [sub { return $self->_ended($index) }] }
    return 1;
}

# Goes on once for all that ended in the same round: a record that is nothing else follows them in the session's list.
sub _ended {
    my ($self, $index) = @_;
    push @{ $self->{ended} }, $index if !$self->{is_ordered};
    return if $self->{busy} || $self->{is_due}++;
    my @record;
    $record[TASK_CALLBACKS] = [sub { $self->{is_due} = 0; $self->go_on }];
    return $self->{session}->settle(\@record);
}

# True when it took a result.
sub _take_results {
    my ($self) = @_;
    my $took = 0;
    while (defined(my $index = $self->_next_index)) {
        my $record = delete $self->{tasks}{$index};
        my @values = Argon::Client::Result::deliver($record);
        $took = 1;
        $self->{done}++;
        if   (my $on_result = $self->{options}{on_result}) { $on_result->($index, @values) }
        else                                               { push @{ $self->{results} }, @values }
        $self->{options}{progress}->($self->{done}, $self->{total}) if $self->{options}{progress};
    }
    return $took;
}

sub _next_index {
    my ($self) = @_;
    return shift @{ $self->{ended} } if !$self->{is_ordered};
    my $queue = $self->{queue};
    return @{$queue} && $self->{tasks}{ $queue->[0] }[TASK_DONE] ? shift @{$queue} : undef;
}

sub _iterator {
    my ($items) = @_;
    if (ref $items eq 'ARRAY') {
        my $next = 0;
        return sub { return $next < @{$items} ? $items->[$next++] : () };
    }
    return $items if ref $items eq 'CODE';
    die Argon::Error->new(kind => 'option', message => 'Argon::Client: map needs an array reference or an iterator, a code reference');
}

1;
