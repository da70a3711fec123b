package Argon::Runner;

# Owns the life of one runner process: sends READY, runs tasks one after another, sends the outcome of each.
# A worker starts it as F<spec/runner.md> section 1 describes: bootstrap.txt on the command line, the files of files.txt
# through the private socket. It decides nothing about retries or limits; whatever kills it, the worker reports.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Data            ();
use Argon::Data::Copy      ();
use Argon::Protocol        qw(:all);
use Argon::Runner::Caller  ();
use Argon::Runner::Kernel  ();
use Argon::Runner::LeasePipe  ();
use Argon::Runner::Leftovers ();
use Argon::Runner::Code    ();
use Argon::Runner::Library ();
use Argon::Runner::Log     ();
use Argon::Runner::Modules ();
use Argon::Runner::FastPath   ();
use Argon::Runner::Reset   ();
use Argon::Runner::SharedValues  ();
use Argon::Runner::Socket  ();
use Argon::Runner::Stack   ();
use Argon::Runner::Template ();

# Runs until the socket is closed, then exits with status 0.
sub start {
    my ($class, $handle) = @_;
    my $leases;
    Argon::Runner::Kernel::take_numbers();
    ($handle, $leases) = Argon::Runner::Template->new($handle)->serve if $ENV{ARGON_TEMPLATE};
    my $self = bless { process => $$, socket => Argon::Runner::Socket->new($handle), code => Argon::Runner::Code->new },
        $class;
    $self->{modules} = Argon::Runner::Modules->new($self->{socket});
    $self->{shared}  = Argon::Runner::SharedValues->new;
    delete $ENV{ARGON_RUNNER_FD};
    $self->{claims} = Argon::Runner::LeasePipe->new($self->{socket}, scalar($leases // Argon::Runner::LeasePipe::inherited()));
    Argon::Runner::Library->install($self->{modules});
    $self->{modules}->install;
    # The receiver of a result has its classes: only values for other tasks bring them along.
    { no warnings 'once'; $Argon::Data::Graph::IS_IN_RUNNER = 1 }
    delete $ENV{ARGON_NO_REMOTE_MODULES};
    @ARGV = ();
    $self->{reset} = Argon::Runner::Reset->new;
    $self->{about} = _about($ENV{ARGON_WORKER});
    $self->{leftovers} = Argon::Runner::Leftovers->new;
    # A worker that gives numbers of system calls understands LEAVES.
    $self->{can_leave} = Argon::Runner::Kernel::has('ppoll');
    my $version = sprintf '%vd', $^V;
    my $claims  = $self->{claims}->can_claim ? 'true' : 'false';
    $self->{socket}->send_frame(READY, qq({"runtime":"perl","version":"$version","pid":$$,"claims":$claims}));
    $self->_serve;
    exit 0;
}

sub _serve {
    my ($self) = @_;
    my $socket = $self->{socket};
    while ($socket->wait_for_message) {
        Argon::Runner::FastPath::serve($self);
        next if !$socket->has_message;
        my ($kind, $body, $payload) = $socket->next_message or last;
        if ($kind == RUN) {
            $self->_run($body, $payload);
        }
        elsif ($kind == BLOB) {
            $self->_keep_blob($body, $payload);
        }
        elsif ($kind == OUTPUT_TAKEN) {
            $self->{claims}->output_taken($kind);
        }
        else {
            die sprintf "argon runner: a frame of kind 0x%02x is not for a runner\n", $kind;
        }
    }
    return;
}

sub _keep_blob {
    my ($self, $body, $payload) = @_;
    my $text = $payload ? ${$payload} : substr $body, BLOB_HEAD_BYTES;
    return $self->{code}->keep_blob(substr($body, 0, 32), \$text);
}

sub _run {
    my ($self, $body, $payload) = @_;
    return if unpack('x28 n', $body) & FLAG_AHEAD && !$self->{claims}->claim;
    return $self->execute($body, $payload);
}

# Runs a task that is this runner's, and sends its outcome.
sub execute {
    my ($self, $body, $payload) = @_;
    my ($id, $attempt, $flags, $codec, $blob_count, $meta_length) = unpack 'a24 N n x2 x4 x2 C C x4 x4 N', $body;
    my $offset = TASK_HEAD_BYTES + 32 * $blob_count;
    my $task   = {
        wants_list => $flags & FLAG_LIST,
        wants_stack => $flags & FLAG_STACK,
        codec      => $codec,
        meta       => substr($body, $offset, $meta_length),
    };
    if (!$payload) {
        my $bytes = substr $body, $offset + $meta_length;
        $payload = \$bytes;
    }
    # The first blob is the code, unless meta names what to run; the others are shared values.
    my @shared = $blob_count ? unpack '(a32)*', substr $body, TASK_HEAD_BYTES, 32 * $blob_count : ();
    if (@shared && !($meta_length && $self->{code}->is_named($task->{meta}))) {
        my $hash = $task->{code} = shift @shared;
        $self->_fetch_blob($hash) if !$self->{code}->has_blob($hash);
    }
    $self->_take_shared(@shared) if @shared;

    @ENV{qw(ARGON_TASK_ID ARGON_ATTEMPT)} = (unpack('H*', $id), $attempt);
    $self->{reset}->start_in($task->{meta}) if $meta_length;
    $self->{modules}->task(substr $body, 0, 28);
    $self->{leftovers}->begin if !$self->{leftovers}->has_begun;
    $task->{about} = substr $body, 0, 28;
    my $begun = Time::HiRes::time();
    my ($ok, $list) = $self->_call($task, $payload);
    $self->_end_child($ok, $list) if $$ != $self->{process};
    $self->{shared}->end_task;
    Argon::Client::InTask::end_task() if $INC{'Argon/Client/InTask.pm'};
    my $run_us = int 1e6 * (Time::HiRes::time() - $begun);
    $self->{reset}->quiet;
    my ($status, $bytes) = encoded($ok, $list, $codec);
    $self->{modules}->task(undef);
    Argon::Data::Copy::end_task();
    Argon::Data::Weak::end_task();
    Argon::Code::Receive::restore();
    $self->{reset}->flush;
    my $leaves = defined $self->{leftovers}->look && $self->{can_leave};
    my $report = $status == STATUS_OK ? q{} : $self->{about};
    substr $report, -1, 1, q(,"stack":) . json_text($task->{stack}) . q(}) if !$ok && defined $task->{stack};
    $self->_send_outcome(substr($body, 0, 28), $status, $codec, $leaves ? OUTCOME_LEAVES : 0, $run_us < 0 ? 0 : $run_us, \$report, \$bytes);
    exit 0 if $leaves;
    $self->{code}->unsettle;
    return $self->{reset}->restore;
}

# Sends the outcome of a task after which nothing has to be restored.
sub tell {
    my ($self, $id_and_attempt, $codec, $run_us, $ok, $list) = @_;
    my ($status, $bytes) = encoded($ok, $list, $codec);
    my $report = $status == STATUS_OK ? q{} : $self->{about};
    return $self->_send_outcome($id_and_attempt, $status, $codec, 0, $run_us, \$report, \$bytes);
}

sub _fetch_blob {
    my ($self, $hash) = @_;
    $self->{socket}->send_frame(NEED_BLOB, $hash) if !$self->{socket}->has_begun_blob($hash);
    while (!$self->{code}->has_blob($hash)) {
        my ($kind, $body, $payload) = $self->{socket}->next_message_of(BLOB);
        exit 0 if !defined $kind;
        $self->_keep_blob($body, $payload);
    }
    return;
}

sub _take_shared {
    my ($self, @hashes) = @_;
    for my $hash (grep { !$self->{shared}->has($_) } @hashes) {
        $self->_fetch_blob($hash) if !$self->{code}->has_blob($hash);
        $self->{shared}->keep($hash, \$self->{code}->give_up_blob($hash));
    }
    return $self->{shared}->begin_task(@hashes);
}

# Calls the code of the task: true and the list that it returned, or false and a list with the one thing thrown.
# The bare block catches a task that leaves its sub with last, next or redo: without it they would reach _serve.
sub _call {
    my ($self, $task, $payload) = @_;
    my ($begun, $ended, $ok, $thrown, @list);
    my ($on_die, $notes) = $task->{wants_stack} ? Argon::Runner::Stack::watch() : ();
    {
        last if $begun++;
        local ($/, $\, $,, $;, $") = ("\n", undef, undef, "\034", q{ });
        # Not $?: localising it would undo the status of an exit in the task.
        local ($_, $@, $!);
        $? = 0;
        local $SIG{__DIE__} = $on_die if $on_die;
        my $on_warning = $task->{meta} =~ /"log":"([a-z ]+)"/ ? Argon::Runner::Log::begin($self->{socket}, $task->{about}, $1) : undef;
        local $SIG{__WARN__} = $on_warning if $on_warning;
        $ok = eval {
            my ($code, $arguments) = $self->_prepare($task, $payload);
            # Errors of the preparation are not the task's: a bare die would propagate them.
            ($@, $!) = (q{}, 0);
            if ($task->{wants_list}) { @list = $code->(@{$arguments}) }
            else                     { $list[0] = $code->(@{$arguments}) }
            1;
        };
        $thrown = $@ if !$ok;
        $ended = 1;
    }
    Argon::Runner::Log::end();
    return (1, \@list) if $ok;
    $task->{stack} = Argon::Runner::Stack::of($notes, $thrown) if $notes;
    return (0, [thrown($ended, $thrown)]);
}

# Returns what a failed task has thrown; $ended is false if it left its sub by last, next or redo.
sub thrown {
    my ($ended, $thrown) = @_;
    return "Can't leave the sub of a task with last, next or redo\n" if !$ended;
    return "Died\n" if !defined $thrown || !ref $thrown && !length $thrown;
    return $thrown if ref $thrown;
    return _with_folder(Argon::Runner::Modules::without_line_of_hook($thrown));
}

# Adds to a sentence about a missing file where it was looked for, unless it names an absolute path besides its own place.
sub _with_folder {
    my ($sentence) = @_;
    my $missing = do { local $! = 2; "$!" };
    my $at = index $sentence, $missing;
    return $sentence if $at < 0 || !defined $ENV{ARGON_WORKER};
    my $about = $sentence =~ s/ at \S+ line \d+(?:, <.*)?\.?\s*\z//r;
    my $folder = readlink '/proc/self/cwd';
    return $sentence if !defined $folder || $about =~ m{(?:\A|[\s'"`(=:<])/\w};
    substr $sentence, $at + length $missing, 0, " in the folder $folder of worker $ENV{ARGON_WORKER}";
    return $sentence;
}

sub _prepare {
    my ($self, $task, $payload) = @_;
    my ($captures, $arguments);
    my ($compiled, $modules) = ($self->{code}->compiled, scalar keys %INC);
    if ($task->{codec} == CODEC_JSON) {
        require JSON::PP;
        $arguments = JSON::PP->new->utf8->allow_nonref->decode(${$payload});
        die "the JSON payload of a task must be an array of arguments\n" if ref $arguments ne 'ARRAY';
    }
    else {
        ($captures, $arguments) = @{ Argon::Data::decode(${$payload}, sub { return $self->{shared}->value(@_) }) };
    }
    my $entry
        = defined $task->{code} ? $self->{code}->from_blob($task->{code}) : $self->{code}->from_meta($task->{meta});
    @INC = @{ $entry->{inc} } if $entry->{inc};
    $self->{leftovers}->calls_kernel if $entry->{calls_kernel};
    $self->{leftovers}->loaded if $self->{code}->compiled != $compiled || keys %INC != $modules;
    return ($entry->{factory}->($captures), $arguments);
}

# Status and payload of an outcome: a value that cannot travel is an error. Chunks of a map call it, too (Argon::Client::Map::Chunk).
sub encoded {
    my ($ok, $list, $codec) = @_;
    $codec //= CODEC_RUNTIME;
    my $bytes = eval { _encode_list($list, $codec) };
    return ($ok ? STATUS_OK : STATUS_ERROR, $bytes) if defined $bytes;
    my $reason = "$@";
    # Its place begins at the value, and its line would be one of the runner.
    $reason =~ s/\AThis value cannot travel: the list(?:->\[\d+\])?(\S*) is /length $1 ? "its $1 is " : 'it is '/e;
    $reason =~ s/ at Argon\S+ line \d+\.?\s*\z|\s+\z//;
    my $what = $ok ? 'what the task returned cannot travel' : 'what the task threw cannot travel';
    my $text = $ok ? q{} : ': ' . (eval {"$list->[0]"} || ref $list->[0]);
    return (STATUS_ERROR, _encode_list(["$what ($reason)$text\n"], $codec));
}

sub _encode_list {
    my ($list, $codec) = @_;
    if ($codec == CODEC_JSON) {
        require JSON::PP;
        my $value = @{$list} == 1 ? $list->[0] : $list;
        return JSON::PP->new->utf8->allow_nonref->allow_blessed->convert_blessed->encode(Argon::Data::for_json($value));
    }
    my $bytes = Argon::Data::encode($list);
    die 'it takes ' . length($bytes) . ' bytes, more than the ' . PAYLOAD_BYTES_MAX . " allowed\n"
        if length $bytes > PAYLOAD_BYTES_MAX;
    return $bytes;
}

sub _send_outcome {
    my ($self, $id_and_attempt, $status, $codec, $flags, $run_us, $report, $payload) = @_;
    my $length = length ${$payload};
    my $head = pack 'a28 C C n Q> N', $id_and_attempt, $status, $codec, $flags, $run_us, length ${$report};
    if ($length <= PART_BYTES_MAX) {
        return $self->{socket}->send_bytes($self->{claims}->output_left . pack('N C', 1 + OUTCOME_HEAD_BYTES + length(${$report}) + $length, OUTCOME) . $head
                . pack('N Q>', 0, $length) . ${$report} . ${$payload});
    }
    my $stream = $self->{socket}->new_stream;
    my $left   = $self->{claims}->output_left;
    $self->{socket}->send_bytes($left) if length $left;
    return $self->{socket}->send_with_stream(OUTCOME, $head . pack('N Q>', $stream, $length) . ${$report}, $stream, $payload);
}

# The report of an outcome that is an error: where it was. The thrown thing itself is the payload.
sub _about {
    my ($worker) = @_;
    return qq({"message":"the task threw","pid":$$}) if !defined $worker;
    $worker = json_text($worker);
    return qq({"message":"the task threw","worker":$worker,"pid":$$});
}

# A JSON string in ASCII, without loading a module for it.
sub json_text {
    my ($text) = @_;
    $text =~ s{([^ !#-\[\]-~])}{join q{}, map { sprintf '\\u%04x', $_ } _utf16(ord $1)}ge;
    return qq("$text");
}

sub _utf16 {
    my ($code) = @_;
    return $code < 0x1_0000 ? $code : $code > 0x10_ffff ? 0xfffd : (0xd7c0 + ($code >> 10), 0xdc00 | $code & 0x3ff);
}

# A child that the task forked and that came back out of the task's sub: it ends as a script would at its end.
sub _end_child {
    my ($self, $ok, $list) = @_;
    exit 0 if $ok;
    print {*STDERR} "$list->[0]";
    exit 255;
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Runner - executes the tasks of one client in a worker

=head1 SYNOPSIS

  Argon::Runner->start($handle);

=head1 DESCRIPTION

A worker sends tasks to runners over private sockets; F<spec/runner.md> describes both sides. It forks runners from a
template, which is the same program with C<ARGON_TEMPLATE=1> in its environment (L<Argon::Runner::Template>). You
do not load this module yourself: it is part of the program that the worker sends to a plain C<perl>, which needs
nothing installed but the core modules.

=head2 The program text

F<Argon/Runner/bootstrap.txt> is one argument for C<perl -e>. It reads C<u32 length> and that many bytes of program from
the descriptor that C<ARGON_RUNNER_FD> names. The program is, for each file of F<Argon/Runner/files.txt> in order,

  BEGIN {
  # line 1 "Argon/Protocol.pm"
  ...the file up to the line __END__...
  }
  BEGIN { $INC{"Argon/Protocol.pm"} = "Argon/Protocol.pm" }

and then one line:

  Argon::Runner->start(*Argon::Bootstrap{IO});

=head2 What a task finds

The environment variables C<ARGON_TASK_ID> (48 hexadecimal digits), C<ARGON_ATTEMPT> (1, 2, ...) and C<ARGON_WORKER>; an empty
C<@ARGV> and standard input; standard output and error that reach the client, flushed after each print. C<$/>, C<$\>, C<$,>,
C<$;>, C<$"> and C<$_> have their first values. Signal handlers, the environment, the working folder, the file mode
mask, C<@INC>, C<$0>, standard handles and the seed of C<rand> are put back after each task.

C<caller> ends with the frame of the task's sub, called from the line of it that is under way; so does what L<Carp> prints.

=head2 Modules from the client

A module that the machine lacks is asked for at the client of the task, which answers with the text of its own file.
C<ARGON_NO_REMOTE_MODULES=1> in the runner's environment turns that off.

=head1 ERRORS

A task whose code cannot be loaded ends as C<error> with a sentence that names the perl version, the worker and perl's own
message. What a task returns or throws that cannot travel ends it as C<error> with the reason. A task that leaves its
sub by C<last>, C<next> or C<redo> ends as C<error>. C<exit> in a task ends the process, which the worker reports as C<died>.

=cut
