package Argon::Client::Session::WaitingReasons;

# Owns what a caller that waits longer than two seconds learns: when the manager is asked why nothing comes, and which of the
# reasons have been reported already. What the client knows by itself, a manager that is away or a full queue, it reports without
# asking. Argon::Client::Session calls it from its rounds.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol::Text ();

# A variable of the package, so that tests need not wait that long.
our $FIRST_S = 2;
my $NEXT_S_MAX = 30;
# A reason is reported again after outcomes have arrived, but not at once.
my $TELL_AGAIN_S = 10;

# A program that is busy needs no word about it; a hook gets these too.
my %IS_QUIET = map { $_ => 1 } qw(busy delayed);

# With the option on_waiting of Argon::Client: 'print', a code reference, or undef.
sub new {
    my ($class, $listener) = @_;
    return bless { listener => $listener, waiters => 0, since => undef, at => undef, pause => 0, told => {}, rejected => undef, rejections => 0, counted => 0, progress => 0, is_asked => 0, is_unknown => 0 }, $class;
}

# Somebody waits from now on; and no longer.
sub begin {
    my ($self) = @_;
    return if !$self->{listener};
    $self->_start(Time::HiRes::time()) if !$self->{waiters}++ && !defined $self->{since};
    return;
}

sub end {
    my ($self) = @_;
    return if !$self->{listener} || --$self->{waiters};
    @{$self}{qw(since at)} = () if !$self->{is_driven};
    return;
}

# An event loop waits as long as something is unfinished.
sub driven {
    my ($self, $is_busy) = @_;
    return if !$self->{listener} || !$is_busy == !$self->{is_driven};
    $self->{is_driven} = $is_busy;
    if    (!$is_busy)                 { @{$self}{qw(since at)} = () if !$self->{waiters} }
    elsif (!defined $self->{since}) { $self->_start(Time::HiRes::time()) }
    return;
}

# Something came.
sub progress {
    my ($self, $now) = @_;
    $self->{progress} = $now;
    return $self->_start($now);
}

sub _start {
    my ($self, $now) = @_;
    @{$self}{qw(since at pause)} = ($now, $now + $FIRST_S, 0);
    return;
}

# The manager did not take a task, which is offered again later.
sub rejected {
    my ($self, $report) = @_;
    $self->{rejected} = $report;
    $self->{rejections}++;
    return;
}

# Time of the next action; undef while no one waits.
sub at { return $_[0]{at} }

# Asks the manager if that is due, and reports what is known here.
sub act {
    my ($self, $session, $now) = @_;
    return if $now < $self->{at};
    # 2, 4, 8, 16, and then every 30 s.
    $self->{pause} = $self->{pause} ? $self->{pause} * 2 : $FIRST_S;
    $self->{pause} = $NEXT_S_MAX if $self->{pause} > 16;
    $self->{at}    = $now + $self->{pause};
    if (!$session->{link}) {
        my $failure = $session->{reconnect}->failure;
        (my $message = $failure // "the connection to the manager was lost") =~ s/[.\s]+\z//;
        return $self->_tell([{ code => 'manager_away', message => lcfirst($message) . '; trying until it answers' }]);
    }
    my @known = @{ $session->{held_back} } ? _of_rejection($self->{rejected}) : ();
    return $self->_tell(\@known, 1) if $self->{is_unknown};
    my $where = $session->{link}{where};
    # The manager has not answered since the last look.
    return $self->_tell([@known, { code => 'manager_away', message => "the manager at $where does not answer" }])
        if $self->{is_asked};
    $self->{is_asked} = 1;
    my @request;
    $request[TASK_CALLBACKS] = [sub { $self->_on_reply($request[TASK_LIST], $where, \@known); @request = (); return }];
    return $session->ask(waiting => \@request);
}

sub _on_reply {
    my ($self, $list, $where, $known) = @_;
    $self->{is_asked} = 0;
    my $reply = $list ? $list->[0] : undef;
    # An older manager does not know the question.
    $self->{is_unknown} = 1 if $reply && !$reply->{ok};
    my $states = $reply && $reply->{ok} && ref $reply->{waiting} eq 'ARRAY' ? $reply->{waiting} : [];
    return if !defined $self->{since};    # what was waited for has come meanwhile
    my @states = map { _state($_) } @{$states};
    # The manager does not know under which address it is seen from here.
    $_->{message} =~ s/HOST:PORT/$where/ for grep { defined $_->{message} && defined $where } @states;
    return $self->_tell([@{$known}, @states], 1);
}

# A state of the manager's reply, with text that is fit to be printed; nothing for what is not one.
sub _state {
    my ($given) = @_;
    return if ref $given ne 'HASH' || !defined $given->{code} || ref $given->{code};
    return { map { $_ => Argon::Protocol::Text::lines($given->{$_}) } grep { defined $given->{$_} && !ref $given->{$_} } keys %{$given} };
}

# From the report of a rejected outcome, JSON.
sub _of_rejection {
    my ($report) = @_;
    my $facts = Argon::Protocol::Text::report($report // q{});
    return { code => $facts->{code} // 'queue_full', message => $facts->{message} // 'the manager has no room for the task' };
}

# Reports what is new. With the whole of the reasons, those that are not among them have passed. That tasks are rejected has not,
# if one was since the last time: it may be on its way to the manager again, just now.
sub _tell {
    my ($self, $states, $are_all) = @_;
    my $now  = Time::HiRes::time();
    my %told = %{ $self->{told} };
    if ($are_all) {
        my $name = $self->{rejections} > $self->{counted} ? _name(_of_rejection($self->{rejected})) : undef;
        %told = defined $name && $told{$name} ? ($name => $told{$name}) : ();
        $self->{counted} = $self->{rejections};
    }
    for my $state (@{$states}) {
        my $name   = _name($state);
        my $before = $self->{told}{$name};
        my $is_new = !defined $before || $self->{progress} > $before && $now - $before > $TELL_AGAIN_S;
        $told{$name} = $is_new ? $now : $before;
        $self->_say($state) if $is_new;
    }
    $self->{told} = \%told;
    return;
}

sub _name { my ($state) = @_; return join ' ', $state->{code}, $state->{runtime} // q{} }

sub _say {
    my ($self, $state) = @_;
    my $message = $state->{message} // $state->{code};
    if (ref $self->{listener}) {
        local ($@, $!, $?);
        eval { $self->{listener}->($message, { %{$state} }); 1 } or warn "The on_waiting of an Argon client died: $@";
        return;
    }
    return if $IS_QUIET{ $state->{code} };
    my $line = "argon: waiting: $message\n";
    utf8::encode($line) if !grep { $_ eq 'utf8' } PerlIO::get_layers(*STDERR, output => 1);
    local ($\, $,);
    print {*STDERR} $line;
    return;
}

1;
