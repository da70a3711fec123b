package Argon::Data::Left;

# Owns the objects that belong to one process: a client, its session, the handle on a task. They travel as a placeholder, an
# Argon::Left, which dies in words when a method is called on it. Back in its own process it is the very object again. In a
# task of the same family the placeholder of a client stands for the client of the task. Both ends run this file.

use strict;
use warnings;

use Scalar::Util qw(refaddr weaken);

my @STAYS = qw(Argon::Client Argon::Deferred Argon::Client::Session);

# Objects that were sent from here, by number, weak; and the number by address.
my (%object_of, %number_of, $last_number);

# The name of this process, which no other has: [process, name].
my $home;

sub stays {
    my ($class) = @_;
    return 1 if $class eq 'Argon::Left';
    return $INC{'Argon/Client.pm'} && scalar grep { UNIVERSAL::isa($class, $_) } @STAYS;
}

# Description that is sent for an object: its class and parents, its number, its home, and the home in words.
sub description {
    my ($object) = @_;
    return [@{$object}{qw(class parents number home place), $object->{client} ? 'client' : ()}] if ref $object eq 'Argon::Left';
    require mro;
    my $class = ref $object;
    my ($name, $place) = @{ _home() }[1, 2];
    return [$class, mro::get_linear_isa($class), _number($object), $name, $place, $object->isa('Argon::Client') ? _client($object) : ()];
}

# The family of its session, by which a task knows its own, and the options that it gives its tasks, if all are plain.
sub _client {
    my ($client) = @_;
    my $defaults = $client->{defaults} || {};
    return if grep {ref} values %{$defaults};
    return { family => unpack('H16', $client->session->{identity}), defaults => { %{$defaults} } };
}

# The object of a description: itself if this is its home and it still lives, else a placeholder.
sub object {
    my ($class, $parents, $number, $name, $place, $client) = @_;
    my $own = $home && $home->[0] == $$ && $home->[1] eq $name ? $object_of{$number} : undef;
    return $own if $own;
    return bless { class => $class, parents => $parents, number => $number, home => $name, place => $place, $client ? (client => $client) : () }, 'Argon::Left';
}

sub _number {
    my ($object) = @_;
    my $known = $number_of{ refaddr $object };
    # Another object may have had the address before.
    return $known if $known && $object_of{$known} && refaddr($object_of{$known}) == refaddr $object;
    _forget_dead() if keys(%object_of) && !(keys(%object_of) & 0xff);
    weaken($object_of{ ++$last_number } = $object);
    return $number_of{ refaddr $object } = $last_number;
}

sub _forget_dead {
    delete @object_of{ grep { !$object_of{$_} } keys %object_of };
    delete @number_of{ grep { !$object_of{ $number_of{$_} } } keys %number_of };
    return;
}

sub _home {
    return $home if $home && $home->[0] == $$;
    require Sys::Hostname;
    require Time::HiRes;
    my $host = eval { Sys::Hostname::hostname() } || 'this host';
    my $owner = $INC{'Argon/Runner.pm'} ? 'the task that made it' : 'the program that sent the task';
    return $home = [$$, join(':', $host, $$, Time::HiRes::time()), "$owner, process $$ on $host"];
}

package Argon::Left;

use overload '&{}' => sub { my ($self) = @_; return sub { $self->_refuse } }, fallback => 1;

our $AUTOLOAD;

sub isa {
    my ($self, $class) = @_;
    return UNIVERSAL::isa($self, $class) || ref $self && scalar grep { $_ eq $class } @{ $self->{parents} };
}

sub DOES { my ($self, $class) = @_; return $self->isa($class) }

# Hooks of serializers are looked for by name; methods are not written in capitals.
sub can {
    my ($self, $name) = @_;
    return UNIVERSAL::can($self, $name) || ref $self && $name =~ /\A[a-z]/ && sub { $_[0]->_refuse };
}

sub AUTOLOAD {
    my ($self) = @_;
    ref $self or die Argon::Data::at_caller("There is no sub $AUTOLOAD");
    my ($name) = $AUTOLOAD =~ /([^:]+)\z/;
    my $client = $self->_client_of_task or return $self->_refuse;
    my $method = $client->can($name) or die Argon::Data::at_caller(qq{Can't locate object method "$name" via package "$self->{class}"});
    shift;
    unshift @_, $client;
    goto &{$method};
}

# The client of the task that runs now, if the task was sent by the client that this one stands for, or by one of its tasks.
# With the options of tasks that the original has.
my %client_of;

sub _client_of_task {
    my ($self) = @_;
    my ($about, $task) = ($self->{client}, $ENV{ARGON_TASK_ID} // q{});
    return if !$about || !defined $ENV{ARGON_WORKER_SOCKET} || index($task, $about->{family}) != 0;
    require Argon::Client;
    return Argon::Client->current if !%{ $about->{defaults} };
    return $client_of{"$self->{home} $self->{number}"} ||= Argon::Client->new(%{ $about->{defaults} });
}

sub _refuse {
    my ($self) = @_;
    my $advice = $self->{class} eq 'Argon::Deferred' ? 'send its value or return what is to be called' : 'in a task use Argon::Client->current, or return what is to be called';
    die Argon::Data::at_caller("this $self->{class} was left in $self->{place}; $advice");
}

sub DESTROY { }

1;
