package Argon::Client::Map;

# Owns one call of map under way: takes items as there is room, one or several for a task, hands on results in the order of the
# items or as they come, and ends its final record with the list, or with the first error after cancelling the rest. It runs on
# the callbacks of its tasks, so that it serves callers that wait and event loops alike.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Client::Map::Pace ();
use Argon::Client::Result ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Error ();
use Argon::Protocol qw(:all);

# Chunks of a list that may be under way beyond the items that may be, and the items of each.
my $LIST_CHUNKS    = 32;
my $LIST_CHUNK_MAX = 10_000;

# offer is called with [item], or with [limit, items] for a task of several, and returns a record; options are those of
# Argon::Client::Options; chunk is an Argon::Client::Map::Chunk, or undef if each item is a task.
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
        came    => [],
        parts   => {},
        final   => [],
        (map { $_ => 0 } qw(offered done exhausted busy)),
    }, $class;
    $self->{final}[TASK_WANTS_LIST] = 1;
    # Leaving the wait for the map ends its tasks.
    $self->{final}[TASK_LEFT] = sub { return $self->stop(Argon::Error->new(kind => 'cancelled', message => 'the map was cancelled')) };
    $self->{is_ordered} = $fields{options}{order} ne 'completed';
    $self->{pace} = Argon::Client::Map::Pace->new($fields{options}{chunk}, defined $self->{total} ? undef : $fields{options}{ahead}) if $self->{chunk};
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
    my @unfinished = grep { !$_->[TASK_DONE] } map { $_->{record} } values %{ $self->{parts} };
    @{$self}{qw(parts queue ended came)} = ({}, [], [], []);
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
    return 0 if $self->{exhausted};
    $self->_open(shift @{ $self->{came} }) while @{ $self->{came} };
    my $room = $self->{options}{ahead} - ($self->{offered} - $self->{done});
    # A list is here already. Of its chunks there may be enough to keep workers busy, however many items they have.
    $room = $LIST_CHUNK_MAX if $self->{pace} && defined $self->{total} && keys %{ $self->{parts} } < $LIST_CHUNKS;
    return 0 if $room <= 0;
    my @items = $self->_next_items($room);
    # Tasks may have ended while the iterator looked: another turn.
    return 1 if !@items;
    my $first = $self->{offered};
    $self->{offered} += @items;
    my @parts = $self->_offer($first, \@items);
    push @{ $self->{queue} }, @parts if $self->{is_ordered};
    return 1;
}

sub _next_items {
    my ($self, $room) = @_;
    my $size = $self->{pace} ? $self->{pace}->size : 1;
    $size = $room if $size > $room;
    my @items;
    # An iterator may be slow: what it has given is not kept from the workers.
    my $until = $size > 1 && !defined $self->{total} ? Time::HiRes::time() + Argon::Client::Map::Pace::LIMIT_S : undef;
    while (@items < $size) {
        my @item = $self->{next}->();
        if (!@item) {
            $self->{exhausted} = 1;
            last;
        }
        push @items, $item[0];
        last if defined $until && Time::HiRes::time() > $until;
    }
    return @items;
}

# Offers items as one task, or, where that is refused, as one each. Returns the parts in order.
#
# A part: the place of its first item, its items, its record; once a task of several items has ended also the records of those
# that were called (outcomes) and the parts with the others (rest).
sub _offer {
    my ($self, $first, $items) = @_;
    my $record = @{$items} == 1 ? $self->{offer}->($items) : $self->_offer_chunk($items);
    return map { $self->_offer($first + $_, [$items->[$_]]) } 0 .. $#{$items} if !$record;
    my $part = { first => $first, items => $items, record => $record };
    $self->{parts}{$part} = $part;
    if ($record->[TASK_DONE]) { $self->_ended($part) }
    else                      { $record->[TASK_CALLBACKS] = [sub { return $self->_ended($part) }] }
    return $part;
}

# Goes on once for all that ended in the same round: a record that is nothing else follows them in the session's list.
sub _ended {
    my ($self, $part) = @_;
    push @{ $self->{ended} }, $part if !$self->{is_ordered};
    push @{ $self->{came} },  $part if $self->{chunk};
    return if $self->{busy} || $self->{is_due}++;
    my @record;
    $record[TASK_CALLBACKS] = [sub { $self->{is_due} = 0; $self->go_on }];
    return $self->{session}->settle(\@record);
}

# Undef if one of the items cannot travel: as a task of its own it is refused in words that name it.
sub _offer_chunk {
    my ($self, $items) = @_;
    my $record = eval { $self->{offer}->([$self->{pace}->limit, $items]) };
    die $@ if !$record && $@ !~ /cannot travel|the arguments take/;
    return $record;
}

# Reads what has become of the items of a task, once, and offers those that were not called.
sub _open {
    my ($self, $part) = @_;
    return if $part->{outcomes};
    my ($record, $items) = @{$part}{qw(record items)};
    my $outcomes = $part->{outcomes} = @{$items} == 1 ? [$record] : $self->{chunk}->outcomes($record);
    my $called   = @{$outcomes};
    # Where such a task fails, its items are tasks of their own, as all after them.
    if    (!$called)      { $self->{pace} = undef }
    elsif ($self->{pace}) { $self->{pace}->learn($called, $record->[TASK_RUN_US]) }
    return if $called == @{$items} || $called && ref $outcomes->[-1] && $outcomes->[-1][TASK_STATUS] != STATUS_OK;
    # The next of them may be slow, too: what was called in this time is the most that waits for it.
    my $size = $self->{pace} ? $self->{pace}->size : 1;
    $size = $called if $called && $size > $called;
    for (my $at = $called; $at < @{$items}; $at += $size) {
        my $last = $at + $size > @{$items} ? $#{$items} : $at + $size - 1;
        push @{ $part->{rest} }, $self->_offer($part->{first} + $at, [@{$items}[$at .. $last]]);
    }
    return;
}

# True when it took a result.
sub _take_results {
    my ($self) = @_;
    my $took = 0;
    $self->_open(shift @{ $self->{came} }) while @{ $self->{came} };
    while (my $part = $self->_next_part) {
        $took = 1;
        $self->_open($part);
        delete $self->{parts}{$part};
        unshift @{ $self->{queue} }, @{ $part->{rest} || [] } if $self->{is_ordered};
        my $index = $part->{first};
        $self->_take($index++, $_) for @{ $part->{outcomes} };
    }
    return $took;
}

# An outcome is a record, or a value.
sub _take {
    my ($self, $index, $outcome) = @_;
    my @values = ref $outcome ? Argon::Client::Result::deliver($outcome) : $outcome;
    $self->{done}++;
    if   (my $on_result = $self->{options}{on_result}) { $on_result->($index, @values) }
    else                                               { push @{ $self->{results} }, @values }
    $self->{options}{progress}->($self->{done}, $self->{total}) if $self->{options}{progress};
    return;
}

sub _next_part {
    my ($self) = @_;
    return shift @{ $self->{ended} } if !$self->{is_ordered};
    my $queue = $self->{queue};
    return @{$queue} && $queue->[0]{record}[TASK_DONE] ? shift @{$queue} : undef;
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
