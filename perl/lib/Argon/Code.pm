package Argon::Code;

# Code that travels, seen from the client: takes a code reference and gives text
# and captured values that make the same sub on another machine; or refuses, at
# the caller's own line, with a sentence that names what cannot travel.
#
# Owns the choice between by name, by value and by text. The receiving half is
# Argon::Code::Receive, which needs nothing of this one.

use strict;
use warnings;

use B ();
use Digest::SHA ();
use Scalar::Util ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();
use Argon::Code::Ship::Shipment ();
use Argon::Code::Ship::GivenText ();
use Argon::Code::Analyse::PerlVersion ();
use Argon::Data ();

our $VERSION = '0.01';

# One shipment for each piece of code, kept for the life of the process.
use constant SHIPMENTS_MAX => 2_000;
my %shipment_of;
# The blobs of those that are always the same.
my %constant_blob_of;
my $PADS_HAVE_NUMBERS = B::PADLIST->can('id');

sub ship {
    my ($code, %options) = @_;
    my ($shipped, $error);
    $options{error} = $@;
    {
        local $@;
        # A handler of the program must not be called for what is caught here.
        local $SIG{__DIE__} if $SIG{__DIE__};
        $shipped = eval { _ship($code, \%options) };
        $error = $@;
    }
    return $shipped if $shipped;
    # Anything else that went wrong while reading code is also a reason not to send it.
    die Argon::Data::at_caller(ref $error && ref $error eq 'Argon::Code::Refusal' ? $error->sentence : "This code cannot travel to a worker: it could not be read ($error)");
}

sub _ship {
    my ($code, $options) = @_;
    return { text => $code->text, captures => undef } if ref $code eq 'Argon::Code::Ship::GivenText';
    # Only what is not code itself is asked by its overloaded operator.
    (Scalar::Util::reftype($code) // q{}) eq 'CODE' || (ref $code && eval { $code = \&$code; 1 })
        or Argon::Code::Refusal->throw('this is not a code reference', 'pass sub { ... } or \\&name');
    my $cv       = B::svref_2object($code);
    my $identity = $$cv && ${ $cv->ROOT } && !defined $options->{by_name} ? Argon::Code::Analyse::PerlVersion::code_identity($cv) : undef;
    my $shipment = defined $identity ? $shipment_of{$identity} : undef;
    if (!$shipment || !$shipment->is_current) {
        my $name = _by_name($code, $cv, $options->{by_name});
        return { text => $name, captures => undef } if defined $name;
        $shipment = Argon::Code::Ship::Shipment->build($code);
        if (defined $identity) {
            %shipment_of = %constant_blob_of = () if keys %shipment_of >= SHIPMENTS_MAX;
            $shipment_of{$identity} = $shipment;
            $constant_blob_of{$identity} = blob_of($shipment->text) if $shipment->is_constant;
        }
    }
    # The last match of the program is seen here as long as no sub on the way here has made one in its own scope.
    _refuse_outer($shipment->outer_match, 'a match') if !$options->{whole} && $shipment->outer_match && defined $-[0];
    _refuse_outer($shipment->outer_error, 'an eval') if $shipment->outer_error && length($options->{error} // q{});
    return { text => $shipment->text, captures => $shipment->captures($code, $options->{whole} || !$options->{plain}) };
}

sub _refuse_outer {
    my ($name, $what) = @_;
    Argon::Code::Refusal->throw("it reads $name of $what around it, which is over on the worker", "copy it first: my \$found = $name");
    return;
}

# A refusal of data with the names of captured variables in the place of their numbers.
sub with_names {
    my ($sentence, $code) = @_;
    return $sentence if ref $code ne 'CODE';
    my $identity = Argon::Code::Analyse::PerlVersion::code_identity(B::svref_2object($code));
    my $shipment = defined $identity ? $shipment_of{$identity} : undef;
    return $sentence if !$shipment;
    my $name_of = sub { $shipment->name_of_slot($_[0]) };
    return $sentence =~ s/the list->\[0\]->\[(\d+)\](?:->\$\*)?/$name_of->($1)/er;
}

# Copies of objects of these classes end without a call of DESTROY.
sub no_destroy {
    my (undef, @classes) = @_;
    require Argon::Data::Copy;
    return Argon::Data::Copy::no_destroy(@classes);
}

# A thread's copies of code have no numbers, and its new ones begin to count again.
sub CLONE { %shipment_of = %constant_blob_of = () }

# [hash, bytes]
sub blob_of {
    my ($bytes) = @_;
    utf8::encode($bytes) if utf8::is_utf8($bytes);
    return [Digest::SHA::sha256($bytes), $bytes];
}

# The blob of code that was shipped before, captures nothing and calls nothing that could be redefined. The hot path of a
# client: only one number is asked of perl.
sub known_blob {
    my $pads = $PADS_HAVE_NUMBERS && ref $_[0] eq 'CODE' ? B::svref_2object($_[0])->PADLIST : undef;
    return ref $pads eq 'B::PADLIST' ? $constant_blob_of{ $pads->id || return } : undef;
}

# The text that names the sub, where that is certain to mean the same sub there.
sub _by_name {
    my ($code, $cv, $wanted) = @_;
    return if defined $wanted && !$wanted && !$cv->XSUB;
    my $origin = Argon::Code::Analyse::Origin::of($code);
    if ($origin->{kind} eq 'value') {
        Argon::Code::Refusal->throw('it was to travel by name, but it is not a named sub of a module file',
            'leave out by_name, or move the sub to a module') if $wanted;
        return;
    }
    if (!$wanted && $origin->{kind} eq 'module' && !$cv->XSUB) {
        return unless Argon::Code::Analyse::Origin::is_core($origin->{module});
    }
    my $text = "# Argon Perl code, format 1, written by perl $]\n";
    $text .= 'BEGIN { Argon::Code::Receive::prepare(modules => [' . B::perlstring($origin->{module}) . "]) }\n" if $origin->{module};
    $text .= 'Argon::Code::Receive::by_name(' . B::perlstring($origin->{name}) . ")\n";
    return $text;
}

# Classes that are written in the script and not in a file, as one shipment:
# { text, captures }. Objects in data bring their classes along with it.
my %class_shipment_of;

sub ship_class {
    my ($class) = @_;
    my $known = $class_shipment_of{$class};
    my $shipment = $known && $known->is_current ? $known : Argon::Code::Ship::Shipment->build(undef, classes => [$class]);
    $class_shipment_of{$class} = $shipment;
    return { text => $shipment->text, captures => $shipment->captures(undef, 1) };
}

# The same two for Argon::Data, which adds its own place to a refusal.
sub shipped { return _ship($_[0], { whole => 1 }) }

# { module } or { text, captures } for a class, or nothing if both sides know it anyway.
sub way_to_class {
    my ($class) = @_;
    return unless Argon::Code::Analyse::Classes::exists_here($class);
    return ship_class($class) if Argon::Code::Analyse::Classes::is_of_script($class) && $class ne 'main';
    my $module = Argon::Code::Analyse::Origin::module_of_package($class);
    return $module ? { module => $module } : undef;
}

sub from_source {
    my $source = pop @_;    # also as a class method
    my $made = eval { Argon::Code::Ship::GivenText->new($source) };
    return $made if $made;
    die Argon::Data::at_caller($@->sentence);
}

1;

__END__

=encoding UTF-8

=head1 NAME

Argon::Code - Perl code that travels

=head1 SYNOPSIS

    my $shipped = Argon::Code::ship(sub { $x + $_[0] });     # here
    my $factory = Argon::Code::receive($shipped->{text});    # there, once
    my $code    = $factory->($shipped->{captures});          # there, for each call
    my $value   = $code->(1);

=head1 DESCRIPTION

A sub is sent as text, which depends only on its code, and captured values, which
travel with every call. What cannot travel is refused here, before anything is sent.
The guide is F<docs/guide/perl-code-that-travels.md>.

=head1 FUNCTIONS

=head2 ship

    my $shipped = Argon::Code::ship($code, by_name => 1);

Returns C<< { text => $bytes, captures => $value } >>. C<text> is UTF-8; closures made
from one source share it, and it is made only once. C<captures> is undef or a reference
to a list with what this closure captured, to be encoded with L<Argon::Data> at once and
together with the arguments.

C<by_name> true sends the name of a sub that lives in a module file, false sends its
code; without it, compiled subs and those of perl's own library go by name.

Captured variables go as references, so that what travels with them in one message (a closure
among the arguments, a reference to the same variable) shares them there as it does here.
C<< plain => 1 >> declares that nothing does, as when no argument is a reference: then plain scalars
go as bare values, which takes less time. Dies with one sentence, at the line of the first caller outside Argon, if something cannot travel.

=head2 receive

    my $factory = Argon::Code::receive($text);

Compiles a text. Each call of the factory gives a code reference with variables of its
own. Dies if the text does not compile on this perl or a module is missing. It is defined
in L<Argon::Code::Receive>, which needs nothing else of this distribution.

=head2 from_source

    my $code = Argon::Code::from_source('sub { my ($n) = @_; ... }');

An object that L</ship> takes for a code reference: the sub is sent as it is written. It
captures nothing and starts with C<strict> and C<warnings> in package C<main>.

=head2 no_destroy

    Argon::Code->no_destroy('My::Lock', 'Their::Guard');

Copies of objects of these classes, and of classes that inherit from them, end without a call of C<DESTROY>: those that a task
gets, and those that come back from one. Declare classes whose destructor undoes something that the original still needs,
such as the removal of a lock file. An object that a task makes itself is destroyed as ever. A class declares the same of itself
with C<sub ARGON_NO_DESTROY { 1 }>.

=head2 shipped, ship_class, way_to_class

For L<Argon::Data>: code and classes inside data.

=cut
