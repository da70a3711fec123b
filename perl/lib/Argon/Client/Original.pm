package Argon::Client::Original;

# Owns the interface of versions 0.12 to 0.16: queue gives an id, collect waits for it, process does both. A client is made
# one of these by the option interface of Argon::Client.

use strict;
use warnings;

use Argon::Deferred ();
use Argon::Error    ();

use parent -norequire, 'Argon::Client';

# The ids are those of tasks that belong to this client, as they did.
sub queue {
    my ($self, @call) = @_;
    my $deferred = $self->SUPER::defer(@call);
    my $id = $deferred->id;
    $self->{queued}{$id} = $deferred;
    return $id;
}

# The value in scalar context, or dies. Each id once; a ticket of submit may come from any process.
sub collect {
    my ($self, $id) = @_;
    my $deferred = defined $id ? delete $self->{queued}{$id} : undef;
    return scalar $deferred->get if $deferred;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: this client has no task '$id' that was not collected yet")
        if defined $id && $id !~ /-/ && $self->is_own($id);
    return scalar $self->SUPER::collect($id);
}

sub process {
    my ($self, @call) = @_;
    return scalar $self->SUPER::defer(@call)->get;
}

1;
