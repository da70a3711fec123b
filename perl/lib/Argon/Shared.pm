package Argon::Shared;

# Owns the handle on a value that many tasks of a client use: its encoding, made once, as a blob. Argon::Data::Graph writes
# a reference to the blob wherever the handle stands, and Argon::Runner::SharedValues gives the task the value in its place.

use strict;
use warnings;

use Digest::SHA ();

use Argon::Data  ();
use Argon::Error ();
use Argon::Protocol qw(:all);

sub new {
    my ($class, $value, $options) = @_;
    my %given     = %{ $options || {} };
    my $read_only = delete $given{read_only} ? 1 : 0;
    _refuse("there is no option '$_'; the only one is read_only") for sort keys %given;
    # Shared values go to tasks, so they bring classes and code along, also from inside a task.
    my $bytes = do { no warnings 'once'; local $Argon::Data::Graph::IS_IN_RUNNER = 0; Argon::Data::encode([$value]) };
    _refuse('the value takes ' . length($bytes) . ' bytes, more than the ' . PAYLOAD_BYTES_MAX . ' that one may have')
        if length $bytes > PAYLOAD_BYTES_MAX;
    _refuse('a read-only value cannot hold code, nor objects of classes that are written in the script')
        if $read_only && Argon::Data::holds_code($bytes);
    return bless { blob => [Digest::SHA::sha256($bytes), $bytes], read_only => $read_only }, $class;
}

# [hash, bytes]
sub blob { return $_[0]{blob} }

sub is_read_only { return $_[0]{read_only} }

sub size { return length $_[0]{blob}[1] }

sub value { return Argon::Data::decode($_[0]{blob}[1])->[0] }

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: share: $sentence");
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Shared - a value that travels once for many tasks

=head1 SYNOPSIS

  my $prices = $client->share(\%price_of);

  my @totals = $client->map(sub { my ($order) = @_; return sum(map { $prices->{$_} } @{$order}) }, \@orders);
  my $same   = $client->queue(\&total, [$prices, $order]);

=head1 DESCRIPTION

L<Argon::Client/share> returns one of these. Put it anywhere among the arguments of a task, or capture it: the task finds the
value itself there, as if it had been given that. The bytes go once to the manager, once to each worker and once to each
runner process, however many tasks use them.

The value is read when C<share> is called; later changes of it here are not seen. Each task gets a copy of its own and
may do with it what it likes: a string costs next to nothing, a structure is built anew for each task. With the option
C<read_only> it is built once in each runner, and locked.

At most 15 shared values fit one task. A shared value cannot hold another. The handle is not tied to the client that made it; the
bytes are freed with it, when no unfinished task needs them.

=head1 METHODS

=head2 value

A copy of the value, for code that runs here.

=head2 size

The bytes that it takes.

=head2 new($value, \%options), blob, is_read_only

For L<Argon::Client> itself.

=cut
