package Argon::Client::Wait;

# Owns the choice of how a caller waits: blocking, or letting other threads run. Each way is a small class below this
# name; to add one for an event loop, write its class with the five functions and add it here.
#
#   io($handle, $want_write, $seconds)   waits until the handle can be read (or written), or the time is over
#   pause($seconds)                      waits for the time
#   parks                                true if other threads can wait while one has the socket
#   park($record), wake($record)         waits for the record; wakes those who wait for it
#   hand_over, interrupt                 wakes one parked thread; ends the wait of the thread that has the socket

use strict;
use warnings;

use Argon::Client::Wait::Block ();

# The class for the program as it is now: Coro may be loaded at any time.
sub choose {
    return 'Argon::Client::Wait::Block' if !$INC{'Coro.pm'};
    if (!$INC{'Argon/Client/Wait/Threads.pm'}) {
        require Argon::Client::Wait::Threads;
    }
    return 'Argon::Client::Wait::Threads';
}

1;
