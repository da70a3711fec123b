package Argon;

# Owns the version of the distribution, the names of the priorities, and pmap for programs that name no manager. Everything
# else is in Argon::Client and below, and is loaded when it is used.

use 5.016;
use strict;
use warnings;

use Exporter 'import';

our $VERSION = '0.1.0';

our $PRI_HIGH   = 0;
our $PRI_NORMAL = 1;
our $PRI_LOW    = 2;

use constant { PRI_HIGH => 0, PRI_NORMAL => 1, PRI_LOW => 2 };

our @EXPORT_OK   = qw(pmap PRI_HIGH PRI_NORMAL PRI_LOW $PRI_HIGH $PRI_NORMAL $PRI_LOW);
our %EXPORT_TAGS = (priorities => [qw(PRI_HIGH PRI_NORMAL PRI_LOW)]);

sub pmap(&@) {    ## no critic (ProhibitSubroutinePrototypes)
    my ($code, @items) = @_;
    my @results = Argon->client->map($code, \@items, { chunk => 'auto' });
    return @results;
}

sub client {
    require Argon::Local;
    return Argon::Local::client();
}

sub local {
    my ($class, @options) = @_;
    require Argon::Local;
    return Argon::Local::pooled(@options);
}

1;

__END__

=encoding utf8

=head1 NAME

Argon - a distributed processing platform

=head1 SYNOPSIS

  # a loop on all CPUs of this machine, or on the pool that ARGON_MANAGER names
  $ perl -MArgon=pmap -E 'say for pmap { $_ ** 2 } 1..10'

  # a pool that stays, with one command
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

The client is L<Argon::Client>; for one loop there is C<pmap> (below), for short scripts there is L<Argon::Simple>. Client and workers need core modules only,
Perl 5.16 or newer, built with 64-bit integers.

=head1 FUNCTIONS

=head2 pmap { ... } @items

  use Argon qw(pmap);
  my @sizes = pmap { -s } glob '*.log';

As perl's own C<map>, but the block runs on a pool: for each item, with the item in C<$_> (and C<$_[0]>), in list context. The
results come in the order of the items; in scalar context it is their number. The first error is thrown, and the other tasks are
cancelled. L<Argon::Code> describes what a block can use. It works on copies: a change of C<$_> or of a captured variable does
not come back.

Items that take 2 ms or longer are a task each. Shorter ones travel together, as C<< chunk => 'auto' >> of L<Argon::Client/map>
describes.

The pool is that of C<< Argon->client >>.

=head2 Argon->client

Returns the L<Argon::Client> of this program, always the same. It is connected to

=over 4

=item 1. the pool of the task, if the program runs in one;

=item 2. the manager that the environment variable C<ARGON_MANAGER> names, if it is set;

=item 3. the manager at 127.0.0.1:8000, if one of this user answers there;

=item 4. else a pool of its own, as C<< Argon->local >> starts it.

=back

=head2 Argon->local(%options)

  my $client = Argon->local(slots => 4);

Starts a pool on this machine, and returns an L<Argon::Client> of it. The pool has a slot for each CPU, or C<slots>; a key of its
own, so that other programs do not reach it; and this perl for its tasks. It ends with the client, and when the program ends for
whatever reason. The other options are those of L<Argon::Client/new>, except C<host>, C<port>, C<hosts> and C<key>.

The pool is the program C<argon>, found by C<ARGON_PROGRAM>, next to this module, or in C<PATH>.

=head1 VARIABLES AND CONSTANTS

=head2 $Argon::PRI_HIGH, $Argon::PRI_NORMAL, $Argon::PRI_LOW

Priorities of a task, for L<Argon::Client/queue>. The constants C<PRI_HIGH>, C<PRI_NORMAL> and C<PRI_LOW> are exported on
request, together as C<:priorities>.

=head1 SEE ALSO

L<Argon::Client>, L<Argon::Deferred>, L<Argon::Error>, L<Argon::Simple>

=head1 LICENSE

MIT or Apache License 2.0, at your choice.

=cut
