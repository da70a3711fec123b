package Argon::Data::Graph::Build;

# Builds a structure from the graph that Argon::Data::Graph made of it: nodes first, then the references between them,
# then classes, code and objects. It runs what the classes define for it (STORABLE_thaw, STORABLE_attach), nothing else.

use strict;
use warnings;
no overloading;    # objects are handled as data

use Scalar::Util qw(blessed);

use Argon::Data::Left   ();
use Argon::Data::Locked ();
use Argon::Data::Weak   ();

# Returns the structure of a graph. The code reference returns a shared value by its hash.
sub build {
    my ($graph, $shared) = @_;
    my ($nodes, $texts) = @$graph{qw(nodes texts)};
    my $classes = $graph->{classes};
    for my $class (keys %$classes) {
        my $way = $classes->{$class};
        if ($way && $way->[0] eq 'module') { _load(@{$way}[1, 2], $class) }
    }
    # Shells first, then their plain contents, so that any of them can be referred to.
    my @built = map {
        my ($kind, $class, $data) = @$_;
        $kind eq 'A' ? $data : $kind eq 'H' ? $data : $kind eq 'S' ? \(my $copy = $data->[0])
            : $kind eq 'Q' ? _pattern(@$data)
            : $kind eq 'L' ? Argon::Data::Left::object(@$data)
            : $kind eq 'B' ? ($shared || die "A shared value cannot stand here.\n")->(@$data)
            : $kind eq 'K' ? ($data->[0] eq 'ARRAY' ? [] : $data->[0] eq 'HASH' ? {} : \(my $empty))
            :                undef;
    } @$nodes;
    for my $number (grep { $nodes->[$_][0] eq 'E' } 0 .. $#$nodes) {
        my ($owner, $place) = @{ $nodes->[$number][2] };
        $built[$number] = _slot($built[$owner], ref $built[$owner] eq 'ARRAY' ? 'A' : 'H', $place);
    }
    my (@weak, @late);
    for my $number (0 .. $#$nodes) {
        my ($kind, undef, undef, $references, $faces) = @{ $nodes->[$number] };
        if ($faces) {
            for my $place (keys %$faces) {
                my $face = $faces->{$place};
                ${ _slot($built[$number], $kind, $place) }
                    = !ref $face ? Argon::Data::NEGATIVE_ZERO() : $face->[2] ? $face->[0] == 1 : Scalar::Util::dualvar($face->[0], $face->[1]);
            }
        }
        next unless $references;
        for my $place (keys %$references) {
            my $target = $references->{$place};
            my $is_weak = $target < 0;
            $target = -$target - 1 if $is_weak;
            my $slot = _slot($built[$number], $kind, $place);
            if (_comes_late($nodes->[$target])) { push @late, [$slot, $target] }
            else                             { $$slot = $built[$target] }
            push @weak, [$slot, $target] if $is_weak;
        }
    }
    # Mark what was left out before a class is put in place; objects are blessed after that.
    for my $number (grep { ($nodes->[$_][1] // q{}) eq 'Argon::Code::Missing' } 0 .. $#$nodes) { bless $built[$number], 'Argon::Code::Missing' }
    my @factories = map { Argon::Code::receive($_) } @$texts;
    for my $class (sort keys %$classes) {
        my $way = $classes->{$class};
        if    (!$way)                { _load_if_unknown($class) }
        elsif ($way->[0] eq 'code')  { $factories[ $way->[1] ]->(defined $way->[2] ? $built[ $way->[2] ] : undef) }
    }
    for my $number (grep { $nodes->[$_][0] eq 'C' } 0 .. $#$nodes) {
        my ($text, $captures) = @{ $nodes->[$number][2] };
        $built[$number] = $factories[$text]->(defined $captures ? $built[$captures] : undef);
    }
    for my $number (grep { $nodes->[$_][0] eq 'K' && _comes_late($nodes->[$_]) } 0 .. $#$nodes) {
        $built[$number] = _attached(@{ $nodes->[$number] });
    }
    ${ $_->[0] } = $built[ $_->[1] ] for @late;
    my $silent = $graph->{silent} || {};
    for my $number (0 .. $#$nodes) {
        my ($kind, $class) = @{ $nodes->[$number] };
        next if !defined $class || $kind eq 'K' && _comes_late($nodes->[$number]);
        if ($silent->{$class}) {
            require Argon::Data::Copy;
            Argon::Data::Copy::keep($built[$number], $class);
        }
        bless $built[$number], $class;
    }
    for my $number (reverse grep { $nodes->[$_][0] eq 'K' && !_comes_late($nodes->[$_]) } 0 .. $#$nodes) {
        my ($kind, $class, $data) = @{ $nodes->[$number] };
        my (undef, $frozen, $parts) = @$data;
        my $thaw = $class->can('STORABLE_thaw')
            or die "An object of $class cannot be read: its class has no STORABLE_thaw here.\n";
        $built[$number]->$thaw(0, $frozen, map { $built[$_] } @$parts);
    }
    Argon::Data::Weak::weaken_all($graph, \@built, @weak) if @weak;
    for my $number (grep { $nodes->[$_][5] } 0 .. $#$nodes) { Argon::Data::Locked::lock($built[$number], @{ $nodes->[$number][5] }) }
    return $built[0];
}

# True if a node is made only when the classes are there; until then references to it wait.
sub _comes_late {
    my ($node) = @_;
    return $node->[0] eq 'C' || $node->[0] eq 'K' && $node->[2][0] eq 'ATTACH';
}

# An object that its class makes by itself.
sub _attached {
    my (undef, $class, $data) = @_;
    my $attach = $class->can('STORABLE_attach')
        or die "An object of $class cannot be read: its class has no STORABLE_attach here.\n";
    my $object = $class->$attach(0, $data->[1]);
    return $object if defined blessed $object && $object->isa($class);
    die "An object of $class cannot be read: its STORABLE_attach returned something else.\n";
}

sub _slot {
    my ($owner, $kind, $place) = @_;
    # A place beyond the end would make the list as long as it says.
    return $place =~ /\A[0-9]+\z/ && $place < @$owner ? \$owner->[$place] : die "not a place in a list" if $kind eq 'A';
    return $kind eq 'H' ? \$owner->{$place} : $owner;
}

sub _pattern {
    my ($pattern, $flags) = @_;
    # The flags become source, so they must be flags and nothing else.
    die "A pattern in the data has flags that this perl does not know.\n" if ($flags // q{}) !~ /\A\^?[adilmnpsux]{0,12}\z/;
    my $regexp = eval "no warnings; qr/\$pattern/$flags";    ## no critic (ProhibitStringyEval): flags stand in the source
    return $regexp if defined $regexp;
    die "A pattern in the data does not compile on this perl: $@";
}

sub _load {
    my ($file, $is_own, $class) = @_;
    die "A class in the data names a file that is not a module of a library.\n"
        if $file !~ m{\A[^/\0-\x1f]+(?:/[^/\0-\x1f]+)*\z} || $file =~ m{(?:\A|/)[.][.]?(?:/|\z)};
    require Argon::Code::Receive;
    Argon::Code::Receive::own_modules($file) if $is_own;
    Argon::Code::Receive::load_module($file, $class);
    return;
}

# A class that came as a bare name: known already, or in a file of its own name, or
# left as a name.
sub _load_if_unknown {
    my ($class) = @_;
    no strict 'refs';
    return if %{"${class}::"};
    # Only a name of a module can be that of a file; anything else could name a file outside of the library.
    return if $class !~ /\A[^\W\d]\w*(?:::\w+)*\z/;
    (my $file = "$class.pm") =~ s{::}{/}g;
    local $@;
    eval { require $file };
    return;
}

1;
