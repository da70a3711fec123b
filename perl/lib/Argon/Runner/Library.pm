package Argon::Runner::Library;

# Owns the text of the client's modules in a runner, so that a task can use Argon::Client wherever it runs, in the version that
# the runner itself has. It is the first entry of @INC. Of the other modules it gives those that a client has of its own, see Argon::Runner::Modules. The program of the runner
# fills the texts in, from library.txt; nothing of them is compiled before it is required.

use strict;
use warnings;

# By file, as in "Argon/Client.pm".
our %TEXT;

sub install {
    my ($class, $modules) = @_;
    unshift @INC, bless { modules => $modules }, $class;
    return;
}

# Perl calls it for each file that is required. The name needs its package: perl forces a bare INC to main.
sub Argon::Runner::Library::INC {
    my ($self, $file) = @_;
    my $text = $TEXT{$file};
    return $self->{modules}->first($file) if !defined $text;
    $INC{$file} = $file;
    open my $handle, '<', \qq{# line 1 "$file"\n$text} or die "the text of $file cannot be read: $!\n";
    return $handle;
}

1;
