package Argon::Client::Wait::Block;

# Owns waiting in a plain script: the process sleeps in select. There is only one thread, so nothing is ever parked.

use strict;
use warnings;

use Time::HiRes ();

sub io {
    my ($class, $handle, $want_write, $seconds) = @_;
    my $readable = q{};
    vec($readable, fileno $handle, 1) = 1;
    my $writable = $want_write ? $readable : undef;
    return select $readable, $writable, undef, $seconds;
}

sub pause {
    my ($class, $seconds) = @_;
    Time::HiRes::sleep($seconds);
    return;
}

sub parks     { return 0 }
sub park      { return }
sub wake      { return }
sub hand_over { return }
sub interrupt { return }

1;
