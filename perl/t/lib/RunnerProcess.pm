package RunnerProcess;

# Owns one real runner process for the tests: starts perl with the bootstrap as a worker does, sends it the program text,
# and speaks frames with it over a socket pair. Every wait has a deadline.

use strict;
use warnings;

use Carp        ();
use Cwd         ();
use Digest::SHA ();
use Fcntl qw(F_SETFD);
use File::Basename ();
use JSON::PP       ();
use POSIX          ();
use Socket;

use Argon::Data;
use Argon::Protocol qw(:all);
use SystemCalls;

my $DEADLINE_S = 20;
my $ROOT       = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

sub bootstrap { return _file("$ROOT/lib/Argon/Runner/bootstrap.txt") =~ s/\n\z//r }

# The program text that a worker sends, put together from files.txt and library.txt.
sub program {
    my $program = q{};
    for my $file (split /\n/, _file("$ROOT/lib/Argon/Runner/files.txt")) {
        my $text = _code_of($file);
        $program .= qq(BEGIN {\n# line 1 "$file"\n$text\n}\nBEGIN { \$INC{"$file"} = "$file" }\n);
    }
    for my $file (split /\n/, _file("$ROOT/lib/Argon/Runner/library.txt")) {
        $program .= qq(BEGIN { \$Argon::Runner::Library::TEXT{"$file"} = <<'END_OF_ARGON_MODULE' }\n) . _code_of($file) . "END_OF_ARGON_MODULE\n";
    }
    return $program . "Argon::Runner->start(*Argon::Bootstrap{IO});\n";
}

sub _code_of {
    my ($file) = @_;
    my ($source) = grep { -e } map {"$_/$file"} "$ROOT/lib", @INC;
    my $text = _file($source // Carp::croak("there is no $file"));
    $text =~ s/^__END__\n.*//ms;
    return $text;
}

sub start {
    my ($class, %environment) = @_;
    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    pipe my $output, my $output_end or die "pipe: $!";
    pipe my $errors, my $errors_end or die "pipe: $!";
    my $process = fork // die "fork: $!";
    if (!$process) {
        open STDIN, '<', '/dev/null' or die $!;
        POSIX::dup2(fileno $output_end, 1);
        POSIX::dup2(fileno $errors_end, 2);
        fcntl $its, F_SETFD, 0;
        POSIX::close($_) for map { fileno $_ } $mine, $output, $errors, $output_end, $errors_end;
        %ENV = (PATH => $ENV{PATH}, ARGON_WORKER => 'test', ARGON_SYSCALLS => SystemCalls::text(), %environment, ARGON_RUNNER_FD => fileno $its);
        exec $^X, '-e', bootstrap() or POSIX::_exit(127);
    }
    my $self = bless { socket => $mine, output => $output, errors => $errors, process => $process, owner => $$, sequence => 0 }, $class;
    my $program = program();
    $self->write_bytes(pack('N', length $program) . $program);
    return $self;
}

# A runner that a template has forked (see TemplateProcess): its ends of the socket and the pipes, and its process.
sub adopt {
    my ($class, %fields) = @_;
    return bless { %fields, owner => $$, sequence => 0 }, $class;
}

# A blob of the code whose shipment has this text; returns its hash.
sub send_blob {
    my ($self, $text) = @_;
    my $hash = Digest::SHA::sha256($text);
    $self->send_frame(BLOB, pack(BLOB_HEAD, $hash, 0, length $text) . $text);
    return $hash;
}

sub send_frame {
    my ($self, $kind, $body) = @_;
    return $self->write_bytes(Argon::Protocol::frame($kind, $body));
}

sub run_head {
    my ($self, %head) = @_;
    return pack TASK_HEAD, $head{id} // pack('a16 Q>', 'session', ++$self->{sequence}), 1, $head{flags} // 0, 1, 1, 0, 0,
        $head{codec} // 0, ($head{blob} ? 1 : 0) + @{ $head{shared} || [] }, 0, 0, length($head{meta} // q{}), $head{stream} // 0, $head{length};
}

# Sends one task: blob or meta, arguments; returns its outcome.
sub run {
    my ($self, %task) = @_;
    $self->send_run(%task);
    return $self->outcome;
}

sub send_run {
    my ($self, %task) = @_;
    my $payload = $task{payload} // Argon::Data::encode([$task{captures}, $task{arguments} // []], \my $shared);
    $self->send_frame(RUN,
        $self->run_head(%task, length => length $payload) . join(q{}, $task{blob} // q{}, @{ $task{shared} || [] }) . ($task{meta} // q{}) . $payload);
    return;
}

# The next outcome as a hash: status, list (decoded), payload, id, run_us. Questions before it are answered no,
# and what is left in the output pipes is taken as read.
sub outcome {
    my ($self) = @_;
    my ($kind, $body) = $self->next_frame;
    while (defined $kind && ($kind == ASK || $kind == OUTPUT_LEFT)) {
        $self->send_frame($kind == ASK ? (ANSWER, substr($body, 0, 32) . pack('C', ANSWER_NO) . 'not in this test') : (OUTPUT_TAKEN, q{}));
        ($kind, $body) = $self->next_frame;
    }
    Carp::confess('the runner closed its socket') if !defined $kind;
    Carp::confess("a frame of kind $kind where OUTCOME was due") if $kind != OUTCOME;
    my %outcome;
    @outcome{@Argon::Protocol::OUTCOME_FIELDS} = unpack OUTCOME_HEAD, $body;
    my $payload = substr $body, OUTCOME_HEAD_BYTES + $outcome{meta_length};
    while (length $payload < $outcome{payload_length}) {
        my ($chunk_kind, $chunk) = $self->next_frame;
        die "a frame of kind $chunk_kind in a stream" if $chunk_kind != CHUNK || $outcome{stream} != unpack 'N', $chunk;
        $payload .= substr $chunk, 4;
    }
    $outcome{payload} = $payload;
    $outcome{list} = $outcome{codec} == CODEC_JSON ? undef : Argon::Data::decode($payload);
    return \%outcome;
}

sub next_frame {
    my ($self) = @_;
    my $length = $self->read_bytes(4) // return;
    my $frame = $self->read_bytes(unpack 'N', $length) // return;
    return (ord $frame, substr $frame, 1);
}

sub ready {
    my ($self) = @_;
    my ($kind, $body) = $self->next_frame;
    die 'the runner said nothing: ' . $self->errors_so_far if !defined $kind;
    die "kind $kind where READY was due" if $kind != READY;
    return JSON::PP::decode_json($body);
}

sub read_bytes {
    my ($self, $count) = @_;
    return _read($self->{socket}, $count);
}

# What the runner has printed, read until the pattern is there.
sub output_until {
    my ($self, $pattern, $stream) = @_;
    my $text = q{};
    while ($text !~ $pattern) {
        my $more = _read($self->{ $stream // 'output' }, 1) // last;
        $text .= $more;
    }
    return $text;
}

sub errors_so_far {
    my ($self) = @_;
    close $self->{socket};
    my $text = q{};
    while (defined(my $more = _read($self->{errors}, 1))) { $text .= $more }
    return $text;
}

sub write_bytes {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $offset = 0;
    while ($offset < length $bytes) {
        my $written = syswrite $self->{socket}, $bytes, length($bytes) - $offset, $offset;
        return 0 if !defined $written;
        $offset += $written;
    }
    return 1;
}

# Waits for the process to end; its wait status.
sub end {
    my ($self) = @_;
    close $self->{socket} if $self->{socket};
    local $SIG{ALRM} = sub { kill KILL => $self->{process} };
    alarm $DEADLINE_S;
    waitpid $self->{process}, 0;
    alarm 0;
    $self->{process} = undef;
    return $?;
}

sub process { return $_[0]{process} }

sub DESTROY {
    my ($self) = @_;
    return if !$self->{process} || $self->{owner} != $$;
    local $?;
    kill KILL => $self->{process};
    waitpid $self->{process}, 0;
    return;
}

sub _read {
    my ($handle, $count) = @_;
    my $bytes = q{};
    while (length $bytes < $count) {
        my $readable = q{};
        vec($readable, fileno $handle, 1) = 1;
        select($readable, undef, undef, $DEADLINE_S) or Carp::confess("nothing to read for $DEADLINE_S s");
        sysread $handle, $bytes, $count - length $bytes, length $bytes or return;
    }
    return $bytes;
}

sub _file {
    my ($path) = @_;
    open my $handle, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar readline $handle;
}

1;
