package Argon::Local;

# Owns the pool of this machine that a program starts by itself: the program `argon up`, which ends when this process does, and the
# client that Argon::pmap uses, with such a pool if no manager answers.

use strict;
use warnings;

use Socket      ();
use Time::HiRes ();

use Argon::Client               ();
use Argon::Client::InTask       ();
use Argon::Client::Net::Address ();
use Argon::Client::Net::Dial    ();
use Argon::Client::Net::Program ();
use Argon::Error                ();

# A pool is ready in a fraction of a second; a machine that is overloaded takes longer.
my $READY_S     = 60;
my $READY_BYTES = 65_536;
my $KEY_BYTES   = 32;

# The client of pmap.
my $client;

# The client for a program that names no manager: that of its task, of ARGON_MANAGER, of the manager of this machine, or of a pool
# of its own.
sub client {
    return $client ||= _client();
}

sub _client {
    return Argon::Client->current if Argon::Client::InTask->here;
    return Argon::Client->new if ($ENV{ARGON_MANAGER} // q{}) =~ /\S/;
    my ($address) = Argon::Client::Net::Address::all();
    if (_listens(@{$address})) {
        my $of_machine = Argon::Client->new;
        return $of_machine if eval { $of_machine->connect; 1 };
        # What listens is another program, or the manager of another user.
        die $@ if !ref $@ || !$@->isa('Argon::Error') || $@->kind ne 'unreachable';
        $of_machine->shutdown;
    }
    return pooled();
}

# A client with a pool of its own. Options: slots, and those of Argon::Client->new.
sub pooled {
    my (%options) = @_;
    my $slots = delete $options{slots};
    if (my ($given) = grep { defined $options{$_} } qw(host port hosts key)) {
        _refuse("local makes a pool of this program's own, and takes no $given: use Argon::Client->new($given => ...)");
    }
    my $pool = __PACKAGE__->_start($slots);
    my $own  = Argon::Client->new(%options, host => $pool->{host}, port => $pool->{port}, key => $pool->{key});
    $own->session->{pool} = $pool;
    return $own;
}

# The pool lives as long as the handle to its standard input.
sub _start {
    my ($class, $slots) = @_;
    my $program = Argon::Client::Net::Program::find() // die Argon::Error->new(kind => 'unreachable', message =>
        'a pool of this machine needs the program argon, and neither ARGON_PROGRAM nor PATH leads to it: install it, name it in '
        . 'ARGON_PROGRAM, or name a manager in ARGON_MANAGER');
    my $self = bless { key => 'argon1-cluster-' . unpack 'H*', Argon::Client::Net::Dial::random($KEY_BYTES) }, $class;
    pipe my $input, $self->{handle} or _failed($program, "no pipe: $!");
    pipe my $ready, my $output      or _failed($program, "no pipe: $!");
    my @arguments = ('up', '--port' => 0, '--until-eof', '--perl' => _perl(), defined $slots ? ('--slots' => $slots) : ());
    local $ENV{ARGON_KEY} = $self->{key};
    local $ENV{ARGON_LOG} = $ENV{ARGON_LOG} // 'error';
    open my $errors, '>&', defined fileno STDERR ? \*STDERR : '/dev/null' or _failed($program, "no standard error: $!");
    Argon::Client::Net::Program::start($program, \@arguments, in => $input, out => $output, err => $errors)
        or _failed($program, "no process: $!");
    close $_ for $input, $output;
    @{$self}{qw(host port)} = _address_of(_ready_line($ready)) or _failed($program, 'it was not ready; what it reports is above');
    return $self;
}

# This perl, as tasks are to see it.
sub _perl {
    require Config;
    return -x $^X && $^X =~ m{\A/} ? $^X : $Config::Config{perlpath};
}

sub _ready_line {
    my ($from) = @_;
    my ($text, $end) = (q{}, Time::HiRes::time() + $READY_S);
    while ($text !~ /\n/ && length $text < $READY_BYTES && (my $left = $end - Time::HiRes::time()) > 0) {
        my $readable = q{};
        vec($readable, fileno $from, 1) = 1;
        my $found = select $readable, undef, undef, $left;
        next if $found <= 0;
        my $read = sysread $from, $text, $READY_BYTES, length $text;
        last if !$read && !$!{EINTR};
    }
    return $text;
}

sub _address_of {
    my ($line) = @_;
    return $line =~ /\Aargon-ready .*?\baddr=([0-9.]+):(\d+)/ ? ($1, $2) : ();
}

# True if something accepts connections there.
sub _listens {
    my ($host, $port) = @_;
    my $address = Socket::inet_aton($host) // return 0;
    socket my $probe, Socket::PF_INET(), Socket::SOCK_STREAM(), 0 or return 0;
    return connect $probe, Socket::pack_sockaddr_in($port, $address);
}

sub _failed {
    my ($program, $why) = @_;
    die Argon::Error->new(kind => 'unreachable', message => "no pool was started with `$program up`: $why");
}

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon: $sentence");
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Local - the pool that a program starts by itself

=head1 DESCRIPTION

The part of L<Argon> behind C<pmap>, C<< Argon->client >> and C<< Argon->local >>, where it is described.

=cut
