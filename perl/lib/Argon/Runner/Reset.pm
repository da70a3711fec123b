package Argon::Runner::Reset;

# Owns what a runner puts back between two tasks: signal handlers and alarms, the environment, the working folder,
# the file mode mask, standard handles, @INC, $0 and the seed of rand. It compares before it restores, so that a task
# that changed nothing costs a few microseconds. Special variables such as $/ are localised by Argon::Runner instead.

use strict;
use warnings;

use Argon::Runner::Kernel ();

my $TITLE = 'argon runner';

# Of Linux; Fcntl would have to be loaded.
use constant { F_GETFL => 3, F_SETFL => 4, F_SETSIG => 10, F_GETSIG => 11 };

# The marks of standard input, output and error: numbers of signals that are never requested, since none has an owner.
my @MARKS = (41, 42, 43);

sub new {
    my ($class) = @_;
    my $self = bless { umask => umask, seed => unpack('L', _random_bytes()), can_mark => scalar Argon::Runner::Kernel::has('ppoll') }, $class;
    $0 = $TITLE;
    $SIG{PIPE} = 'DEFAULT';
    $self->remember_environment;
    opendir $self->{own_folder}, '.' or die "argon runner: the working folder cannot be opened: $!\n";
    # Opened again for another folder, it keeps its number: a new descriptor would be one that a task has left.
    opendir $self->{folder}, '.' or die "argon runner: the working folder cannot be opened: $!\n";
    @{$self}{qw(meta callers_folder)} = (q{}, q{});
    $self->{folder_identity} = [(stat q{.})[0, 1]];
    $self->{inc} = [@INC];
    $self->_remember_signals;
    $self->_remember_handles;
    return $self;
}

# The environment as it is now is what every later task finds.
sub remember_environment {
    my ($self) = @_;
    delete @ENV{qw(ARGON_TASK_ID ARGON_ATTEMPT)};
    $self->{environment}       = {%ENV};
    $self->{environment_names} = [sort keys %ENV];
    $self->{environment_text}  = join "\0", @ENV{ @{ $self->{environment_names} } };
    return;
}

# The folder of the caller, which the meta of a task names, is that of the task and of those after it; the runner's own, where
# this machine does not have that. A task that names none cannot see where it is.
sub start_in {
    my ($self, $meta) = @_;
    return if $meta eq $self->{meta};
    $self->{meta} = $meta;
    my ($folder) = $meta =~ /"folder":"((?:[^"\\]|\\.)*)"/ or return;
    $folder =~ s{\\(?:u([0-9a-fA-F]{4})|(.))}{ defined $1 ? do { my $c = chr hex $1; utf8::encode($c); $c } : $2 }ge;
    return if $folder eq $self->{callers_folder};
    $self->{callers_folder} = $folder;
    if ($folder !~ m{\A/} || !opendir($self->{folder}, $folder) || !chdir $self->{folder}) {
        chdir $self->{own_folder};
        opendir $self->{folder}, '.' or die "argon runner: the working folder cannot be opened: $!\n";
    }
    $self->{folder_identity} = [(stat q{.})[0, 1]];
    return;
}

# Stops at once what could interrupt the runner after a task: alarms and signal handlers.
sub quiet {
    my ($self) = @_;
    no warnings 'uninitialized';
    alarm 0;
    $self->_restore_signals if $self->{signal_text} ne join "\0", @SIG{ @{ $self->{signal_names} } };
    return;
}

# Called before the outcome is sent: restores the standard handles, so that the output of the task is written.
sub flush {
    my ($self) = @_;
    return $self->_restore_handles;
}

# Everything else, while the outcome is on its way. The two variables that name the task stay until the next one's.
sub restore {
    my ($self) = @_;
    no warnings 'uninitialized';
    umask $self->{umask};
    $0 = $TITLE if $0 ne $TITLE;
    %ENV = %{ $self->{environment} }
        if keys(%ENV) != @{ $self->{environment_names} } + 2
        || !exists $ENV{ARGON_TASK_ID}
        || !exists $ENV{ARGON_ATTEMPT}
        || $self->{environment_text} ne join "\0", @ENV{ @{ $self->{environment_names} } };
    # Cheaper than to ask where this is.
    chdir $self->{folder} or $self->_require_folder;
    @INC = @{ $self->{inc} } if "@INC" ne "@{ $self->{inc} }";
    $self->{seed} = ($self->{seed} * 1_664_525 + 1_013_904_223) & 0xffff_ffff;
    srand $self->{seed};
    return;
}

sub _random_bytes {
    my $bytes = '';
    open my $source, '<:raw', '/dev/urandom' or return pack 'L', time ^ $$ << 15;
    sysread $source, $bytes, 4;
    return $bytes;
}

sub _remember_signals {
    my ($self) = @_;
    no warnings 'uninitialized';
    my %name = map { $_ => 1 } keys %SIG, '__WARN__', '__DIE__';
    delete @name{qw(KILL STOP)};
    $self->{signal_names} = [sort keys %name];
    $self->{signals}      = { map { $_ => $SIG{$_} } keys %name };
    $self->{signal_text}  = join "\0", @SIG{ @{ $self->{signal_names} } };
    return;
}

sub _restore_signals {
    my ($self) = @_;
    no warnings;
    for my $name (@{ $self->{signal_names} }) {
        my $before = $self->{signals}{$name};
        next if $before eq $SIG{$name};
        if    (defined $before)  { $SIG{$name} = $before }
        elsif ($name =~ /\A__/) { delete $SIG{$name} }
        else                     { $SIG{$name} = 'DEFAULT' }
    }
    # A name that the task added, such as a second spelling of a signal, goes too.
    exists $self->{signals}{$_} or delete $SIG{$_} for keys %SIG;
    $self->{signals} = { map { $_ => $SIG{$_} } @{ $self->{signal_names} } };
    $self->{signal_text} = join "\0", @SIG{ @{ $self->{signal_names} } };
    return;
}

# A folder that may no longer be entered need not be, if this process is still there.
sub _require_folder {
    my ($self) = @_;
    my $reason = "$!";
    no warnings 'uninitialized';
    my ($device, $inode) = stat q{.};
    return if $inode == $self->{folder_identity}[1] && $device == $self->{folder_identity}[0];
    die "argon runner: cannot go back to the working folder: $reason\n";
}

sub _remember_handles {
    my ($self) = @_;
    my ($input, $output, $errors);
    open $input,  '<&', \*STDIN  or open $input,  '<',  '/dev/null' or die "argon runner: /dev/null: $!\n";
    open $output, '>&', \*STDOUT or open $output, '>>', '/dev/null' or die "argon runner: /dev/null: $!\n";
    open $errors, '>&', \*STDERR or open $errors, '>>', '/dev/null' or die "argon runner: /dev/null: $!\n";
    @{ $self->{kept} }{qw(STDIN STDOUT STDERR)} = ($input, $output, $errors);
    @{ $self->{io} }{qw(STDIN STDOUT STDERR)} = (*STDIN{IO}, *STDOUT{IO}, *STDERR{IO});
    $self->_reopen_handles;
    return;
}

# Autoflush gives order between the two handles, and shows the output of a task while it runs.
sub _restore_handles {
    my ($self) = @_;
    no warnings;
    untie *STDIN  if tied *STDIN;
    untie *STDOUT if tied *STDOUT;
    untie *STDERR if tied *STDERR;
    select STDERR;
    $| = 1;
    select STDOUT;
    $| = 1;
    return if $self->{handle_text} eq $self->_handle_text;
    return $self->_reopen_handles;
}

# A text that differs when one of the handles leads elsewhere or is read or written otherwise.
sub _handle_text {
    my ($self) = @_;
    no warnings;
    return join ' ', $self->_files_of_handles,
        fileno(STDIN), fileno(STDOUT), fileno(STDERR), *STDIN{IO}, *STDOUT{IO}, *STDERR{IO},
        PerlIO::get_layers(*STDIN), PerlIO::get_layers(*STDOUT), PerlIO::get_layers(*STDERR);
}

# The marks that distinguish them from each other and from what replaces them: less than half as expensive as the device and
# number of each. And whether writing waits, which a task may have changed for all who have the pipe.
sub _files_of_handles {
    my ($self) = @_;
    no warnings;    # one may be closed
    return ((stat STDIN)[0, 1], (stat STDOUT)[0, 1], (stat STDERR)[0, 1]) if !$self->{can_mark};
    return (fcntl(STDIN, F_GETSIG, 0), fcntl(STDOUT, F_GETSIG, 0), fcntl(STDERR, F_GETSIG, 0), fcntl(STDOUT, F_GETFL, 0), fcntl(STDERR, F_GETFL, 0));
}

sub _mark_handles {
    my ($self) = @_;
    my $flags = $self->{output_flags} //= [map { fcntl $_, F_GETFL, 0 } *STDOUT, *STDERR];
    fcntl STDOUT, F_SETFL,  $flags->[0] + 0;
    fcntl STDERR, F_SETFL,  $flags->[1] + 0;
    fcntl STDIN,  F_SETSIG, $MARKS[0];
    fcntl STDOUT, F_SETSIG, $MARKS[1];
    fcntl STDERR, F_SETSIG, $MARKS[2];
    return;
}

sub _reopen_handles {
    my ($self) = @_;
    no warnings;
    # A task may have aliased the globs themselves: take them apart first.
    undef *STDIN;
    undef *STDOUT;
    undef *STDERR;
    *STDIN  = $self->{io}{STDIN};
    *STDOUT = $self->{io}{STDOUT};
    *STDERR = $self->{io}{STDERR};
    close STDIN;
    open STDIN, '<&', $self->{kept}{STDIN} or die "argon runner: standard input: $!\n";
    close STDOUT;
    open STDOUT, '>&', $self->{kept}{STDOUT} or die "argon runner: standard output: $!\n";
    close STDERR;
    open STDERR, '>&', $self->{kept}{STDERR} or exit 70;
    $self->_number_handles if fileno STDIN != 0 || fileno STDOUT != 1 || fileno STDERR != 2;
    select STDERR;
    $| = 1;
    select STDOUT;
    $| = 1;
    $self->_mark_handles if $self->{can_mark};
    $self->{handle_text} = $self->_handle_text;
    return;
}

# A task that closed a standard handle and then opened a file holds its number: take the number back.
sub _number_handles {
    my ($self) = @_;
    require POSIX;
    POSIX::dup2(fileno $self->{kept}{STDIN},  0);
    POSIX::dup2(fileno $self->{kept}{STDOUT}, 1);
    POSIX::dup2(fileno $self->{kept}{STDERR}, 2);
    open STDIN,  '<&=', 0 or die "argon runner: standard input: $!\n";
    open STDOUT, '>&=', 1 or die "argon runner: standard output: $!\n";
    open STDERR, '>&=', 2 or exit 70;
    return;
}

1;
