package Argon::Protocol::Text;

# Owns text of others that people will read: names, hosts, messages of managers and workers. Cleaned, it cannot move a cursor,
# forge a line of a log or turn the direction of what stands beside it. Reports are cleaned where they are read.

use strict;
use warnings;

use JSON::PP ();

my $LINE_CHARS  = 200;
my $FIELD_CHARS = 1000;

# Controls but for line feed and tab, and characters that are invisible or change the direction of text.
my $HIDDEN = qr/[\x00-\x08\x0b-\x1f\x7f-\x9f\x{61c}\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]/;

my %IS_LINE   = map { $_ => 1 } qw(worker host class code);
my %IS_NUMBER = map { $_ => 1 } qw(pid attempt attempts signal exit peak_kib limit_kib run_ms);

# One line of at most so many characters, 200 by default: white space becomes a space, what is not visible a question mark.
sub line {
    my ($text, $chars) = @_;
    $chars //= $LINE_CHARS;
    $text =~ s/[\t\n\x0b-\x0d\x{85}\x{2028}\x{2029}]/ /g;
    $text =~ s/$HIDDEN/?/g;
    return length $text > $chars ? substr($text, 0, $chars - 3) . '...' : $text;
}

# Several lines, which stay lines.
sub lines {
    my ($text) = @_;
    $text =~ s/\r\n?/\n/g;
    $text =~ s/$HIDDEN/?/g;
    return $text;
}

# The fields of an outcome's report, a hash reference: those that it should have, each of its kind. Output and stack are of the
# task and stay as they are; Argon::Error cleans them where it shows them.
sub report {
    my ($json) = @_;
    my $given = eval { JSON::PP->new->utf8->decode($json) };
    return {} if ref $given ne 'HASH';
    my %report;
    for my $name (keys %{$given}) {
        my $value = $given->{$name};
        if ($name eq 'story') {
            $report{$name} = [map { lines($_) } grep { defined && !ref } @{$value}] if ref $value eq 'ARRAY';
            next;
        }
        next if !defined $value || ref $value;
        next if $IS_NUMBER{$name} && $value !~ /\A-?[0-9]{1,18}(?:[.][0-9]{1,18})?\z/;
        $report{$name} = $IS_LINE{$name} ? line($value) : $name eq 'message' ? lines($value) : $value;
    }
    return \%report;
}

# One text field of a JSON object.
sub field {
    my ($json, $name, $otherwise) = @_;
    my $given = eval { JSON::PP->new->utf8->decode($json) };
    my $value = ref $given eq 'HASH' ? $given->{$name} : undef;
    return defined $value && !ref $value ? line($value, $FIELD_CHARS) : $otherwise;
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Protocol::Text - text of managers and workers, fit for a terminal and a log

=head1 SYNOPSIS

  use Argon::Protocol::Text;

  my ($host, $message) = ("box\e[2J", "one\ntwo\a");
  my $line  = Argon::Protocol::Text::line($host);
  my $lines = Argon::Protocol::Text::lines($message);

=head1 DESCRIPTION

Names, hosts and messages come from other machines. These functions take out of them what would control a terminal.

=head1 FUNCTIONS

=head2 line($text, $chars)

Returns the text as one line of at most C<$chars> characters, 200 by default. White space becomes a space, and controls, escapes and invisible
characters become a question mark.

=head2 lines($text)

Returns the text with its lines and tabs, without other controls.

=head2 report($json)

Returns the fields of an outcome's report as a hash reference. Fields that are not of their kind are left out.

=head2 field($json, $name, $otherwise)

Returns one field of a JSON object as a line of at most 1000 characters; C<$otherwise> if it has none.

=cut
