package Cluster;

# Owns real argon processes for the tests: finds the binary, starts managers and workers on free ports with a key of
# their own, waits for their ready lines, ends them. Every wait has a deadline.

use strict;
use warnings;

use Cwd            ();
use File::Basename ();
use File::Temp     ();
use POSIX          ();
use Time::HiRes    ();

# It ends a hang, and judges no speed.
my $DEADLINE_S = 60;
my $ROOT       = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');

# The path of the binary; dies with a sentence when it is not built.
sub binary {
    my @places = (defined $ENV{ARGON_BIN} ? $ENV{ARGON_BIN} : (), "$ROOT/target/release/argon", "$ROOT/target/debug/argon");
    my ($found) = grep { -x && -f } @places;
    return $found // die "The argon binary is not built: run `cargo build --release`, or name it in ARGON_BIN (looked for @places).\n";
}

sub new {
    my ($class) = @_;
    return bless { folder => File::Temp->newdir, processes => {}, owner => $$ }, $class;
}

# argon up with so many slots; the cluster with its port known.
sub up {
    my ($class, %option) = @_;
    my $self = $class->new;
    my $ready = $self->start(up => '--port' => 0, '--workers' => $option{slots} // 2, @{ $option{arguments} || [] });
    ($self->{port}) = $ready->{addr} =~ /:(\d+)\z/;
    return $self;
}

sub key_file { return "$_[0]{folder}/key" }
sub port     { return $_[0]{port} }

sub client_arguments {
    my ($self) = @_;
    return (host => '127.0.0.1', port => $self->{port}, key => $self->key_file);
}

# Starts one command and waits for its ready line: a hash of its fields.
sub start {
    my ($self, $command, @arguments) = @_;
    my $binary = binary();
    pipe my $ready, my $ready_end or die "pipe: $!";
    my $log = "$self->{folder}/$command-" . (1 + keys %{ $self->{processes} }) . '.log';
    my $process = fork // die "fork: $!";
    if (!$process) {
        POSIX::dup2(fileno $ready_end, 1);
        open STDERR, '>', $log or POSIX::_exit(126);
        open STDIN, '<', '/dev/null' or POSIX::_exit(126);
        # A manager that is given its port keeps its store here, not in the home of the user, where another test may have
        # left the store of the same port.
        local $ENV{XDG_STATE_HOME} = "$self->{folder}/state";
        exec $binary, $command, '--key' => $self->key_file, @arguments or POSIX::_exit(127);
    }
    close $ready_end;
    $self->{processes}{$process} = $ready;
    my $end  = Time::HiRes::time() + $DEADLINE_S;
    my $text = q{};
    while ($text !~ /^argon-ready (.*)\n/m) {
        my $readable = q{};
        vec($readable, fileno $ready, 1) = 1;
        my $left = $end - Time::HiRes::time();
        if ($left <= 0 || !select($readable, undef, undef, $left) || !sysread $ready, $text, 4_096, length $text) {
            die "argon $command did not become ready: $text" . _file($log);
        }
    }
    my ($line) = $text =~ /^argon-ready (.*)\n/m;
    return { process => $process, map { split /=/, $_, 2 } split ' ', $line };
}

sub kill_process {
    my ($self, $process, $signal) = @_;
    kill $signal // 'KILL', $process;
    waitpid $process, 0;
    delete $self->{processes}{$process};
    return $?;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local $?;
    my @processes = keys %{ $self->{processes} };
    kill TERM => @processes;
    for my $process (@processes) {
        local $SIG{ALRM} = sub { kill KILL => $process };
        alarm 5;
        waitpid $process, 0;
        alarm 0;
    }
    return;
}

sub _file {
    my ($path) = @_;
    open my $handle, '<', $path or return q{};
    local $/;
    return readline $handle;
}

1;
