package Argon::Client::Session::Opening;

# Owns what a client sends first on a new connection: who it is, with the secret that proves it, and what is unfinished. It works
# on the fields of Argon::Client::Session, which calls it.

use strict;
use warnings;

use JSON::PP      ();
use Sys::Hostname ();
use Time::HiRes   ();

use Argon ();
use Argon::Client::Session::Collect ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol qw(:all);

# The link, and what the manager granted in WELCOME. Inside a task the worker answers, and names no incarnation.
sub opened {
    my ($session, $link, $granted) = @_;
    $session->{connections}++;
    $session->settle($session->{first}) if $session->{first} && !$session->{first}[TASK_DONE];
    @{$session}{qw(sent_tasks sent_bytes in_flight)} = (0, 0, 0);
    @{$session}{qw(credit_tasks credit_bytes)} = map { $_ || 0 } @{$granted}{qw(credit_tasks credit_bytes)};
    $link->send_frame(OPEN, JSON::PP->new->utf8->canonical->encode(_introduction($session)));
    $session->{incarnation} = $granted->{incarnation};
    my @unfinished = map { $session->{journal}{$_} } sort keys %{ $session->{journal} };
    $_->[TASK_OUTPUT_BYTES] = undef for @unfinished;    # counted anew on each connection
    my @again  = grep { $_->[TASK_SENT_ON] && !$_->[TASK_HELD_BACK] && !$_->[TASK_COLLECTS] } @unfinished;
    my @unsent = grep { !$_->[TASK_SENT_ON] && !$_->[TASK_HELD_BACK] && !$_->[TASK_COLLECTS] } @unfinished;
    $session->{backlog} = [@again, 'OFFERED', @unsent];
    Argon::Client::Session::Collect::ask($link, $_) for grep { $_->[TASK_COLLECTS] } @unfinished;
    $link->{out} .= $_->[TASK_FRAME] for values %{ $session->{requests} };
    $session->{heard} = Time::HiRes::time();
    return $session->{link} = $link;
}

# The fields of OPEN. "previous" is the manager's process that this session was last connected to.
sub _introduction {
    my ($session) = @_;
    return {
        session => unpack('H*', $session->{identity}),
        secret  => unpack('H*', $session->{secret}),
        client  => "perl/$Argon::VERSION",
        host    => Sys::Hostname::hostname(),
        pid     => $$,
        $session->{on_interrupt} eq 'cancel' && defined _pid_space() ? (pid_space => _pid_space()) : (),
        defined $session->{incarnation} ? (previous => $session->{incarnation}) : (),
    };
}

# What a process id is to be read in: with it, the manager of this machine sees that this process has ended. undef where the system
# does not show it.
my $pid_space;

sub _pid_space {
    return $pid_space if defined $pid_space;
    my $namespace = readlink '/proc/self/ns/pid';
    open my $file, '<', '/proc/sys/kernel/random/boot_id' or return;
    chomp(my $start = readline($file) // return);
    return defined $namespace ? $pid_space = "$start $namespace" : undef;
}

1;
