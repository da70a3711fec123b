package Argon::Client::Wait::Long;

# Owns what comes with a wait that is not over in a moment: the word to the manager when a signal ends the program, and the
# reasons why nothing comes. A short wait does without, so that it costs nothing.

use strict;
use warnings;

use Argon::Client::Session::Interrupt ();

sub new {
    my ($class, $session) = @_;
    $session->{reasons}->begin;
    return bless [$session, $session->{on_interrupt} eq 'leave' ? undef : Argon::Client::Session::Interrupt->new], $class;
}

# At the end of the program the parts of a session go in any order.
sub DESTROY { $_[0][0]{reasons}->end if ${^GLOBAL_PHASE} ne 'DESTRUCT'; return }

1;
