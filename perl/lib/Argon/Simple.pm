package Argon::Simple;

# Owns the short form for scripts with one manager: connect once, then process { ... } and task. The client is one for
# the whole program.

use strict;
use warnings;

use Exporter 'import';

use Argon::Client ();

our @EXPORT = qw(connect process task);

my $client;

sub connect {
    my (@address) = @_;
    my %options = @address > 1 && ref $address[-1] eq 'HASH' ? %{ pop @address } : ();
    my ($host, $port) = @address;
    $options{host} = $host if defined $host;
    $options{port} = $port if defined $port;
    return $client = Argon::Client->new(%options);
}

sub process(&@) {    ## no critic (ProhibitSubroutinePrototypes)
    my ($code, @arguments) = @_;
    return _deferred(wantarray, $code, \@arguments);
}

sub task {
    my ($class, @arguments) = @_;
    return _deferred(wantarray, $class, \@arguments);
}

sub _deferred {
    my ($wants_list, $code, $arguments) = @_;
    Argon::Simple::connect() if !$client;
    my $deferred = $client->defer($code, $arguments);
    return $deferred if !$wants_list;
    return ($deferred, sub { return $deferred->is_ready });
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Simple - run code on a cluster, in a few words

=head1 SYNOPSIS

  use Argon::Simple;

  connect 'mgrhost:8000';

  my $deferred = process { $_[0] * 2 } 21;
  print $deferred->(), "\n";                       # 42

  my ($resize, $is_finished) = task 'My::Resize', 'photo.jpg';
  print '.' until $is_finished->();
  my $size = $resize->();

=head1 DESCRIPTION

Most programs talk to one manager. This module keeps that one client for them; everything it returns is an
L<Argon::Deferred>. For priorities, time limits and the rest use L<Argon::Client>.

=head1 FUNCTIONS

All three are exported. They replace the built-in C<connect> in the package that uses this module.

=head2 connect('host:port'), connect($host, $port), connect($host, $port, \%options)

Makes the client and returns it. The options are those of L<Argon::Client/new>. Without a call of C<connect>, the first task
goes to 127.0.0.1:8000. The connection itself is made by the first task.

=head2 process { ... } @arguments

Sends the block with its arguments and returns at once: a deferred, to be called for the value. In list context it also
returns a code reference that is true once the outcome is there.

=head2 task 'My::Class', @arguments

The same for C<< My::Class->new(@arguments)->run >>.

=cut
