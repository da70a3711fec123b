package Argon::Protocol::Ticket;

# Owns the two secrets of a client in their forms: the secret of a session, from which its id follows, and the ticket of a
# detached task, which is its id and the token that collecting needs. Pure functions; the source is spec/protocol.md, sections 4 and 7.

use strict;
use warnings;

use Digest::SHA qw(sha256);

use Argon::Protocol qw(:all);

# The 16 bytes of the session that has this secret. A session inside a task has the 8 bytes of its family in front.
sub session_of {
    my ($secret, $family) = @_;
    $family = q{} if !defined $family;
    return $family . substr sha256("argon session\0$secret"), 0, SESSION_BYTES - length $family;
}

# The text of a ticket, from its id and its token.
sub text { return join q{-}, map { unpack 'H*', $_ } @_ }

# The id and the token of a ticket's text; nothing if it is not one.
sub parse {
    my ($text) = @_;
    my ($id, $token) = $text =~ /\A([0-9a-f]{48})-([0-9a-f]{32})\z/ or return;
    return map { pack 'H*', $_ } $id, $token;
}

# Reason why a text is not a ticket, for a message. It repeats no more than an id: the text may be half a secret.
sub reason {
    my ($text) = @_;
    return "$text is the id of a task, not its ticket, which has a token behind the id"
        if defined $text && $text =~ /\A[0-9a-f]{48}\z/;
    return 'what was given is not one: a ticket is 48 hexadecimal digits, a dash and 32 hexadecimal digits';
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Protocol::Ticket - session secrets and tickets of detached tasks

=head1 SYNOPSIS

  use Argon::Protocol::Ticket;

  my $session = Argon::Protocol::Ticket::session_of($secret);
  my $text    = Argon::Protocol::Ticket::text($id, $token);
  my ($id, $token) = Argon::Protocol::Ticket::parse($text) or die 'not a ticket';

=head1 DESCRIPTION

A session proves itself by the secret from which its id was derived. A detached task is collected with its ticket: its id and a
token that only its submitter received. See F<spec/protocol.md>.

=head1 FUNCTIONS

=head2 session_of($secret, $family)

Returns the 16 bytes of the session's id. C<$family>, 8 bytes, is given for a client inside a task only.

=head2 text($id, $token)

Returns the ticket as text: 48 hexadecimal digits, a dash, 32 hexadecimal digits.

=head2 parse($text)

Returns the 24 bytes of the id and the 16 bytes of the token; an empty list if the text is not a ticket.

=head2 reason($text)

Returns why the text is not a ticket, a part of a sentence.

=cut
