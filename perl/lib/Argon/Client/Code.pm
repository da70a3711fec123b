package Argon::Client::Code;

# Owns how what the caller gave becomes something that a worker can run: code as a blob with captured values, a class
# or a function by name, or, when those exist only in the script, as code that calls them. Argon::Code does the shipping.

use strict;
use warnings;

use Argon::Code  ();
use Argon::Code::Ship::OwnModules ();
use Argon::Error ();
use Argon::Protocol qw(META_BYTES_MAX);

my $BLOBS_MAX = 1_000;

sub new {
    my ($class) = @_;
    return bless { blobs => {}, named => {} }, $class;
}

# The blob [hash, text], the captured values, and the meta for what has no blob.
sub prepare {
    my ($self, $code) = @_;
    if (!ref $code) {
        my $meta_or_code = $self->{named}{ $code // q{} } ||= _named($code);
        return (undef, undef, $meta_or_code) if !ref $meta_or_code;
        $code = $meta_or_code;
    }
    my $shipped = Argon::Code::ship($code);
    return ($self->{blobs}{ $shipped->{text} } || $self->_blob($shipped->{text}), $shipped->{captures}, undef);
}

sub _blob {
    my ($self, $text) = @_;
    $self->{blobs} = {} if keys %{ $self->{blobs} } >= $BLOBS_MAX;
    return $self->{blobs}{$text} = Argon::Code::blob_of($text);
}

# The meta, as JSON, for a class or a function of a module; a code reference for one that only this program has.
sub _named {
    my ($name) = @_;
    die Argon::Error->new(kind => 'option',
        message => 'Argon::Client: a task is a code reference, the name of a class with new and run, or the full name of a function'
            . (defined $name ? ", not '$name'" : q{}))
        if !defined $name || $name !~ /\A[^\W\d]\w*(?:(?:::|')\w+)*\z/ || $name =~ /[^ -~]/;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    if ($name =~ /\A(.+)::\w+\z/ && defined &{$name}) {
        return _is_of_module($1) ? _meta(call => $name) : \&{$name};
    }
    return _meta(class => $name) if _is_of_module($name) || !UNIVERSAL::can($name, 'new');
    ## no critic (ProhibitStringyEval)
    return eval qq{\n#line 1 "the task $name"\npackage main; sub { return $name->new(\@_)->run }} || die $@;
}

# With the modules that a worker must ask this program for, unless there are too many.
sub _meta {
    my ($what, $name) = @_;
    my @own  = _is_of_module($name =~ s/::\w+\z//r) || _is_of_module($name) ? Argon::Code::Ship::OwnModules::list() : ();
    my $list = join q{,}, map {qq("$_")} @own;
    return @own && length $list < META_BYTES_MAX / 2 ? qq({"$what":"$name","own":[$list]}) : qq({"$what":"$name"});
}

# A package whose file perl has loaded as a module.
sub _is_of_module {
    my ($package) = @_;
    (my $file = "$package.pm") =~ s{::}{/}g;
    return exists $INC{$file};
}

1;
