package Argon::Code::Ship::Captures;

# The captured values of one shipment, by position: where each is found, and what
# is sent for it now. A plain value stands for itself; anything else, and whatever
# two subs may share, is sent as a reference to the variable itself.

use strict;
use warnings;
# Overloaded operators of captured objects must not run.
no overloading;

use B ();
use Scalar::Util ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Refusal ();

sub new { return bless { slots => [], lexical_names => {} }, shift }

# A captured lexical variable. A unit with a path hangs on the closure at hand, and so
# do its variables: the path leads there through its pads. Those of named subs have
# one place for good.
sub lexical {
    my ($self, $unit, $capture, $is_optional) = @_;
    $self->{lexical_names}{ $capture->{name} }++;
    my $slot = { kind => substr($capture->{name}, 0, 1), name => "the captured variable $capture->{name}", lexical => $capture->{name}, optional => $is_optional };
    if    ($capture->{place})     { $slot->{place} = $capture->{place} }
    elsif ($unit->{path})         { $slot->{path} = [ @{ $unit->{path} }, $capture->{index} ] }
    else                          { $slot->{place} = Argon::Code::Analyse::Optree::pad_value($unit->{cv}, $capture->{index})->object_2svref }
    return $self->_add($slot);
}

sub value {
    my ($self, $reference, $name, $is_optional) = @_;
    my $kind = { ARRAY => '@', HASH => '%' }->{ Scalar::Util::reftype($reference) } || '$';
    return $self->_add({ kind => $kind, name => $name, place => $reference, whole => 1, optional => $is_optional });
}

# A package variable: SCALAR, ARRAY or HASH of "Package::name".
sub global {
    my ($self, $name, $slot, $is_optional) = @_;
    my $kind = { SCALAR => '$', ARRAY => '@', HASH => '%' }->{$slot};
    my ($package) = $name =~ /\A(.*)::/s;
    # Variables of perl itself have magic, so they are set and not replaced.
    my $is_module = $name =~ /::\W\z/ || !Argon::Code::Analyse::Classes::is_of_script($package);
    no strict 'refs';
    # A tied variable of a module belongs to that module, which ties it again where it is loaded.
    return if $is_module && _tied($kind, $name);
    return if $kind eq '$' && $is_module && $name !~ /::\W\z/ && !defined ${$name};
    return if $is_module && !_is_plain($kind eq '$' ? ${$name} : $kind eq '@' ? \@{$name} : \%{$name});
    return $self->{number_of_global}{"$name $slot"} = $self->_add({
        optional => $is_optional, kind => $kind, name => "the package variable $kind$name", global => $name,
        how => $is_module ? 'assign' : 'alias',
        glob => \*{$name}, type => $slot,
    });
}

# The slots of a name that have something in them. Tied ones do, and are not asked for it.
sub filled {
    my ($name) = @_;
    no strict 'refs';
    return (
        (_tied('$', $name) || defined ${$name} ? 'SCALAR' : ()),
        ($name !~ /::ISA\z/ && (_tied('@', $name) || @{$name}) ? 'ARRAY' : ()),
        ($name !~ /::\z/ && (_tied('%', $name) || %{$name}) ? 'HASH' : ()),
    );
}

# Returns the object that a package variable is tied to, if any.
sub _tied {
    my ($kind, $name) = @_;
    no strict 'refs';
    return $kind eq '$' ? tied ${$name} : $kind eq '@' ? tied @{$name} : tied %{$name};
}

# The module variable that a tied one of the script is only another name of: an import, such as %Config.
# (module file, full name), or nothing.
sub imported_tied {
    my ($name, $slot) = @_;
    my $object = $slot eq 'IO' ? undef : _tied({ SCALAR => '$', ARRAY => '@', HASH => '%' }->{$slot}, $name);
    my $class  = Scalar::Util::blessed($object) or return;
    my ($bare) = $name =~ /::(\w+)\z/ or return;
    my $module = Argon::Code::Analyse::Origin::module_of_package($class) or return;
    no strict 'refs';
    my ($here, $there) = (*{$name}{$slot}, *{"${class}::$bare"}{$slot});
    return unless ref $there && $here == $there;
    return ($module, "${class}::$bare");
}

sub _is_plain {
    my ($value) = @_;
    return 1 unless ref $value;
    return 0 if Scalar::Util::blessed($value);
    return ref $value eq 'ARRAY' ? !grep { ref } @$value : ref $value eq 'HASH' ? !grep { ref } values %$value : 0;
}

sub _add {
    my ($self, $slot) = @_;
    push @{ $self->{slots} }, $slot;
    return $#{ $self->{slots} };
}

sub number_of_global { return $_[0]{number_of_global}{"$_[1] $_[2]"} }

# True if only methods need it, which may never be called.
sub is_optional { return $_[0]{slots}[ $_[1] ]{optional} }

sub name_of { return $_[0]{slots}[ $_[1] ]{name} }

sub count   { return scalar @{ $_[0]{slots} } }

sub kinds   { return join '', map { $_->{kind} } @{ $_[0]{slots} } }

sub globals {
    my ($self) = @_;
    my $position = -1;
    return map { $position++; defined $_->{global} ? [$position, $_->{global}, $_->{how}] : () } @{ $self->{slots} };
}

# Called once, when all are known: a name captured by two subs may be one variable.
sub settle {
    my ($self) = @_;
    for my $slot (@{ $self->{slots} }) {
        $slot->{whole} = 1 if $slot->{kind} ne '$';
        $slot->{whole} = 1 if defined $slot->{lexical} && $self->{lexical_names}{ $slot->{lexical} } > 1;
    }
    return;
}

# Returns the values that travel for the closure $code now; undef if there are none. Plain scalars
# travel as bare values, which is fast, unless something travels with them that may
# hold another closure over the same variable.
sub fetch {
    my ($self, $code, $whole) = @_;
    my $slots = $self->{slots};
    return undef unless @$slots;
    my $pad;
    my (@captures, @places);
    for my $slot (@$slots) {
        my $place = $slot->{place};
        if (!$place) {
            if (my $path = $slot->{path}) {
                $pad ||= B::svref_2object($code)->PADLIST->ARRAYelt(1);
                my $variable = $pad->ARRAYelt($path->[0]);
                # through the pad of a captured lexical sub
                $variable = $variable->PADLIST->ARRAYelt(1)->ARRAYelt($path->[$_]) for 1 .. $#$path;
                # A captured variable whose scope has ended before the closure was made
                if ($variable->isa('B::SPECIAL')) { push @captures, undef; push @places, undef; next }
                $place = $variable->object_2svref;
            }
            else {
                $place = *{ $slot->{glob} }{ $slot->{type} };
            }
        }
        if ($slot->{optional} && ($slot->{kind} ne '$' || tied $$place || ref $$place || ref \$$place ne 'SCALAR')) {
            push @places, Argon::Code::Ship::Captures::Optional->new($slot, $place);
            push @captures, undef;
            $whole = 1;
            next;
        }
        push @places, $place;
        if ($slot->{kind} ne '$') {
            _refuse_tied($slot, $place);
            push @captures, $place;
            $whole = 1;
            next;
        }
        _refuse_tied($slot, $place) if tied $$place;
        my $value = $$place;
        if (ref $value || ref \$value ne 'SCALAR') {
            _refuse_handle($slot, ref $value ? $value : \$value);
            push @captures, $place;
            $whole = 1;
        }
        else { push @captures, $slot->{whole} ? $place : $value }
    }
    return $whole ? \@places : \@captures;
}

# A handle by its name: an open one stays in this process.
sub refuse_open_handle {
    my ($name) = @_;
    return if $name =~ /\Amain::(?:STDIN|STDOUT|STDERR|_)\z/;
    no strict 'refs';
    no warnings 'unopened';
    my $handle = *{$name}{IO} or return;
    # A tied one is not asked: that would run its class.
    my $is_open = tied *{$name} || defined fileno(*{$name}) || eval { defined tell(*{$name}) && tell(*{$name}) >= 0 };
    return unless $is_open;
    $name =~ s/\Amain:://;
    Argon::Code::Refusal->throw($name =~ /\bDATA\z/
        ? ("it reads the handle $name, which is open in this process", 'read it here and pass the text')
        : ("it uses the handle $name, which is open in this process", 'open the file inside the sub'));
}

# A captured value which is left out if it cannot travel: Argon::Data::Graph puts the variable in its place, or the reason.
package Argon::Code::Ship::Captures::Optional;

sub new {
    my ($class, $slot, $place) = @_;
    my $self = bless { name => $slot->{name}, place => $place, kind => $slot->{kind} }, $class;
    $self->leave_out($@) if !eval {
        Argon::Code::Ship::Captures::_refuse_tied($slot, $place);
        Argon::Code::Ship::Captures::_refuse_handle($slot, ref $$place ? $$place : $place) if $slot->{kind} eq '$';
        1;
    };
    return $self;
}

# Returns what is sent: the variable, or an empty one with the reason.
sub place { return $_[0]{left_out} || $_[0]{place} }

sub name { return $_[0]{name} }

sub is_left_out { return $_[0]{left_out} }

sub leave_out {
    my ($self, $refusal) = @_;
    my $why = $refusal->sentence =~ s/\AThis (?:code|value) cannot travel(?: to a worker)?: //r;
    $self->{left_out} = bless { '$' => \$why, '@' => [$why], '%' => { why => $why } }->{ $self->{kind} }, 'Argon::Code::Missing';
    return;
}

package Argon::Code::Ship::Captures;

sub _refuse_handle {
    my ($slot, $value) = @_;
    my $type = Scalar::Util::reftype($value);
    return unless $type eq 'GLOB' || $type eq 'IO' || $type eq 'FORMAT';
    Argon::Code::Refusal->throw("$slot->{name} holds a file handle", 'open the file inside the sub');
}

sub _refuse_tied {
    my ($slot, $place) = @_;
    my $type = Scalar::Util::reftype($place);
    my $tied = $type eq 'ARRAY' ? tied @$place : $type eq 'HASH' ? tied %$place : tied $$place;
    return unless $tied;
    Argon::Code::Refusal->throw("$slot->{name} is tied to " . ref($tied), 'copy what you need of it into a plain variable');
}

1;
