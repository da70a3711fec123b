package Argon::Client::Net::Key;

# Owns the search for the cluster key: the option, the environment, the default file. It returns the key of the client's
# role, or dies with a sentence that names the remedy. Argon::Client::Net::Dial calls it before each connection.

use strict;
use warnings;

use Fcntl       ();
use Time::HiRes ();

use Argon::Client::Net::Program ();
use Argon::Protocol::Handshake ();

my $GROUP_AND_OTHERS = oct '77';
my $FILE_BYTES       = 4096;    # that are read: far more than a key has

my $PROGRAM_S        = 5;
my %derived;    # the pins of cluster keys, by their lines

# The role's key, a word on where it came from, the manager's pin if it came with the key, the line of a cluster key, and the name
# and id of a person's. The second argument is the manager's address, for the advice. The option and ARGON_KEY are a key line or the path of a file.
sub find {
    my ($option, $manager) = @_;
    return _read($option, 'the option key') if defined $option && length $option;
    return _read($ENV{ARGON_KEY}, 'the environment variable ARGON_KEY') if defined $ENV{ARGON_KEY} && length $ENV{ARGON_KEY};
    my $path = default_path();
    if (defined $path && _is_of_another_role($path)) {
        my $own = $path =~ s{[^/]+\z}{client.key}r;
        $path = $own if -e $own;
    }
    return _from_file($path, 'the default key file') if defined $path && -e $path;
    die 'There is no cluster key: ' . (defined $path ? "$path does not exist" : 'neither XDG_CONFIG_HOME nor HOME names a folder from the root')
        . '. To get a key for this machine, run `argon pair ' . ($manager // 'HOST:PORT') . '` here.'
        . q{ On the manager's machine there is one already (`argon key` shows where). A key that lies elsewhere is given as}
        . " key => FILE or in ARGON_KEY.\n";
}

# True if there is no key here, or one that does not open the role of a client. Other mistakes are for the reader.
sub _is_of_another_role {
    my ($path) = @_;
    return 1 if !-e $path;
    open my $handle, '<:raw', $path or return 0;
    my $start = q{};
    read $handle, $start, 64;
    close $handle;
    return $start =~ /\A\s*argon1-(?:worker|observer|admin)-/ ? 1 : 0;
}

# The pin of the manager that a key without one belongs to: derived from the line of a cluster key by the program `argon`.
sub derive_pin {
    my ($origin, $cluster_line) = @_;
    die "The key from $origin does not name the manager to trust, which a connection over TLS needs: make it anew with"
        . q{ `argon key --role client` on the manager's machine, or give tls_ca if your organisation's CA vouches for the manager.} . "\n"
        if !defined $cluster_line;
    return $derived{$cluster_line} if defined $derived{$cluster_line};
    my $program = Argon::Client::Net::Program::find();
    my $answer  = defined $program ? _ask($program, $cluster_line) : q{};
    return $derived{$cluster_line} = pack 'H*', $1 if $answer =~ /\A([0-9a-f]{64})\s*\z/;
    die "The key from $origin does not name the manager to trust: copy the manager's key file with its line `pin ...`, or make a key with"
        . ' `argon key --role client`. The pin cannot be derived here, because '
        . (defined $program ? "`$program key --pin` did not print it" : 'neither PATH nor ARGON_PROGRAM leads to `argon`') . ".\n";
}

# What the program prints. The key is in its environment, which other users cannot see.
sub _ask {
    my ($program, $cluster_line) = @_;
    local $ENV{ARGON_KEY} = $cluster_line;
    pipe my $answers, my $end or return q{};
    open my $nothing, '+<', '/dev/null' or return q{};
    Argon::Client::Net::Program::start($program, ['key', '--pin'], in => $nothing, out => $end, err => $nothing) or return q{};
    close $end;
    my $answer = q{};
    my $until  = Time::HiRes::time() + $PROGRAM_S;
    while ((my $left = $until - Time::HiRes::time()) > 0) {
        my $readable = q{};
        vec($readable, fileno $answers, 1) = 1;
        next if !(select $readable, undef, undef, $left) || $readable eq "\0" x length $readable;
        my $read = sysread $answers, $answer, $FILE_BYTES, length $answer;
        return $answer if !$read && !$!{EINTR};
    }
    return q{};
}

# By the XDG base directory specification, which ignores relative paths.
sub default_path {
    return "$ENV{XDG_CONFIG_HOME}/argon/key" if defined $ENV{XDG_CONFIG_HOME} && $ENV{XDG_CONFIG_HOME} =~ m{\A/};
    my $home = defined $ENV{HOME} ? $ENV{HOME} : eval { (getpwuid $<)[7] };
    return defined $home && $home =~ m{\A/} ? "$home/.config/argon/key" : undef;
}

sub _read {
    my ($given, $origin) = @_;
    return _parse($given, $origin) if _bare($given) =~ /\Aargon1-/;
    return _from_file($given, $origin) if -e $given;
    die "There is no key file $given (named by $origin). `argon key` on the manager's machine shows where the key is.\n";
}

sub _from_file {
    my ($path, $origin) = @_;
    # A pipe without a writer must not block the program.
    sysopen my $handle, $path, Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK()
        or die "The key file $path ($origin) cannot be read: $!.\n";
    my $mode = (stat $handle)[2];
    die "The key $path ($origin) is a folder: name the file in it.\n" if -d _;
    die "The key $path ($origin) is not a regular file, so its mode protects nothing: name a file, or give the key itself.\n"
        if !-f _;
    # The same rule as the program's: who can read the key can run code on every worker.
    die "The key $path ($origin) can be read by others; run: chmod 600 $path\n" if $mode & $GROUP_AND_OTHERS;
    defined sysread $handle, my ($text), $FILE_BYTES or die "The key file $path ($origin) cannot be read: $!.\n";
    close $handle;
    die "The key file $path ($origin) is empty: copy the key again.\n" if !length _bare($text);
    return _parse($text, $path);
}

# A text without white space around it and the byte order mark that some editors put before it.
sub _bare {
    my ($text) = @_;
    $text =~ s/\A\s*(?:\xEF\xBB\xBF|\x{FEFF})?\s*//;
    $text =~ s/\s+\z//;
    return $text;
}

sub _parse {
    my ($text, $origin) = @_;
    my ($scope, $key, $pin, @holder) = Argon::Protocol::Handshake::parse_key(_bare($text))
        or die "\u$origin does not hold an Argon key: a key is one line, argon1-SCOPE-64 hexadecimal digits, perhaps with -64 more for"
        . " the manager's pin and -ID-NAME of its holder.\n";
    return (Argon::Protocol::Handshake::role_key($key, 'client'), $origin, $pin, 'argon1-cluster-' . unpack 'H*', $key)
        if $scope eq 'cluster';
    return ($key, $origin, $pin, undef, @holder) if $scope eq 'client';
    die "The key in $origin is for the role $scope: a client needs a cluster key or one made with `argon key --role client`.\n";
}

1;
