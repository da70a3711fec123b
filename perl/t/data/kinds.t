# Every kind of Perl data arrives as it was sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use B ();
use Hash::Util ();
use Scalar::Util qw(blessed dualvar isweak refaddr reftype weaken);
use Test::More;
use Argon::Code;
use Argon::Data;

sub round { return Argon::Data::decode(Argon::Data::encode($_[0])) }

sub bits { return unpack 'H*', pack 'F', $_[0] }

# plain
{
    my $list = [ 4, 7, 'text', '', undef, "\x{263a}", "\xe9\x00\xff", -1, 18446744073709551615, -9223372036854775808, '0 but true', '007' ];
    is_deeply(round($list), $list, 'plain values arrive equal');
    my ($number, $string) = @{ round([ 42, '42' ]) };
    ok(B::svref_2object(\$number)->FLAGS & B::SVf_IOK(), 'a number stays a number');
    ok(!(B::svref_2object(\$string)->FLAGS & B::SVf_IOK()), 'and a string of digits a string');
    ok(utf8::is_utf8(round(["\x{263a}"])->[0]), 'characters stay characters');
    ok(!utf8::is_utf8(round(["\xe9"])->[0]), 'and bytes bytes');
    is_deeply(round([]), [], 'an empty list');
}

# floats
{
    my @floats = (0.1, 1 / 3, -0.0, 9**9**9, -9**9**9, 9**9**9 / 9**9**9, 5e-324, 1.7976931348623157e308, 2**53 + 2);
    is_deeply([ map { bits($_) } @{ round(\@floats) } ], [ map { bits($_) } @floats ], 'floats arrive bit for bit');
    is_deeply([ map { bits($_) } @{ round([ { f => \@floats } ])->[0]{f} } ], [ map { bits($_) } @floats ], 'also deep in data');
}

# two faces
{
    my $dual = round([ dualvar(5, 'five') ])->[0];
    is("$dual " . ($dual + 0), 'five 5', 'a value with two faces keeps both');
    $dual = round([ { x => [ dualvar(2, 'two') ] } ])->[0]{x}[0];
    is("$dual " . ($dual + 0), 'two 2', 'also deep in data');
}

# nested, shared and looping
{
    my $shared = { n => 1 };
    my $data = [ $shared, $shared, { list => [ [], {}, \'x', \\'y' ] } ];
    push @$data, $data;
    my $back = round([$data])->[0];
    is(refaddr $back->[0], refaddr $back->[1], 'a shared reference stays shared');
    is(refaddr $back->[3], refaddr $back, 'a loop stays a loop');
    is(${ ${ $back->[2]{list}[3] } }, 'y', 'references to references');

    my $object = bless { data => $data }, 'Some::Plain::Class';
    $back = round([ $object, $data ]);
    is(refaddr $back->[0]{data}, refaddr $back->[1], 'sharing survives beside objects');
}

# references to elements
{
    my @list = (1, 2, 3);
    my $back = round([ \@list, \$list[1], bless({}, 'Some::Plain::Class') ]);
    ${ $back->[1] } = 'changed';
    is($back->[0][1], 'changed', 'a reference to an element refers to that element');
}

# weak
{
    my $tree = { name => 'root' };
    $tree->{child} = bless { parent => $tree }, 'Some::Plain::Class';
    weaken $tree->{child}{parent};
    my $back = round([$tree])->[0];
    ok(isweak($back->{child}{parent}), 'a weak reference stays weak');
    is($back->{child}{parent}{name}, 'root', 'and refers to the same');
}

# a_string_that_was_used_as_a_number_stays_a_string
{
    my $code = 'az';
    { no warnings 'numeric'; ok($code != 5, 'it is compared') }
    for my $way ([$code], [ $code, bless({}, 'Some::Plain::Class') ], [ [$code], sub { } ]) {
        my ($back) = map { ref eq 'ARRAY' ? $_->[0] : $_ } @{ round($way) };
        $back++;
        # kind: values with two faces | a string that was compared with a number, and then counted up | right | `az` becomes
        #    `ba`, as here
        is($back, 'ba', 'a string that was used as a number is counted up as a string');
    }
    my ($version) = @{ round([ v1.22.333, bless({}, 'Some::Plain::Class') ]) };
    is(reftype(\$version), 'VSTRING', 'a version string among objects stays one');
}

# locked_hashes
{
    my %made = (plain => { a => 1 }, 'with an object' => { a => bless({}, 'Some::Plain::Class') }, blessed => bless({ a => [1] }, 'Some::Plain::Class'));
    for my $name (sort keys %made) {
        Hash::Util::lock_ref_keys($made{$name}, 'a', 'later');
        my $back = round([ $made{$name} ])->[0];
        # kind: data outside the object | a restricted hash of Hash::Util, an object of `use fields` | right | the same keys are
        #    allowed there
        ok(!eval { $back->{other} = 1; 1 }, "a restricted hash takes no other key there: $name");
        ok(eval { $back->{later} = 1; 1 }, '... but those that it allows');
        is_deeply([ sort keys %{$back} ], [qw(a later)], '... and has the same');
    }
    my $constant = { a => 1, b => bless({}, 'Some::Plain::Class') };
    Hash::Util::lock_hashref($constant);
    ok(!eval { round([$constant])->[0]{a} = 2; 1 }, 'a read-only value of one stays so');
}

# what_only_weak_references_hold
{
    my $parent = { name => 'root' };
    for my $child ({ parent => $parent }, bless({ parent => $parent }, 'Some::Plain::Class')) {
        weaken $child->{parent};
        # kind: data outside the object | a weak reference to what nothing else in the message holds | right | it is still
        #    there
        is(round([$child])->[0]{parent}{name}, 'root', 'a weak reference alone arrives with what it refers to');
    }
}

# overloaded_operators_do_not_run
{
    my @ran;
    package Hostile;
    use overload map({ my $operator = $_; ($operator => sub { push @ran, $operator; die "$operator ran\n" }) } qw("" bool 0+ == eq <=> cmp @{} %{} ${} &{})), nomethod => sub { push @ran, 'nomethod'; die };
    package main;
    my %made = (HASH => bless({ a => 7 }, 'Hostile'), ARRAY => bless([7], 'Hostile'), SCALAR => bless(\(my $seven = 7), 'Hostile'), CODE => bless(sub { 7 }, 'Hostile'));
    for my $type (sort keys %made) {
        my $back = eval { round([ { x => $made{$type} } ])->[0]{x} };
        is(defined Scalar::Util::blessed($back) ? reftype($back) : $@, $type, "an object with every operator overloaded: $type");
    }
    # kind: code of the caller runs | data with an object whose class overloads `%{}`, `""` and all others | right | none of
    #    them runs
    is_deeply(\@ran, [], '... and none of them has run');
}

# objects
{
    my $back = round([ bless([1], 'List::Class'), bless(\(my $s = 's'), 'Scalar::Class'), bless({ a => bless([], 'Inner::Class') }, 'Outer::Class') ]);
    is_deeply([ map { blessed $_ } @$back, $back->[2]{a} ], [qw(List::Class Scalar::Class Outer::Class Inner::Class)], 'objects keep their class');
    is(${ $back->[1] }, 's', 'and their content');
    require Math::BigInt;
    is(round([ Math::BigInt->new('123456789012345678901234567890') ])->[0] + 1, '123456789012345678901234567891', 'an object of a module');
}

# patterns
{
    my $back = round([ qr/a.b/six, qr/\x{263a}/, bless(qr/x/, 'Pattern::Class') ]);
    like("A\nB", $back->[0], 'a pattern with flags');
    is("$back->[0]", '' . qr/a.b/six, 'is the same pattern');
    like("\x{263a}", $back->[1], 'a pattern of characters');
    is(blessed $back->[2], 'Pattern::Class', 'a pattern that is an object');
}

# deep
{
    my $deep = my $inner = [];
    for (1 .. 100_000) { my $next = []; push @$inner, $next; $inner = $next }
    my $back = round([$deep])->[0];
    my $depth = 0;
    while (@$back) { $back = $back->[0]; $depth++ }
    # kind: constants and big values | a Perl list 100,000 levels deep | right | the encoder does not recurse
    is($depth, 100_000, 'a list 100,000 levels deep arrives');

    my $hash = my $at = {};
    for (1 .. 20_000) { $at = $at->{x} = {} }
    $back = round([$hash])->[0];
    $depth = 0;
    while ($back->{x}) { $back = $back->{x}; $depth++ }
    is($depth, 20_000, 'also a hash of hashes');
}

# large
{
    my $big = 'x' x (64 * 1024 * 1024);
    my $back = round([$big]);
    # kind: constants and big values | a Perl value of 64 MiB | right | it is sent in parts
    is(length $back->[0], length $big, 'a value of 64 MiB arrives');
    ok($back->[0] eq $big, 'and is equal');
}

# code
{
    my $n = 5;
    my $data = [ sub { $n++ }, sub {$n}, { twice => sub { 2 * shift } } ];
    my $back = round($data);
    $back->[0]->();
    is($back->[1]->(), 6, 'subs in data share what they captured');
    is($back->[2]{twice}->(21), 42, 'and are called as here');
    is($n, 5, 'the variable here stays as it was');
}

# refusals
{
    tie my %tied, 'Tied::Class';
    for my $case (
        [ [ 1, { a => [ \*STDIN ] } ], qr/the list->\[1\]->\{a\}->\[0\] is a file handle/, 'a handle' ],
        [ [*STDIN],                    qr/the list->\[0\] is a file handle/,               'a bare glob' ],
        [ [ \%tied ],                  qr/the list->\[0\] is a variable tied to Tied::Class/, 'a tied hash' ],
        [ [ qr/(?{ 1 })/ ],            qr/a pattern with a code block/,                    'a pattern with code' ],
    ) {
        my ($list, $message, $name) = @$case;
        my $line = __LINE__ + 1;
        eval { Argon::Data::encode($list) };
        like($@, $message, "$name is refused by its place");
        like($@, qr/ at \Q${\ __FILE__}\E line $line\.$/, "$name is refused at the caller's line");
    }
    for my $bytes ('', 'x', "\x04\x0b\x0812345678", 'hello world' x 10) {
        eval { Argon::Data::decode($bytes) };
        like($@, qr/\AThese bytes are not Argon data/, 'other bytes are refused in words');
    }
}

done_testing;

package Tied::Class;
sub TIEHASH { return bless {}, shift }
sub FIRSTKEY { return }
