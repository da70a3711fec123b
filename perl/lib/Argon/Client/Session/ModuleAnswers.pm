package Argon::Client::Session::ModuleAnswers;

# Owns the answers to tasks that ask this client for a module's text. Only files that @INC gives are read, only pure
# Perl is given, and each question is answered exactly once, yes or no.

use strict;
use warnings;

use JSON::PP ();

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
            : !$session->{remote_modules} ? (undef, 'the client was told not to (remote_modules => 0)')
            :                               text_of($question->{name});
    }
    $link->send_frame(ANSWER, $about . (defined $text ? pack('C', ANSWER_YES) . $text : pack('C', ANSWER_NO) . $refusal));
    return;
}

# The text of a module file such as Foo/Bar.pm, with a directive that names the file it came from; or undef and words
# that say why not.
sub text_of {
    my ($name) = @_;
    return (undef, 'the question names no module') if !defined $name || ref $name;
    return (undef, "'$name' is not the name of a module file")
        if $name !~ m{\A[A-Za-z_]\w*(?:/\w+)*\.pm\z};
    # In a task: the text that this process got from its own client.
    { no warnings 'once'; return ($Argon::Runner::Modules::TEXT{$name}, undef) if defined $Argon::Runner::Modules::TEXT{$name} }
    for my $folder (grep { !ref } @INC) {
        my $path = "$folder/$name";
        next if !-f $path;
        return (undef, 'it is compiled code (XS) on the client and must be installed on the worker') if _is_compiled($name);
        open my $handle, '<:raw', $path or return (undef, "$path cannot be read: $!");
        local $/;
        my $text = readline $handle;
        return (undef, "$path is longer than $TEXT_BYTES_MAX bytes") if length $text > $TEXT_BYTES_MAX;
        return (qq{# line 1 "$path"\n$text}, undef);
    }
    return (undef, 'the client does not have it in its @INC either');
}

# A module has compiled parts when @INC holds auto/Foo/Bar/Bar.so (or whatever this system calls it).
sub _is_compiled {
    my ($name) = @_;
    my ($stem, $last) = $name =~ m{\A((?:.*/)?([^/]+))\.pm\z};
    require Config;
    my $suffix = $Config::Config{dlext} || 'so';
    for my $folder (grep { !ref } @INC) {
        return 1 if -e "$folder/auto/$stem/$last.$suffix";
    }
    return 0;
}

1;
