package Argon::Client::Wait::Lends;

# Owns the time in which a task waits for tasks of its own, so that its slot is free for others: from when one is made until
# it goes away, by the outcome or by an exception. The frame WAITS begins it just before the process sleeps, see
# Argon::Client::Session. Sessions outside of a task lend nothing.

use strict;
use warnings;

sub new {
    my ($class, $session) = @_;
    return if !$session->{task};
    $session->{lends}++;
    return bless [$session], $class;
}

sub DESTROY {
    my ($session) = @{ $_[0] };
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!, $?);
    eval { $session->goes_on; 1 } if !--$session->{lends};
    return;
}

1;
