package Argon::Client::Wait::Leaving;

# Owns a moment: when a thread stops waiting, for whatever reason, another one may have to take over the socket.

use strict;
use warnings;

sub new { my ($class, $wait) = @_; return bless \$wait, $class }

sub DESTROY { ${ $_[0] }->hand_over; return }

1;
