package Argon::Client::Session::Reconnect;

# Owns finding a manager: which address next, how long to pause, when to give up. Argon::Client::Session calls try until
# it returns a link. The first connection of a client fails soon with an error; a lost one is retried for ever, unless
# give_up_after bounds it.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Client::Net::Dial ();
use Argon::Client::Wait ();
use Argon::Error ();

my $FIRST_S      = 1;
my $PAUSE_S      = 0.05;
my $PAUSE_S_MAX  = 2;
my $REFUSALS_MAX = 5;

sub new {
    my ($class, $addresses, $key, $give_up_after, $trust) = @_;
    my $self = bless { addresses => [@{$addresses}], key => $key, give_up_after => $give_up_after, trust => $trust }, $class;
    return $self->restart;
}

sub restart {
    my ($self) = @_;
    @{$self}{qw(connected tries since next_at dial failure)} = (0, 0, undef, 0, undef, undef);
    return $self;
}

# One try, after the pause that is due. A link and what the manager granted; nothing when there is none yet; dies when it
# gives up. For a caller that does not wait a try takes several calls.
sub try {
    my ($self, $without_waiting) = @_;
    my $now = Time::HiRes::time();
    $self->{since} = $now if !defined $self->{since};
    if (!$self->{dial} && $now < $self->{next_at}) {
        return if $without_waiting;
        Argon::Client::Wait->choose->pause($self->{next_at} - $now);
    }
    my @found;
    my $ok = eval {
        my $dial = $self->{dial} ||= $self->_begin($self->{addresses}[0]);
        @found = $without_waiting ? $dial->step : $dial->finish;
        1;
    };
    return if $ok && !@found;
    my $failure = $@;
    $self->{dial} = undef;
    if ($ok) {
        @{$self}{qw(connected tries since failure)} = (1, 0, undef, undef);
        return @found;
    }
    $self->{tries}++;
    $self->{next_at} = Time::HiRes::time() + $self->_pause;
    die $failure if ref $failure ne 'Argon::Client::Net::Dial::Failure';
    $self->{failure} = $failure->{sentence};
    push @{ $self->{addresses} }, shift @{ $self->{addresses} };
    # A task has a worker, which has a manager or finds one.
    my $is_sought = $self->{connected} || ref $self->{addresses}[0] ne 'ARRAY';
    my $patience  = defined $self->{give_up_after} ? $self->{give_up_after} : $is_sought ? undef : $FIRST_S;
    my $waited   = Time::HiRes::time() - $self->{since};
    if ($failure->{for_good} || defined $patience && $waited >= $patience) {
        my $sentence = $failure->{sentence};
        $sentence .= sprintf ' Gave up after %.1f s.', $waited if !$failure->{for_good} && defined $self->{give_up_after};
        @{$self}{qw(tries since)} = (0, undef);
        die Argon::Error->new(kind => 'unreachable', message => $sentence);
    }
    return;
}

sub _begin {
    my ($self, $address) = @_;
    return Argon::Client::Net::Dial->begin($address, $self->{key}, $self->{trust}) if ref $address eq 'ARRAY';
    require Argon::Client::Net::WorkerDial;
    return Argon::Client::Net::WorkerDial->begin($address);
}

# Why the last try failed, a sentence; undef when none did since there was a connection.
sub failure { return $_[0]{failure} }

# For an event loop: the handle to watch, whether to write, and the time at which to try in any case.
sub wishes {
    my ($self) = @_;
    my $dial = $self->{dial} or return (undef, 0, $self->{next_at});
    return ($dial->handle, $dial->wants_write, $dial->deadline);
}

# The connection ended. A manager that refuses again and again, after it has let us in, will not change its mind.
sub lost {
    my ($self, $reason, $refusals, $is_refused) = @_;
    # At once after a loss: the manager may be back already. Not so after a refusal.
    $self->{next_at} = $is_refused ? Time::HiRes::time() + $PAUSE_S_MAX * rand : 0;
    die Argon::Error->new(kind => 'unreachable', message => "The connection is refused again and again: $reason")
        if $refusals >= $REFUSALS_MAX;
    return;
}

# Full jitter over half of the interval, so that clients of a restarted manager do not all come at once.
sub _pause {
    my ($self) = @_;
    my $pause = $PAUSE_S * 2**($self->{tries} > 8 ? 7 : $self->{tries} - 1);
    $pause = $PAUSE_S_MAX if $pause > $PAUSE_S_MAX;
    return $pause * (0.5 + rand 0.5);
}

1;
