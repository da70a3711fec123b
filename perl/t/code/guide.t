# docs/guide/perl-code-that-travels.md, sentence by sentence: each test is named by the sentence that it is of. The table of
# cases (t/code/*.txt) has more of most kinds; what runs while code is shipped is nothing_runs.t, $_ is topic.t, classes are oo.t.

use strict;
use warnings;
no warnings 'once';

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use File::Temp ();
use List::Util qw(sum first);
use Test::More;
use Argon::Client;
use TestManager;
use feature 'state';

my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);
my $here    = __FILE__;

sub there   { my ($code, @arguments) = @_; return scalar $client->queue($code, \@arguments) }
sub refused { my ($code, @arguments) = @_; return eval { $client->queue($code, \@arguments); 1 } ? 'sent' : $@ }

# The opening
{
    my $rate = 1.19;
    sub gross { return sprintf '%.2f', $_[0] * 1.19 }
    is there(sub { gross(sum(@_)) * 1 + 0 * $rate }, 4, 7), 13.09, 'You write the sub that you would have called here, and it runs there';
}

# Three ways
{
    like(Argon::Code::ship(\&List::Util::sum)->{text}, qr/by_name/, 'by name: by itself for compiled (XS) subs');
    require Text::Wrap;
    like(Argon::Code::ship(\&Text::Wrap::wrap)->{text}, qr/by_name/, 'and for subs of the library of perl');
    my $folder = File::Temp->newdir;
    open my $out, '>', "$folder/OwnModule.pm" or die;
    print {$out} "package OwnModule; use strict; sub twice { return 2 * \$_[0] } 1;\n";
    close $out;
    local @INC = ("$folder", @INC);
    require OwnModule;
    unlike(Argon::Code::ship(\&OwnModule::twice)->{text}, qr/by_name/, 'By name is never guessed for your own files');
    like(Argon::Code::ship(\&OwnModule::twice, by_name => 1)->{text}, qr/by_name/, 'for your own modules with by_name => 1');
    is there(sub { OwnModule::twice(4) }), 8, 'a worker that lacks a module asks your client for the file';
    is there(Argon::Code->from_source('sub { "text @_" }'), 1), 'text 1', 'by text: from_source';
}

# What goes along
{
    my $n = 1;
    my $code = sub {$n};
    $n = 2;
    is there($code), 2, 'Captured variables, as they are at the moment of the call';
    my ($count, $add, $get) = (0);
    ($add, $get) = (sub { $count++ }, sub {$count});
    is there(sub { $add->(); $add->(); $get->() }), 2, 'Two subs that share a variable share it there too';

    sub apply(&@) { my ($block, @list) = @_; return map { $block->($_) } @list }
    sub needs_apply { return join ' ', apply { $_[0] + 1 } @_ }
    is there(\&needs_apply, 1, 2), '2 3', 'Subs of the script that are called by name, and what those need in turn; with their prototypes';
    is there(sub { first { $_ > 2 } @_ }, 1, 3), 3, 'Imported subs: their module is loaded and the name made again';

    our ($scalar, @array, %hash) = (1, 2, 3);
    ($scalar, @array, %hash) = (1, ());
    @array = (2, 3);
    %hash  = (a => 4);
    is there(sub {"$main::scalar @main::array $main::hash{a}"}), '1 2 3 4', 'Package variables that the code mentions';
    {
        local ($,, $\, $", $;) = ('-', '!', '+', '=');
        is there(sub { my @l = (1, 2); my %h; $h{1, 2} = 1; open my $o, '>', \my $t; print {$o} 1, 2; close $o; join ' ', $t, "@l", keys %h }), '1-2! 1+2 1=2', '$, $\ $" $; where the code depends on them';
        local $/ = 'x';
        is there(sub { my $t = 'ax'; chomp $t; $t }), 'a', 'and $/';
    }
    require Data::Dumper;
    local ($Data::Dumper::Indent, $Data::Dumper::Terse) = (0, 1);
    is there(sub { Data::Dumper->new([[1]])->Dump }), '[1]', 'settings of modules that your main program mentions';

    { package Guide::Parent; sub new { my ($class, @list) = @_; return bless [@list], $class } sub name { return 'parent' . @{ $_[0] } } }
    { package Guide::Child; our @ISA = ('Guide::Parent'); use overload '+' => sub { return "plus$_[1]" }, '""' => sub {'text'} }
    is there(sub { Guide::Child->new(1)->name }), 'parent1', 'Classes that the code names: methods, parents';
    my $object = Guide::Child->new(1, 2);
    is there(sub { $object->name . ($object + 3) }), 'parent2plus3', 'or that a captured object belongs to: overloaded operators';
    is there(sub { $_[0]->name }, $object), 'parent2', 'or an argument';
    require Math::BigInt;
    is there(sub { Math::BigInt->new(2)->bpow(70)->bstr }), '1180591620717411303424', 'A class in a module file is loaded';
}

# Pragmas, file and line
{
    like there(sub { no strict 'refs'; my $n = 'x'; eval { use strict; my $v = $$n; 1 } ? 'no' : $@ }), qr/strict refs/, 'strict';
    like there(sub { use warnings FATAL => 'all'; eval { my $x = undef . ''; 1 } ? 'no' : $@ }), qr/uninitialized/, 'warnings (fatal ones too)';
    is there(sub { use integer; 7 / 2 }), 3, 'integer';
    is there(sub { use feature 'fc'; fc('A') }), 'a', 'features';
    is there(sub { use re '/x'; 'ab' =~ /a b/ ? 1 : 0 }), 1, 'use re';
    like there(sub { use autodie; eval { open my $f, '<', '/no/such/file'; 1 } ? 'no' : ref $@ }), qr/autodie::exception/, 'autodie';
    my $signed = eval 'use feature "signatures"; no warnings; sub ($x, $y = 2) { "$x$y" }' or die $@;
    is there($signed, 1), 12, 'signatures';
    my $line = __LINE__ + 1;
    like refused(sub { die 'here' }), qr/\Ahere at \Q$here\E line $line\.$/, 'File and line in die';
    is there(sub { (caller(0))[3] . __LINE__ }) =~ /(\d+)\z/ && $1, __LINE__, 'are those of your script';
}

# Captured variables are copies
{
    my $count = 0;
    $client->queue(sub { $count++ });
    is $count, 0, 'The worker changes its copy, not your variable';
    $count = $client->queue(sub { $count + 1 });
    is $count, 1, 'What you want back, return';
    my $code = sub { state $n = 0; my @list = ($count); push @list, 1; return ++$n . $count++ };
    is there($code) . there($code), '1111', 'Each call starts from fresh copies and fresh state variables';
    my $shared = 1;
    is there(sub { $_[0]->(); ${ $_[1] }++; $shared }, sub { $shared += 5 }, \$shared), 7, 'a closure among the arguments, or a reference to a captured variable, changes what the code sees';
}

# What is refused
{
    open my $handle, '<', $0 or die;
    our $GLOBAL = $handle;
    open FILE, '<', $0 or die;    ## no critic (ProhibitBarewordFileHandles): it is the case
    like refused(sub { readline $handle }), qr/the captured variable \$handle holds a file handle \(open the file inside the sub\) at \Q$here\E line/, 'open file handles: captured';
    like refused(sub { readline $main::GLOBAL }), qr/the package variable \$main::GLOBAL holds a file handle/, 'in a package variable';
    like refused(sub { scalar <FILE> }), qr/the handle FILE, which is open in this process/, 'by its name';
    like refused(sub { scalar <main::DATA> }), qr/the handle .*DATA, which is open in this process \(read it here and pass the text\)/, '<DATA>';
    like refused(sub { write }), qr/writes a format/, 'formats';
    my $used = sub { state $n = 0; return ++$n };
    $used->();
    like refused($used), qr/the state variable \$n already has a value/, 'a state variable that already has its value';
    require Tie::Scalar;
    require Tie::Array;
    require Tie::Hash;
    tie my $tied, 'Tie::StdScalar';
    tie my @tied, 'Tie::StdArray';
    tie my %tied, 'Tie::StdHash';
    like refused($_), qr/is tied to Tie::Std/, 'tied variables' for sub {$tied}, sub {@tied}, sub {%tied};
    require Encode;
    my $encoding = Encode::find_encoding('iso-8859-1');
    like refused(sub {$encoding}), qr/cannot travel/, 'objects that hold a C pointer' if $encoding;
    like refused(eval "#line 1 \"nowhere\"\nsub { my \$text = shift; \$text =~ tr/A-Z-/a-z_/; \$text }"), qr/perl cannot give back the source of this sub faithfully/, 'statements that perl cannot give back, in a sub whose file is not there';
    is there(sub { my $text = shift; $text =~ tr/A-Z-/a-z_/; $text }, 'A-B'), 'a_b', 'the sub is looked for in the file that it was written in';
}

# Known limits
{
    my $rate = 5;
    our $level = 6;
    is there(sub { eval 'my $x = $rate' }), 5, q(eval 'my $x = $rate' finds a $rate around the sub);
    is there(sub { no strict 'refs'; ${"main::level"} }), 6, 'and ${"main::level"} the package variable';
    local $ENV{GUIDE_OF_THIS_TEST} = 'here';
    is there(sub { $ENV{GUIDE_OF_THIS_TEST} // 'not there' }), 'not there', '%ENV is the own one of the worker';
    is there(sub { exists $SIG{__DIE__} && ref $SIG{__DIE__} ? 'ours' : 'own' }), do { local $SIG{__DIE__} = sub { }; 'own' }, '%SIG, too';
    sub helper { return 'first' }
    my $first = sub { helper() };
    is there($first), 'first', 'a sub of a name';
    { no warnings 'redefine'; local *helper = sub {'second'}; is there(sub { helper() }), 'second', 'and another of the same name do not meet' }
    is there($first), 'first', 'whatever came between';
    my $shared = 0;
    is join(' ', map { there(sub { ++$shared }) } 1, 2), '1 1', 'A variable is shared only inside one call: two calls have two copies';
}

# Values
{
    my @values = (1, -1, 1.5, '1.50', 0.1 + 0.2, 9**20, 18446744073709551615, "bytes\xff", "\x{263a}", '', undef, "0 but true", -0.0);
    is_deeply [$client->queue(sub { @_ }, \@values, { context => 'list' })], \@values, 'numbers and strings as they are';
    is unpack('H*', pack 'F', there(sub { $_[0] }, 0.1 + 0.2)), unpack('H*', pack 'F', 0.1 + 0.2), 'floats bit for bit';
    my $list = [1];
    my $loop = { list => [$list, $list] };
    $loop->{self} = $loop;
    my $back = there(sub { push @{ $_[0]{list}[0] }, 2; $_[0] }, $loop);
    is_deeply $back->{list}[1], [1, 2], 'references that are shared';
    is $back->{self}, $back, 'loop';
    require Scalar::Util;
    Scalar::Util::weaken($loop->{self});
    ok there(sub { Scalar::Util::isweak($_[0]{self}) ? 1 : 0 }, $loop), 'or are weak';
    is there(sub { 'AB' =~ $_[0] ? 1 : 0 }, qr/a b/ix), 1, 'patterns';
    is there(sub { $_[0]{code}->(3) }, { code => sub { $_[0] * 2 } }), 6, 'and subs inside data';
    my $deep = [];
    $deep = [$deep] for 1 .. 20_000;
    is there(sub { my ($d, $n) = ($_[0], 0); while (@$d) { $d = $d->[0]; $n++ } $n }, $deep), 20_000, 'Depth has no limit';
    open my $handle, '<', $0 or die;
    like refused(sub {1}, 0, [0, { log => $handle }]), qr/\{log\} is a file handle/, 'File handles are refused by their place';
    like refused(sub {1}, qr/(?{ 1 })/), qr/a pattern with a code block/, 'patterns with code blocks, too';
}

done_testing;

__DATA__
text
