package Argon::Client::Options;

# Owns the options of a task: checks what the caller wrote once, in the caller's words, and turns it into the fields of
# the SUBMIT head. Argon::Client calls it for each set of options; the result is kept with the task.

use strict;
use warnings;

use Scalar::Util ();

use Argon::Client::Duration ();
use Argon::Error ();
use Argon::Protocol qw(:all);

my %PRIORITY = (high => PRIORITY_HIGH, normal => PRIORITY_NORMAL, low => PRIORITY_LOW, 0 => 0, 1 => 1, 2 => 2);
my %RETRY_FLAG = (error => FLAG_RETRY_ERROR, died => FLAG_RETRY_DIED, timeout => FLAG_RETRY_TIMEOUT);
my %KNOWN = map { $_ => 1 } qw(
    priority max_tries timeout retries backoff retry_on never_twice capture context label memory no_wait stack
    ahead progress order on_result chunk
);

# The longest duration of a task option, which travels as a u32 of milliseconds.
my $DURATION_S_MAX = 4_294_967;

# Options of Argon::Client->new alone.
use constant CONNECTION_OPTIONS => qw(host port hosts key insecure_plaintext tls_ca give_up_after remote_modules connect loop interface on_waiting on_interrupt on_log);

sub is_known { return $KNOWN{ $_[0] } }

# Receiver of the reasons of a wait: 'print', a code reference, or undef.
sub on_waiting {
    my ($given) = @_;
    return 'print' if !exists $given->{on_waiting};
    my $listener = $given->{on_waiting} or return;
    return $listener if (Scalar::Util::reftype($listener) // q{}) eq 'CODE';
    return _refuse('on_waiting must be a code reference, or undef for silence');
}

# Receiver of the log records of tasks: a code reference; undef for Log::Any, if it is loaded; 0 for none.
sub on_log {
    my ($given) = @_;
    return $given->{on_log} // 0 if exists $given->{on_log} && (!$given->{on_log} || ref $given->{on_log} eq 'CODE');
    return exists $given->{on_log} ? _refuse('on_log must be a code reference, or undef for silence') : undef;
}

# Effect of a signal that ends the program on its tasks: 'cancel' or 'leave'.
sub on_interrupt {
    my ($given) = @_;
    return 'cancel' if !defined $given;
    return $given if $given eq 'cancel' || $given eq 'leave';
    return _refuse("on_interrupt must be cancel or leave, not '$given'");
}

# Reads what follows code and arguments: nothing, a hash reference, or priority and tries as in the original's interface.
sub from_call {
    my ($defaults, @rest) = @_;
    return resolve($defaults) if !@rest || @rest == 1 && !defined $rest[0];
    return resolve({ %{$defaults}, %{ $rest[0] } }) if ref $rest[0] eq 'HASH';
    my ($priority, $max_tries) = @rest;
    _refuse("behind the code come its arguments in one array reference, as in queue(\$code, [4, 7]), and behind them options in a "
            . "hash reference, or a priority and a number of tries; '$priority' is none of them")
        if @rest > 2 || defined $priority && !exists $PRIORITY{ lc $priority };
    my %given;
    $given{priority}  = $priority  if defined $priority;
    $given{max_tries} = $max_tries if defined $max_tries;
    return resolve({ %{$defaults}, %given });
}

# Returns the fields of the SUBMIT head from attempt to memory_mib, without blob_count, and what the client itself uses.
sub resolve {
    my ($given) = @_;
    for my $name (keys %{$given}) {
        _refuse("there is no option '$name'; the options of a task are " . join(', ', sort keys %KNOWN)
                . '; those of new alone are ' . join ', ', CONNECTION_OPTIONS) if !$KNOWN{$name};
    }
    my $priority = $PRIORITY{ lc($given->{priority} // 'normal') };
    _refuse("priority must be high, normal or low, not '$given->{priority}'") if !defined $priority;
    my $retries = _whole($given, 'retries', 0, 65_535);
    my $flags   = 0;
    $flags |= FLAG_NEVER_TWICE if $given->{never_twice};
    $flags |= FLAG_CAPTURE     if $given->{capture};
    $flags |= FLAG_STACK       if $given->{stack};
    _refuse('never_twice and retries exclude each other') if $given->{never_twice} && $retries;
    my $context = $given->{context} // 'scalar';
    _refuse("context must be list or scalar, not '$context'") if $context ne 'list' && $context ne 'scalar';
    my $order = $given->{order} // 'given';
    _refuse("order must be given or completed, not '$order'") if $order ne 'given' && $order ne 'completed';
    for my $name (qw(progress on_result)) {
        _refuse("$name must be a code reference") if defined $given->{$name} && ref $given->{$name} ne 'CODE';
    }
    my $ahead = _whole($given, 'ahead', 1_000, 10_000_000) || 1;
    my ($chunk, $of_one) = _chunk($given);
    return {
        flags      => $flags | ($retries ? _retry_flags($given->{retry_on}) : 0),
        priority   => $priority,
        timeout_ms => _milliseconds($given, 'timeout', 0),
        retries    => $retries,
        backoff_ms => _milliseconds($given, 'backoff', $retries ? 0.1 : 0),
        memory_mib => _whole($given, 'memory', 0, 4_294_967_295),
        max_tries  => _whole($given, 'max_tries', 0, 4_294_967_295),
        no_wait    => $given->{no_wait} ? 1 : 0,
        capture    => $given->{capture} ? 1 : 0,
        wants_list => $context eq 'list' ? 1 : 0,
        # map is in list context, as perl's own, unless the context is given.
        maps_list  => ($given->{context} // 'list') eq 'list' ? 1 : 0,
        label      => scalar _label($given->{label}),
        # A chunk has to fit.
        ahead      => $chunk && $chunk ne 'auto' && $chunk > $ahead ? $chunk : $ahead,
        chunk      => $chunk,
        of_one     => $of_one,
        progress   => $given->{progress},
        on_result  => $given->{on_result},
        order      => $order,
    };
}

# Items of a map that travel as one task: a number, 'auto', or undef for one; and the name of a given option that is about one item.
sub _chunk {
    my ($given) = @_;
    my $chunk = $given->{chunk} // 1;
    return if $chunk eq '1';
    my ($of_one) = grep { $given->{$_} } qw(never_twice retries timeout label memory capture stack);
    return ($chunk, $of_one) if $chunk eq 'auto';
    _refuse("chunk must be a whole number from 1 on, or 'auto', not '$chunk'") if $chunk !~ /\A[1-9]\d{0,6}\z/;
    return ($chunk, $of_one);
}

sub _retry_flags {
    my ($names) = @_;
    my $flags = 0;
    for my $name (ref $names eq 'ARRAY' ? @{$names} : defined $names ? $names : keys %RETRY_FLAG) {
        $flags |= $RETRY_FLAG{$name} || _refuse("retry_on knows error, died and timeout, not '$name'");
    }
    return $flags;
}

sub _whole {
    my ($given, $name, $default, $limit) = @_;
    my $value = $given->{$name} // $default;
    _refuse("$name must be a whole number from 0 to $limit, not '$value'") if $value !~ /\A\d{1,10}\z/ || $value > $limit;
    return $value;
}

# Seconds of a duration option that bounds a wait of the client itself; undef without one.
sub seconds {
    my ($given, $name) = @_;
    return if !defined $given->{$name};
    return Argon::Client::Duration::seconds($given->{$name})
        // _refuse("$name must be " . Argon::Client::Duration::EXPECTED . ", not '$given->{$name}'");
}

sub _milliseconds {
    my ($given, $name, $default) = @_;
    my $seconds = seconds($given, $name) // $default;
    _refuse("$name must be at most $DURATION_S_MAX seconds, not '$given->{$name}'") if $seconds > $DURATION_S_MAX;
    my $milliseconds = int $seconds * 1_000 + 0.5;
    return $seconds > 0 && $milliseconds == 0 ? 1 : $milliseconds;
}

sub _label {
    my ($label) = @_;
    return if !defined $label;
    my $bytes = $label;
    utf8::encode($bytes);
    _refuse('label is longer than ' . LABEL_BYTES_MAX . ' bytes') if length $bytes > LABEL_BYTES_MAX;
    return $label;
}

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: $sentence");
}

1;
