package Argon::Runner::Log;

# Owns the log records of a task: what it warns and what it says to Log::Any becomes LOG frames (spec/runner.md section 2), if
# the client asked for them in the meta of the task. Argon::Runner calls it around the task. A forked child, which must not use
# the socket, warns as ever.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Protocol qw(LOG);

my $MESSAGE_CHARS_MAX = 16_384;
my $WARNING = 30;

# By the names of Log::Any; the numbers are those of Python's logging.
my %LEVEL = (
    trace => 5, debug => 10, info => 20, notice => 25, warning => 30, error => 40, critical => 50, alert => 55, emergency => 60,
);

# The runner that executes a task which is logged, and the first 28 bytes of its frames.
my ($socket, $task, $process);

# Begins for a task: "warn", "any" or both in $wanted. Returns the handler for warnings, or undef.
sub begin {
    my ($runner_socket, $id_and_attempt, $wanted) = @_;
    ($socket, $task, $process) = ($runner_socket, $id_and_attempt, $$);
    _listen_to_log_any() if $wanted =~ /\bany\b/;
    return $wanted =~ /\bwarn\b/ ? \&_on_warning : undef;
}

sub end { $socket = undef; return }

sub _on_warning {
    my ($text) = @_;
    return CORE::warn($text) if !_can_send();
    my ($package, $file, $line) = CORE::caller(0);
    my $message = "$text";
    $message =~ s/\n\z//;
    $message =~ s/ at \Q$file\E line $line\.\z//;
    return _send($WARNING, $package, $message, $file, $line);
}

sub _can_send { return $socket && $$ == $process }

sub _send {
    my ($level, $logger, $message, $file, $line) = @_;
    local ($@, $!, $?);
    $message = substr($message, 0, $MESSAGE_CHARS_MAX) . '...' if length $message > $MESSAGE_CHARS_MAX;
    my ($name, $words, $place) = map { Argon::Runner::json_text($_) } $logger, $message, $file;
    $socket->send_frame(LOG, sprintf '%s{"level":%d,"logger":%s,"message":%s,"file":%s,"line":%d,"time":%.6f}',
        $task, $level, $name, $words, $place, $line, Time::HiRes::time());
    return;
}

# Puts an adapter in front of what Log::Any has, once for each process.
my $is_listening;

sub _listen_to_log_any {
    return if $is_listening;
    local ($@, $SIG{__DIE__});
    # The client has it; this machine may, or gets it from there.
    eval { require Log::Any; require Log::Any::Adapter; require Log::Any::Adapter::Base; 1 } or return;
    $is_listening = 1;
    ## no critic (ProhibitNoStrict)
    no strict 'refs';
    @Argon::Runner::Log::Adapter::ISA = ('Log::Any::Adapter::Base');
    for my $method (Log::Any->logging_methods) {
        *{"Argon::Runner::Log::Adapter::$method"}    = sub { my ($self, @words) = @_; return _on_record($self, $method, @words) };
        *{"Argon::Runner::Log::Adapter::is_$method"} = sub { return defined $socket };
    }
    Log::Any::Adapter->set('+Argon::Runner::Log::Adapter');
    return;
}

sub _on_record {
    my ($self, $method, @words) = @_;
    return if !_can_send();
    my ($file, $line) = (q{}, 0);
    for (my $level = 0; my @frame = CORE::caller($level); $level++) {
        next if $frame[0] =~ /\A(?:Log::Any|Argon::Runner::Log)\b/;
        ($file, $line) = @frame[1, 2];
        last;
    }
    my ($name) = grep { $method eq $_ } keys %LEVEL;
    return _send($LEVEL{ $name // 'info' }, $self->{category} // q{}, join(q{ }, map { $_ // 'undef' } @words), $file, $line);
}

# Log::Any looks for the class in a file.
$INC{'Argon/Runner/Log/Adapter.pm'} = __FILE__;

1;
