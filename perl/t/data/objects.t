# What an object keeps outside of its data does not get lost in silence; what is in it arrives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use B                     ();
use Compress::Raw::Zlib   ();
use Digest::MD5           ();
use Encode                ();
use Hash::Util::FieldHash ();
use IO::Select            ();
use JSON::PP              ();
use Math::BigInt          ();
use POSIX                 ();
use Scalar::Util qw(blessed refaddr reftype);
use Test::More;
use Time::Piece ();
use version     ();

use Argon::Code;
use Argon::Data;

sub round { return Argon::Data::decode(Argon::Data::encode([ $_[0] ]))->[0] }

sub refused_as { my ($object) = @_; return eval { round($object); 1 } ? 'it travelled' : $@ }

# an_object_keeps_its_class_whatever_its_name
for my $class ('0', '00', 'HASH', 'ARRAY', 'SCALAR', 'REF', 'CODE', '0::0', 'two words', "\x{263a}") {
    for my $original (bless({ a => [7] }, $class), bless([7], $class), bless(\(my $copy = 'x'), $class)) {
        for my $way ([$original], { x => $original }) {
            my $back = round($way);
            $back = ref $way eq 'ARRAY' ? $back->[0] : $back->{x};
            is(blessed $back, $class, 'the class ' . (Encode::encode('UTF-8', $class)) . ' of ' . reftype $original);
            is(reftype $back, reftype $original, '... and its kind');
        }
    }
}
is(blessed(Argon::Data::decode(Argon::Data::encode([ bless [ 1, 2 ], '0' ]))->[0]), '0', 'the class of an argument itself');

# objects_that_hold_something_of_c_are_refused
{
    my %made = (
        'Encode::XS'   => Encode::find_encoding('iso-8859-1'),
        'Digest::MD5'  => Digest::MD5->new,
        'POSIX::SigSet' => POSIX::SigSet->new(2),
        'B::CV'        => B::svref_2object(sub { }),
        'Compress::Raw::Zlib::deflateStream' => scalar Compress::Raw::Zlib::Deflate->new,
    );
    for my $class (sort keys %made) {
        like(refused_as($made{$class}), qr/the list->\[0\] is an object of \Q$class\E, which /, "a $class is refused");
        like(refused_as({ deep => [ $made{$class} ] }), qr/the list->\[0\]->\{deep\}->\[0\] is an object of \Q$class\E/, '... by its place');
    }
}

# objects_of_compiled_classes_that_are_all_data_travel
{
    my %made = (
        'Math::BigInt' => Math::BigInt->new('123456789012345678901234567890'),
        'Time::Piece'  => scalar Time::Piece::gmtime(86_400),
        'version'      => version->parse('1.2.3'),
        'Encode::utf8' => Encode::find_encoding('utf8'),
        'Data::Dumper' => do { require Data::Dumper; Data::Dumper->new([1]) },
        'JSON::PP::Boolean' => JSON::PP::true(),
    );
    for my $class (sort keys %made) {
        my $back = eval { round($made{$class}) };
        is(blessed($back) // $@, $class, "a $class travels");
        is("$back", "$made{$class}", '... with its value') if $class =~ /BigInt|Piece|version|JSON/;
    }
    is(round(Encode::find_encoding('utf8'))->encode("\x{e9}"), "\xc3\xa9", 'an encoding that is data works');
}

# inside_out_objects_are_refused
{
    package Inside::Lexical { my %name_of; sub new { my ($class, $name) = @_; my $self = bless \do { my $nothing }, $class; $name_of{ Scalar::Util::refaddr $self } = $name; return $self } sub name { return $name_of{ Scalar::Util::refaddr $_[0] } } sub DESTROY { delete $name_of{ Scalar::Util::refaddr $_[0] } } }
    package Inside::Child   { our @ISA = ('Inside::Lexical') }
    package Inside::Field   { Hash::Util::FieldHash::fieldhash(my %name_of); sub new { my ($class, $name) = @_; my $self = bless {}, $class; $name_of{$self} = $name; return $self } sub name { return $name_of{ $_[0] } } }
    package Inside::Package { our %name_of; sub new { my ($class, $name) = @_; my $self = bless [], $class; $name_of{"$self"} = $name; return $self } }
    package Inside::Nested  { my $all = {}; sub new { my ($class, $name) = @_; my $self = bless {}, $class; $all->{name}{ Scalar::Util::refaddr $self } = $name; return $self } }
    package Inside::Made    { for my $field (qw(name age)) { my %value_of; no strict 'refs'; *{$field} = sub { my $self = shift; $value_of{ 0 + $self } = shift if @_; return $value_of{ 0 + $self } } } sub new { my ($class, $name) = @_; my $self = bless {}, $class; $self->age($name); return $self } }
    package Inside::Partly  { my %secret_of; sub new { my ($class, $name) = @_; my $self = bless { name => $name }, $class; $secret_of{ 0 + $self } = $name; return $self } sub secret { return $secret_of{ 0 + $_[0] } } }
    package Inside::Code    { my %name_of; sub new { my ($class, $name) = @_; my $self = bless sub { }, $class; $name_of{ Scalar::Util::refaddr $self } = $name; return $self } }
}
for my $class (map {"Inside::$_"} qw(Lexical Child Field Package Nested Made Partly Code)) {
    my $object = $class->new('seven');
    like(refused_as([$object]), qr/the list->\[0\]->\[0\] is an object of $class, which keeps its fields outside of itself/, "an inside-out object is refused: $class");
}

# what_only_looks_like_it_travels
{
    package Outside::Registered { my %all; sub new { my ($class) = @_; my $self = bless { n => 3 }, $class; Scalar::Util::weaken($all{ Scalar::Util::refaddr $self } = $self); return $self } }
    package Outside::Counted    { my %count; my $next = 0; sub new { my ($class) = @_; $count{ ++$next } = 1; return bless { n => 3, id => $next }, $class } }
    package Inside::Hooked      { my %name_of; sub new { my ($class, $name) = @_; my $self = bless {}, $class; $name_of{ 0 + $self } = $name; return $self } sub name { return $name_of{ 0 + $_[0] } } sub STORABLE_freeze { return $_[0]->name } sub STORABLE_thaw { my ($self, undef, $name) = @_; $name_of{ 0 + $self } = $name; return } }
    package Inside::Attached    { my %name_of; sub new { my ($class, $name) = @_; my $self = bless {}, $class; $name_of{ 0 + $self } = $name; return $self } sub name { return $name_of{ 0 + $_[0] } } sub STORABLE_freeze { return $_[0]->name } sub STORABLE_attach { my ($class, undef, $name) = @_; return $class->new($name) } }
}
is(eval { round($_->new)->{n} } // $@, 3, "$_ is whole") for qw(Outside::Registered Outside::Counted);
for my $class (qw(Inside::Hooked Inside::Attached)) {
    my $object = $class->new('seven');
    my $back   = round([ $object, { again => $object } ]);
    is($back->[0]->name, 'seven', "a class with hooks freezes itself: $class");
    is(refaddr $back->[0], refaddr $back->[1]{again}, '... once for all that refer to it');
}

# booleans_stay_booleans
SKIP: {
    skip 'perl has booleans since 5.36', 8 if $] < 5.036;
    my $is_boolean = eval 'no warnings; sub { builtin::is_bool($_[0]) }';
    my $kinds = sub { return join q{}, map { $is_boolean->($_) ? 'b' : '-' } @_ };
    my ($yes, $no) = (1 == 1, 1 == 0);
    is($kinds->(@{ round([ $yes, $no, 1, 0, q{}, '1', undef, !!1 ]) }), 'bb-----b', 'booleans stay booleans, and numbers and strings what they are');
    is($kinds->(@{ round({ list => [ $yes, [$no] ] })->{list} }[0], round({ list => [ [$no] ] })->{list}[0][0]), 'bb', 'also deep in data');
    is($kinds->(${ round(\$no) }), 'b', 'also behind a reference');
    is($kinds->(@{ Argon::Data::decode(Argon::Data::encode([ $yes, $no ])) }), 'bb', 'also as the arguments themselves');
    is($kinds->(round(bless { flag => $no }, 'Some::Flagged')->{flag}), 'b', 'also in an object');
    my $false = round($no);
    my @warnings;
    { local $SIG{__WARN__} = sub { push @warnings, @_ }; is("[$false]" . ($false + 0), '[]0', 'false is empty and zero'); }
    is_deeply(\@warnings, [], '... without a warning');
    # What an older perl reads of it: the two faces.
    my $graph = Storable::mretrieve(Argon::Data::encode([$no]));
    is_deeply([ @{ $$graph->{nodes}[0][4]{0} }[0, 1] ], [0, q{}], 'an older reader finds both faces');
}

# the_copy_of_a_guard_ends_without_its_destructor
{
    my @destroyed;
    # As a worker answers: with the bare name of the class.
    delete local $INC{'Argon/Code.pm'};
    package Local::Guard  { sub new { my ($class, $name) = @_; return bless { name => $name }, $class } sub DESTROY { push @destroyed, $_[0]{name}; return } }
    package Local::Hooked { our @ISA = ('Local::Guard'); sub ARGON_NO_DESTROY { return 1 } }
    package Local::Child  { our @ISA = ('Local::Silent') }
    package Local::Silent { our @ISA = ('Local::Guard') }
    Argon::Code->no_destroy('Local::Silent');
    for my $class (qw(Local::Hooked Local::Silent Local::Child)) {
        my $original = $class->new('original');
        { my $copy = round($original); is($copy->{name}, 'original', "the copy of a $class is whole"); is(ref $copy, $class, '... and of its class'); }
        Argon::Data::Copy::sweep();
        is_deeply(\@destroyed, [], '... and ends without DESTROY');
        undef $original;
        is_deeply([ splice @destroyed ], ['original'], '... the original with it');
    }
    { my $copy = round(Local::Guard->new('a')) }
    is_deeply([ splice @destroyed ], [qw(a a)], 'of other classes a copy is destroyed too');
}

done_testing;
