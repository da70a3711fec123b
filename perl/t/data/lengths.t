# Bytes of others cannot make this perl ask for memory that it does not get, nor run anything: lengths, counts and tags are
# checked before Storable sees them, names and flags before they are used.

use strict;
use warnings;

use Argon::Data ();
use Argon::Data::Lengths ();
use Storable ();
use Test::More;

my $HEADER = substr Storable::mstore([]), 0, -5;
my $HUGE   = pack 'L', 0x7fff_fff0;
my $ALL    = pack 'L', 0xffff_ffff;

sub refusal {
    my ($bytes) = @_;
    return eval { Argon::Data::decode_foreign($bytes); 'accepted' } // $@;
}

my %claims = (
    'a string'               => "\x01$HUGE",
    'a string of characters' => "\x18$HUGE",
    'a list'                 => "\x02$HUGE",
    'a hash'                 => "\x03$HUGE",
    'a hash with flags'      => "\x19\0$HUGE",
    'a version string'       => "\x1e$HUGE",
    'a list in a list'       => "\x02" . pack('L', 2) . "\x05\x02$HUGE",
    'a list behind strings'  => "\x02" . pack('L', 40) . "\x0a\1a" x 39 . "\x02$HUGE",
    'a list behind numbers'  => "\x02" . pack('L', 40) . "\x08\x85" x 39 . "\x02$HUGE",
    'a list in a hash'       => "\x03" . pack('L', 1) . "\x02$HUGE",
    'a key'                  => "\x03" . pack('L', 1) . "\x05$HUGE",
    'the second key'         => "\x03" . pack('L', 3) . "\x05" . pack('L', 1) . "a\x05$HUGE",
    'a key with flags'       => "\x19\0" . pack('L', 1) . "\x05\0$HUGE",
    'a key behind a list'    => "\x03" . pack('L', 1) . "\x02" . pack('L', 1) . "\x05$HUGE",
    'a list that is nearly there' => "\x02" . pack('L', 4) . "\x05" x 3,
    'lists that claim the same bytes' => "\x02" . pack('L', 100) . ("\x02" . pack 'L', 100) x 20 . "\x05" x 30,
);
for my $name (sort keys %claims) {
    for my $claim ($claims{$name}, $claims{$name} =~ s/\Q$HUGE\E/$ALL/r) {
        for my $bytes (map { "$HEADER$_" } $claim, "\x04$claim", "$claim" . "\x05" x 50, "\x02" . pack('L', 1) . $claim) {
            next if $name =~ /nearly|same/ && $bytes =~ /\x05{40}\z/;
            like refusal($bytes), qr/\AThese bytes are not Argon data: a length in them is beyond their end at \Q$0\E line \d+\.\n\z/, "what_is_claimed_must_be_there ($name)";
        }
    }
}

my %foreign = (
    'a class'   => "\x11\1X\x03" . pack('L', 0), 'a hook' => "\x13\0\1X\0", 'code' => "\x1a\x0a\1x", 'a pattern' => "\x20\0\1x\0",
    'a tie'     => "\x0b\x05", 'an overloaded reference' => "\x14\x05", 'a large object' => "\x21\2" . "\xff" x 8,
    'a tag of a later version' => "\x63", 'a key that is a value' => "\x19\0" . pack('L', 1) . "\x05\x08\x05\x05\x05\x05",
);
for my $name (sort keys %foreign) {
    like refusal("$HEADER\x02" . pack('L', 1) . $foreign{$name}), qr/they hold a kind of value that plain data never has/, "what_plain_data_never_has_is_refused ($name)";
}
like refusal(Storable::freeze([1]) =~ s/\A.//sr), qr/not Argon data/, 'bytes_without_the_header_are_refused';
{
    my $network = "\x05" . substr(Storable::nfreeze([1]), 1);
    like refusal($network), qr/they do not begin like it/, 'bytes_in_network_order_are_refused';
}

# What is encoded here passes, whatever its shape; the seed shows in the name of a test that fails.
sub any {
    my ($depth) = @_;
    my $kind = int rand($depth > 3 ? 9 : 13);
    return $kind == 0 ? undef : $kind == 1 ? int rand 256 : $kind == 2 ? int(rand 2**40) - 2**39 : $kind == 3 ? rand : $kind == 4 ? "\x{263a}" x rand 200
        : $kind == 5 ? 'x' x rand 600 : $kind == 6 ? q{} : $kind == 7 ? \'s' : $kind == 8 ? !!(rand > 0.5)
        : $kind == 9 ? [map { any($depth + 1) } 1 .. rand 5] : $kind == 10 ? [map { $_ * 3 } 0 .. rand 60]
        : $kind == 11 ? { map { ('k' x rand(300), any($depth + 1)) } 1 .. rand 6 } : { map { ("\x{e9}\x{263a}$_", any($depth + 1)) } 1 .. rand 40 };
}
my @wrong;
for my $seed (1 .. 400) {
    srand $seed;
    my $value = [map { any(0) } 0 .. rand 3];
    my $bytes = Argon::Data::encode($value);
    my $back  = eval { Argon::Data::decode_foreign($bytes) } or push(@wrong, "seed $seed: $@"), next;
    local $Storable::canonical = 1;
    push @wrong, "seed $seed: another value" if Storable::freeze($back) ne Storable::freeze(Argon::Data::decode($bytes));
}
is "@wrong", q{}, 'what_is_encoded_here_passes';

# Graphs: names and flags that would be source, files and places.
sub graph { my (%part) = @_; return Storable::mstore(\{ nodes => [['A', undef, [undef], { 0 => 1 }], @{ $part{nodes} }], classes => $part{classes} || {}, texts => [] }) }

our $ran = 0;
for my $flags ('; $main::ran = 1; m/', "i/; \$main::ran = 1; m/x/", 'e', 'ee', "i\n", 'i' x 40) {
    my $said = refusal(graph(nodes => [['Q', undef, ['x', $flags]]]));
    like $said, qr/\AA pattern in the data has flags that this perl does not know/, 'flags_of_a_pattern_are_flags';
}
is refusal(graph(nodes => [['Q', undef, ['(?{ $main::ran = 1 })', 'i']]])) =~ /Eval-group not allowed/ ? 1 : 0, 1, 'a_pattern_brings_no_code';
is $ran, 0, 'nothing_of_it_ran';
for my $pattern (qr/x/, qr/x/msixpn, qr/x/xx, qr/x/aa, qr/x/u, qr/\x{263a}/i) {
    is_deeply [re::regexp_pattern(Argon::Data::decode_foreign(Argon::Data::encode([$pattern]))->[0])], [re::regexp_pattern($pattern)], "patterns_keep_their_flags ($pattern)";
}

{
    require File::Temp;
    my $folder = File::Temp->newdir;
    open my $file, '>', "$folder/Trap.pm" or die $!;
    print {$file} '$main::ran = 1; 1;';
    close $file;
    mkdir "$folder/inside";
    local @INC = ("$folder/inside", @INC);
    for my $class ("$folder/Trap", '../Trap', '..::Trap', "A\n::B", '::../Trap', '/etc/passwd') {
        refusal(graph(nodes => [['H', $class, {}]], classes => { $class => undef }));
        is $ran, 0, 'a_class_that_is_no_name_loads_no_file';
    }
    for my $module ("$folder/Trap.pm", '../Trap.pm', './../Trap.pm', 'A/../../Trap.pm', "A\0.pm", q{}) {
        like refusal(graph(nodes => [['H', 'Trap', {}]], classes => { Trap => ['module', $module] })), qr/names a file that is not a module/, 'a_module_is_one_of_the_library';
        is $ran, 0, '... and nothing else is loaded';
    }
}

for my $place (-1, 1, 2**31, 1e12, 'x', q{}) {
    for my $bytes (graph(nodes => [['A', undef, [undef], { $place => 0 }]]), graph(nodes => [['E', undef, [0, $place]]]), graph(nodes => [['A', undef, [1], undef, { $place => [1, 'a'] }]])) {
        like refusal($bytes), qr/\AThese bytes are not Argon data: they hold no whole list/, 'a_place_is_one_of_the_list';
    }
}

done_testing;
