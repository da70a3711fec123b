package Argon::Data::Graph;

# Flattens a structure into a list of nodes that refer to each other by number. Shared and circular references
# stay what they are, and depth costs no stack. Objects bring their class, code references their code.
# Argon::Data::Graph::Build is the reverse.
#
# A node is [kind, class, data, references, two-faced values, lock]. The lock is [keys that are allowed and not there,
# keys whose values are read-only] of a restricted hash. Kinds: A array,
# H hash, S scalar, Q pattern, C code, E an element of another node, K an object
# that its class freezes and thaws itself, B a shared value, which is a blob, L an object
# that is left in its process.

use strict;
use warnings;
no overloading;    # objects are looked at as data

use Scalar::Util qw(blessed refaddr reftype isweak);
use Argon::Data::Left ();

use Argon::Data::Locked ();

# re::is_regexp and re::regexp_pattern are part of perl itself; re.pm is not needed.

# True in a runner: there only lists that may hold shared values, which go to other tasks, bring classes along. The receiver of
# a result has the classes.
our $IS_IN_RUNNER = 0;

# The graph of a list: { nodes, classes, texts }. Dies with an object that has a sentence.
sub flatten {
    my ($list, $shared) = @_;
    my %left_out;    # address of a variable => why
    while (1) {
        my $self = bless { left_out => \%left_out, shared => $shared, nodes => [], originals => [], number => {}, came_from => [], classes => {}, texts => [], text_number => {}, optional => {} }, __PACKAGE__;
        return $self->_result if eval { $self->_flatten($list); 1 };
        # Leave out the needs of a method that may never be called, and begin again.
        my $refusal = $@;
        my $optional = ref $refusal && $refusal->can('sentence') ? $self->_optional_above($self->{at}) : undef;
        die $refusal if !$optional;
        $left_out{ refaddr $optional->place } = $refusal;
    }
}

sub _result {
    my ($self) = @_;
    return { nodes => $self->{nodes}, classes => $self->{classes}, texts => $self->{texts}, $self->{silent} ? (silent => $self->{silent}) : () };
}

sub _flatten {
    my ($self, $list) = @_;
    $self->_number_of($list, undef, '');
    my $next = 0;
    while ($next < @{ $self->{originals} }) {
        $self->{at} = $next;
        $self->{nodes}[$next] = $self->_node($next);
        $next++;
    }
    $self->_mark_elements;
    return;
}

sub _number_of {
    my ($self, $reference, $parent, $step) = @_;
    my $optional = ref $reference eq 'Argon::Code::Ship::Captures::Optional' ? $reference : undef;
    if ($optional) {
        my $why = $self->{left_out}{ refaddr $optional->place };
        $optional->leave_out($why) if $why;
        $reference = $optional->place;
    }
    my $number = $self->{number}{ refaddr $reference };
    return $number if defined $number;
    push @{ $self->{originals} }, $reference;
    push @{ $self->{came_from} }, [$parent, $step];
    $number = $self->{number}{ refaddr $reference } = $#{ $self->{originals} };
    $self->{optional}{$number} = $optional if $optional && !$optional->is_left_out;
    return $number;
}

# The optional value that a node was reached through, if it was.
sub _optional_above {
    my ($self, $number) = @_;
    while (defined $number) {
        return $self->{optional}{$number} if $self->{optional}{$number};
        $number = $self->{came_from}[$number][0];
    }
    return;
}

sub _node {
    my ($self, $number) = @_;
    my $original = $self->{originals}[$number];
    my $class    = blessed $original;
    my $type     = reftype $original;
    if (re::is_regexp($original)) {
        my ($pattern, $flags) = re::regexp_pattern($original);
        undef $class if $class eq 'Regexp';
        $self->_class($class, $number) if defined $class;
        $self->_refuse($number, 'a pattern with a code block', 'build it inside the sub') if $pattern =~ /\(\?\??\{/;
        return ['Q', $class, [$pattern, $flags]];
    }
    if (defined $class) {
        return $self->_shared($number, $original) if $class eq 'Argon::Shared';
        return ['L', undef, Argon::Data::Left::description($original)] if Argon::Data::Left::stays($class);
        $self->_class($class, $number);
        my $frozen = $self->_frozen_by_class($number, $original, $class, $type);
        return $frozen if $frozen;
    }
    if ($type eq 'ARRAY') {
        $self->_refuse_tied($number, tied @$original);
        return ['A', $class, $self->_contents($number, [ 0 .. $#$original ], [@$original], sub { \$original->[ $_[0] ] }, sub {"->[$_[0]]"})];
    }
    if ($type eq 'HASH') {
        $self->_refuse_tied($number, tied %$original);
        return ['H', $class, $self->_contents($number, [ keys %$original ], {%$original}, sub { \$original->{ $_[0] } }, sub {"->{$_[0]}"}), Argon::Data::Locked::lock_of($original)];
    }
    if ($type eq 'SCALAR' || $type eq 'REF' || $type eq 'VSTRING' || $type eq 'LVALUE') {
        $self->_refuse_tied($number, tied $$original);
        $self->_refuse($number, 'a variable that keeps something outside perl', 'make it inside the sub')
            if $self->{facts} && Argon::Data::Object::has_native_magic($original);
        my $value = $$original;
        return ['S', $class, $self->_contents($number, [0], [$value], sub {$original}, sub { $number ? '->$*' : '' })];
    }
    return $self->_code($number, $original, $class) if $type eq 'CODE';
    $self->_refuse($number, 'a file handle', 'open the file where it is used') if $type eq 'GLOB' || $type eq 'IO';
    $self->_refuse($number, "a value of the kind $type", 'pass what is in it');
}

# (plain data, { place => node number, negative if weak }, { place => [number, string] })
sub _contents {
    my ($self, $number, $places, $data, $slot_of, $step) = @_;
    my (%references, %faces);
    my $is_hash = ref $data eq 'HASH';
    for my $place (@$places) {
        my $value = \($is_hash ? $data->{$place} : $data->[$place]);
        if (length ref $$value) {
            my $target = $self->_number_of($$value, $number, $step->($place));
            $references{$place} = isweak(${ $slot_of->($place) }) ? -$target - 1 : $target;
            $$value = undef;
        }
        elsif (ref $value eq 'GLOB') {
            $self->_refuse($number, 'a file handle', 'open the file where it is used', $step->($place));
        }
        elsif (defined $$value && Argon::Data::is_boolean($$value)) {
            # A reader that does not know of the third sees the two faces.
            $faces{$place} = $$value ? [1, '1', 'true'] : [0, '', 'false'];
        }
        elsif (!$$value && defined $$value && Argon::Data::is_negative_zero($$value)) {
            $faces{$place} = 'negative zero';
        }
        elsif (defined $$value && Argon::Data::has_two_faces($$value)) {
            no warnings;
            $faces{$place} = [$$value + 0, "$$value"];
        }
    }
    return ($data, %references ? \%references : undef, %faces ? \%faces : undef);
}

sub _shared {
    my ($self, $number, $handle) = @_;
    $self->{shared} or $self->_refuse($number, 'a shared value', 'only arguments of tasks and captured variables can hold one');
    push @{ ${ $self->{shared} } }, $handle if !grep { $_->blob->[0] eq $handle->blob->[0] } @{ ${ $self->{shared} } || [] };
    return ['B', undef, [$handle->blob->[0], $handle->is_read_only]];
}

# Classes that freeze themselves do so; an object that keeps something outside of its data and does not, cannot travel.
sub _frozen_by_class {
    my ($self, $number, $object, $class, $type) = @_;
    if (my $freeze = UNIVERSAL::can($class, 'STORABLE_freeze')) {
        local $@;
        my ($frozen, @parts) = eval { $object->$freeze(0) };
        if ($@) {
            use overloading;
            (my $reason = "$@") =~ s/\s+(?:at \S+ line \d+\.?)?\s*\z//;
            $self->_refuse($number, "an object of $class, which its class does not freeze", $reason);
        }
        if (defined $frozen) {
            return ['K', $class, ['ATTACH', "$frozen", []]] if !@parts && UNIVERSAL::can($class, 'STORABLE_attach');
            return ['K', $class, [$type, "$frozen", [ map { $self->_number_of($_, $number, '') } @parts ]]];
        }
    }
    require Argon::Data::Object;
    my ($what, $advice) = Argon::Data::Object::keeps_outside($object, $class, $self->{facts} ||= {});
    $self->_refuse($number, "an object of $class, which $what", $advice) if defined $what;
    return undef;
}

# Way in which the other side gets the class. A worker sends the bare name back.
sub _class {
    my ($self, $class, $number) = @_;
    return if exists $self->{classes}{$class};
    $self->{classes}{$class} = undef;
    require Argon::Data::Copy;
    $self->{silent}{$class} = 1 if Argon::Data::Copy::is_silent($class);
    return if !$INC{'Argon/Code.pm'} || $IS_IN_RUNNER && !$self->{shared};
    my $way = Argon::Code::way_to_class($class) or return;
    $self->{classes}{$class} = $way->{module} ? [ module => $way->{module}, Argon::Code::Ship::OwnModules::is_own($way->{module}) ? 1 : () ]
        : [ code => $self->_text($way->{text}), defined $way->{captures} ? $self->_number_of($way->{captures}, $number, '') : undef ];
    return;
}

sub _code {
    my ($self, $number, $code, $class) = @_;
    require Argon::Code;
    my $shipped = eval { Argon::Code::shipped($code) };
    if (!$shipped) {
        my $refusal = $@;
        die $refusal unless ref $refusal && $refusal->can('at');
        $refusal->at($self->_path($number));
        die $refusal;
    }
    my $captures = $shipped->{captures};
    return ['C', $class, [$self->_text($shipped->{text}), defined $captures ? $self->_number_of($captures, $number, '') : undef]];
}

sub _text {
    my ($self, $text) = @_;
    my $number = $self->{text_number}{$text};
    return $number if defined $number;
    push @{ $self->{texts} }, $text;
    return $self->{text_number}{$text} = $#{ $self->{texts} };
}

# A reference to a scalar which is also an element of an array or a hash is written as
# "that element", or the two would come apart.
sub _mark_elements {
    my ($self) = @_;
    my $nodes = $self->{nodes};
    return unless grep { $_->[0] eq 'S' } @$nodes;
    for my $number (0 .. $#$nodes) {
        my $original = $self->{originals}[$number];
        my $kind = $nodes->[$number][0];
        my @places = $kind eq 'A' ? grep { exists $original->[$_] } 0 .. $#$original : $kind eq 'H' ? keys %$original : next;
        for my $place (@places) {
            my $scalar = $self->{number}{ refaddr($kind eq 'A' ? \$original->[$place] : \$original->{$place}) };
            next unless defined $scalar && $nodes->[$scalar][0] eq 'S';
            $nodes->[$scalar] = ['E', $nodes->[$scalar][1], [$number, $place]];
        }
    }
    return;
}

sub _refuse_tied {
    my ($self, $number, $tied) = @_;
    $self->_refuse($number, 'a variable tied to ' . ref $tied, 'copy what you need of it into a plain one') if $tied;
    return;
}

sub _refuse {
    my ($self, $number, $what, $advice, $step) = @_;
    my $path = $self->_path($number, $step);
    die Argon::Data::Refusal->new("This value cannot travel: $path is $what ($advice)");
}

sub _path {
    my ($self, $number, $step) = @_;
    my $path = defined $step ? $step : '';
    while (defined $number) {
        if (my $optional = $self->{optional}{$number}) { return $optional->name . $path =~ s/\A->\$\*//r }
        my $from = $self->{came_from}[$number];
        $path   = $from->[1] . $path;
        $number = $from->[0];
        return 'something deep in the list' . substr $path, -60 if length $path > 400;
    }
    return "the list$path";
}

package Argon::Data::Refusal;

sub new      { my ($class, $sentence) = @_; return bless { sentence => $sentence }, $class }
sub sentence { return $_[0]{sentence} }

1;
