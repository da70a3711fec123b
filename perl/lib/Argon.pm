package Argon;

# Owns the version of the distribution and the names of the priorities. Everything else is in Argon::Client and below.

use 5.016;
use strict;
use warnings;

use Exporter 'import';

our $VERSION = '0.1.0';

our $PRI_HIGH   = 0;
our $PRI_NORMAL = 1;
our $PRI_LOW    = 2;

use constant { PRI_HIGH => 0, PRI_NORMAL => 1, PRI_LOW => 2 };

our @EXPORT_OK   = qw(PRI_HIGH PRI_NORMAL PRI_LOW $PRI_HIGH $PRI_NORMAL $PRI_LOW);
our %EXPORT_TAGS = (priorities => [qw(PRI_HIGH PRI_NORMAL PRI_LOW)]);

1;

__END__

=encoding utf8

=head1 NAME

Argon - a distributed processing platform

=head1 SYNOPSIS

  # one machine, one command
  $ argon up

  # then, in Perl
  use Argon::Client;

  my $client = Argon::Client->new(host => '127.0.0.1', port => 8000);
  my $sum    = $client->queue(sub { my ($x, $y) = @_; return $x + $y }, [4, 7]);

=head1 DESCRIPTION

Argon turns the machines you have into one pool that you call like a function. A I<client> hands a function and its
arguments to a I<manager>; the manager routes the I<task> to one of many uniform I<workers>; the worker runs it in its
pool of processes; the outcome travels back and is returned, or thrown again, where the call was made.

Managers and workers are started with the command C<argon>:

  argon manager --port 8000 --host mgrhost
  argon worker --port 8001 --host workerhost --manager mgrhost:8000

The client is L<Argon::Client>; for short scripts there is L<Argon::Simple>. Client and workers need core modules only,
Perl 5.16 or newer, built with 64-bit integers.

=head1 VARIABLES AND CONSTANTS

=head2 $Argon::PRI_HIGH, $Argon::PRI_NORMAL, $Argon::PRI_LOW

Priorities of a task, for L<Argon::Client/queue>. The constants C<PRI_HIGH>, C<PRI_NORMAL> and C<PRI_LOW> are exported on
request, together as C<:priorities>.

=head1 SEE ALSO

L<Argon::Client>, L<Argon::Deferred>, L<Argon::Error>, L<Argon::Simple>

=head1 LICENSE

MIT or Apache License 2.0, at your choice.

=cut
