package Argon::Client::Foreign;

# Owns what a client calls that is not Perl: functions of Python by name, with data as JSON both ways, and plain commands.
# An object stands where code would stand; Argon::Client asks it for the parts of its task, Argon::Client::Result makes an
# Argon::Error of what such a task threw.

use strict;
use warnings;

use JSON::PP ();

use Argon::Data  ();
use Argon::Error ();
use Argon::Protocol qw(:all);

my $JSON = JSON::PP->new->utf8->canonical->allow_nonref;

sub python {
    my ($class, $name) = @_;
    _refuse('a Python function is named like package.module:function, not ' . (defined $name ? "'$name'" : 'undef'))
        if !defined $name || $name !~ /\A[^\W\d]\w*(?:[.][^\W\d]\w*)*:[^\W\d]\w*(?:[.][^\W\d]\w*)*\z/;
    return bless { language => 'Python', runtime => RUNTIME_PYTHON, meta => $JSON->encode({ call => $name }) }, $class;
}

# The words of a command, and perhaps a hash reference: stdin (bytes), cwd, env.
sub command {
    my ($class, @words) = @_;
    my %how = ref $words[-1] eq 'HASH' ? %{ pop @words } : ();
    my %self = (runtime => RUNTIME_EXEC, words => [map { _characters($_) } @words], stdin => delete $how{stdin} // q{});
    _refuse('a command needs at least one word') if !@words;
    _refuse('stdin of a command must be bytes; encode the characters in it first') if !utf8::downgrade($self{stdin}, 1);
    $self{how}{cwd} = _characters(delete $how{cwd}) if defined $how{cwd};
    if (my $environment = delete $how{env}) {
        _refuse('env of a command must be a hash reference') if ref $environment ne 'HASH';
        $self{how}{env} = { map { _characters($_) => _characters($environment->{$_}) } keys %{$environment} };
    }
    _refuse("a command knows no '$_'; there are stdin, cwd and env") for sort keys %how;
    return bless \%self, $class;
}

# Runtime, codec, meta and payload of a task with these arguments.
sub task {
    my ($self, $arguments) = @_;
    if ($self->{words}) {
        my $words = [@{ $self->{words} }, map { _characters($_) } @{$arguments}];
        return ($self->{runtime}, CODEC_RUNTIME, $JSON->encode({ %{ $self->{how} || {} }, argv => $words }), $self->{stdin});
    }
    my $payload = eval { $JSON->encode(Argon::Data::for_json($arguments)) };
    if (!defined $payload) {
        (my $why = $@) =~ s/ at \S+ line \d+\.?\s*\z//;
        _refuse("the arguments of a $self->{language} function must be plain data: $why");
    }
    return ($self->{runtime}, CODEC_JSON, $self->{meta}, $payload);
}

# The error of a task whose outcome is JSON: one with a class and a traceback, or what a Perl task has thrown.
sub thrown {
    my ($thrown, $task, $report) = @_;
    return $thrown if ref $thrown ne 'HASH' || !defined $thrown->{message};
    my $class = $thrown->{class};
    $class =~ s/\Abuiltins[.]// if defined $class;
    my $message = length $thrown->{message} ? $thrown->{message} : 'no message';
    return Argon::Error->from_report(error => $task, {
        %{$report},
        message => defined $class ? "$class: $message" : $message,
        class   => $class,
        stack   => $thrown->{traceback} // $thrown->{backtrace},
        thrown  => $thrown,
    });
}

# File names and the like are often bytes in Perl; JSON has characters.
sub _characters {
    my ($word) = @_;
    _refuse('a word of a command must be a string') if !defined $word || ref $word;
    my $characters = "$word";
    utf8::decode($characters) or _refuse('a word of a command is not UTF-8') if $characters =~ /[^\0-\x7f]/ && $characters !~ /[^\0-\xff]/;
    return $characters;
}

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: $sentence");
}

1;
