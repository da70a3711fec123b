package Argon::Error;

# Owns the exception for everything that is not the task's own error: a runner that died, a time limit, a cancel, a lost
# task, a full queue, a manager out of reach. An error of the task itself is thrown again as it was, not as this.

use strict;
use warnings;

use Argon::Protocol::Text ();

use overload '""' => sub { return $_[0]->text }, 'bool' => sub { return 1 }, fallback => 1;

my @FIELDS = qw(
    kind message task worker host pid attempt attempts signal exit_code output class stack thrown peak_kib peak_by
    limit_kib cpu_ms cpu_by run_ms story
);

# Takes the fields by name. The place is that of the first caller outside Argon.
sub new {
    my ($class, %fields) = @_;
    my $self = bless {%fields}, $class;
    @{$self}{qw(file line)} = _place() if !defined $self->{file};
    return $self;
}

BEGIN {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    for my $field (qw(
        kind message task worker host pid attempt attempts signal exit_code output class stack thrown peak_kib peak_by
        limit_kib cpu_ms cpu_by run_ms file line
    ))
    {
        *{$field} = sub { return $_[0]{$field} };
    }
}

# Events of the failure, in order.
sub story { return @{ $_[0]{story} || [] } }

# The text: what happened and where it was noticed, then the stack and the last output.
sub text {
    my ($self) = @_;
    my $message = $self->{message};
    $message =~ s/[\s.]+\z//;
    my $text = $message . $self->_facts . " at $self->{file} line $self->{line}.\n";
    $text .= _part('Its stack', $self->{stack}) . _part('Its last output', $self->{output});
    return $text;
}

sub _part {
    my ($title, $lines) = @_;
    return q{} if !defined $lines || !length $lines;
    $lines = Argon::Protocol::Text::lines($lines);
    $lines =~ s/\n+\z//;
    $lines =~ s/^/  | /mg;
    return "  $title:\n$lines\n";
}

# The same error, seen from where it is thrown now.
sub thrown_here {
    my ($self) = @_;
    my $copy = bless { %{$self} }, ref $self;
    @{$copy}{qw(file line)} = _place();
    return $copy;
}

# From the report of an outcome.
sub from_report {
    my ($class, $kind, $task, $report) = @_;
    my %report = %{ $report || {} };
    $report{exit_code} = delete $report{exit};
    my %known;
    defined $report{$_} and $known{$_} = $report{$_} for @FIELDS;
    return $class->new(message => "the task ended as $kind", %known, kind => $kind, task => $task);
}

sub _facts {
    my ($self) = @_;
    my @facts;
    push @facts, "worker $self->{worker}" if ($self->{kind} || q{}) eq 'error' && defined $self->{worker};
    push @facts, "host $self->{host}" if defined $self->{host} && index($self->{message}, $self->{host}) < 0;
    push @facts, "attempt $self->{attempt} of $self->{attempts}" if ($self->{attempts} || 0) > 1;
    push @facts, sprintf 'peak memory %.0f MiB%s', $self->{peak_kib} / 1024,
        $self->{limit_kib} ? sprintf(' of %.0f allowed', $self->{limit_kib} / 1024) : q{}
        if $self->{peak_kib} && ($self->{kind} || q{}) eq 'died';
    return @facts ? ' (' . join(', ', @facts) . ')' : q{};
}

sub _place {
    my $level = 1;
    while (my ($package, $file, $line) = caller $level++) {
        return ($file, $line) if $package !~ /\AArgon(?:::|\z)/ && $package !~ /\ACoro(?:::|\z)/;
    }
    return ($0, 0);
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Error - how a task ended that neither returned nor died by itself

=head1 SYNOPSIS

  my $value = eval { $client->queue($code, \@args, { timeout => 10, retries => 2 }) };
  if (ref $@ && $@->isa('Argon::Error')) {
      warn $@;                                       # a sentence, the place, the last output
      reschedule() if $@->kind eq 'timeout';
      print "killed by signal ", $@->signal, "\n" if defined $@->signal;
  }

=head1 DESCRIPTION

L<Argon::Client> throws what a task threw as it was: the same string, or an object of the same class. Everything else that
ends a task is one of these objects. As a string it is a sentence that ends in C< at FILE line N.>, the place where the
outcome was waited for, and the last lines that the task printed, if any are known.

=head1 METHODS

Each returns C<undef> when the fact is not known.

=head2 kind

One word: C<died> (the process ended or was killed), C<timeout>, C<cancelled>, C<lost> (it cannot be known, or may not be
tried again), C<rejected> (the system is at capacity), C<unreachable> (no manager), C<closed> (the client was shut down).
C<error>: the task threw something itself. A task that is not Perl throws this; for a Perl task it is only reported, by
L<Argon::Deferred/failure> and L<Argon::Client/last_failure>, since what it threw is thrown as it was.

=head2 message

The sentence without place and facts.

=head2 task

The id of the task, 48 hexadecimal digits.

=head2 worker, host, pid

Where it ran: the worker's name, its host, the process id of the runner.

=head2 attempt, attempts

Which start of the task this was, and how many there have been.

=head2 signal, exit_code

How the process ended: the number of a signal, or its exit code.

=head2 output

The last that it wrote to standard output and error.

=head2 class

The class of what a Python function raised, such as C<ValueError>.

=head2 stack

Of a task with the option C<stack> that threw: the place of its C<die>, then a line for each sub that was under way, the
innermost first. Of a Python function: the traceback.

=head2 thrown

What the task threw, for the kind C<error>; of what is not Perl, a hash reference.

=head2 peak_kib, limit_kib

The most memory that the process used, and its limit (0: none), in KiB.

=head2 cpu_ms

The processor time that the attempt used, in milliseconds.

=head2 peak_by, cpu_by

What has counted C<peak_kib> and C<cpu_ms>: C<cgroup> for all processes that the task started together, C<process> for the
runner's own process.

=head2 run_ms

How long the attempt ran, in milliseconds.

=head2 story

A list of sentences: what happened, attempt by attempt.

=head2 file, line

The place in your program.

=head2 text

The object as a string.

=head1 CONSTRUCTORS

=head2 new(%fields), from_report($kind, $task, \%report), thrown_here

For L<Argon::Client> itself.

=cut
