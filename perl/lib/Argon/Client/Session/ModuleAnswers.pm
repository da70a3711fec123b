package Argon::Client::Session::ModuleAnswers;

# Owns the answers to tasks that ask this client for a module's text. Only files that @INC gives are read, only pure
# Perl is given, and each question is answered exactly once, yes or no.

use strict;
use warnings;

use JSON::PP ();

use Argon::Code::Ship::OwnModules ();
use Argon::Protocol qw(:all);

my $TEXT_BYTES_MAX = FRAME_BYTES_MAX - 1_024;

sub on_ask {
    my ($session, $link, $body) = @_;
    my $about    = substr $body, 0, 32;
    my $question = eval { JSON::PP->new->utf8->decode(substr $body, 32) };
    my ($text, $refusal) = (undef, 'the question cannot be read');
    if (ref $question eq 'HASH') {
        ($text, $refusal)
            = ($question->{kind} // q{}) ne 'perl-module' ? (undef, 'this client answers only for Perl modules')
            : !$session->{remote_modules} ? (undef, 'the client does not give modules (remote_modules => 0)')
            :                               text_of($question->{name});
    }
    $link->send_frame(ANSWER, $about . (defined $text ? pack('C', ANSWER_YES) . $text : pack('C', ANSWER_NO) . $refusal));
    return;
}

# The texts that were given, by name: in one run of a program all tasks get the same.
my %given;

# The text of a module file such as Foo/Bar.pm, with a directive that names the file it came from; or undef and words
# with the reason.
sub text_of {
    my ($name) = @_;
    return (undef, 'the question names no module') if !defined $name || ref $name;
    return (undef, "'$name' is not the name of a module file")
        if $name !~ m{\A[A-Za-z_]\w*(?:/\w+)*\.pm\z};
    # In a task: the text that this process got from its own client.
    { no warnings 'once'; return ($Argon::Runner::Modules::TEXT{$name}, undef) if defined $Argon::Runner::Modules::TEXT{$name} }
    return ($given{$name}, undef) if defined $given{$name};
    my ($path, $has_changed) = Argon::Code::Ship::OwnModules::loaded($name);
    return (undef, "it has changed: $path is not what this program loaded; start the program again") if $has_changed;
    my @folders = grep { !ref } @INC;
    ($path) = grep {-f} map {"$_/$name"} @folders if !defined $path;
    return (undef, 'the client does not have it in its @INC either') if !defined $path;
    return (undef, 'it is compiled code (XS) on the client and must be installed on the worker')
        if Argon::Code::Ship::OwnModules::is_compiled($name, @folders);
    open my $handle, '<:raw', $path or return (undef, "$path cannot be read: $!");
    my $text = do { local $/; readline $handle };
    # Read and compared again: it may have been written meanwhile.
    return (undef, "it has changed: $path is not what this program loaded; start the program again") if (Argon::Code::Ship::OwnModules::loaded($name))[1];
    # This module may load other own modules, which the worker has under the same names.
    my @own = Argon::Code::Ship::OwnModules::is_own($name) ? Argon::Code::Ship::OwnModules::list() : ();
    my $head = @own ? qq{# line 0 "$path"\n# argon: own modules: @own\n} : qq{# line 1 "$path"\n};
    return (undef, "$path is longer than $TEXT_BYTES_MAX bytes") if length($head) + length $text > $TEXT_BYTES_MAX;
    return ($given{$name} = $head . $text, undef);
}

1;
