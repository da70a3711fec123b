# What ship promises beside the code itself: text that depends only on the code,
# values of the moment, and a refusal at the caller's own line.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;
use Argon::Code;
use Argon::Data;

sub there { my ($shipped, @arguments) = @_; return Argon::Code::receive($shipped->{text})->($shipped->{captures})->(@arguments) }

# closures_of_one_source_share_their_text
{
    my @subs = map { my $n = $_; sub { $n * 10 } } 1 .. 3;
    my @shipped = map { Argon::Code::ship($_, plain => 1) } @subs;
    is($shipped[1]{text}, $shipped[0]{text}, 'closures of one source share their text');
    is_deeply([ map { $_->{captures} } @shipped ], [ [1], [2], [3] ], 'and differ in what they captured');
    is_deeply([ map { there($_) } @shipped ], [ 10, 20, 30 ], 'and give different values');
}

# captures_are_those_of_the_moment
{
    my $n = 1;
    my $code = sub { $n };
    is(there(Argon::Code::ship($code)), 1, 'a captured value');
    $n = 2;
    is(there(Argon::Code::ship($code)), 2, 'is the one of the moment of the call');
}

# captured_variables_are_copies
{
    my $n = 1;
    my $code = sub { ++$n };
    my $shipped = Argon::Code::ship($code);
    my $list = Argon::Data::decode(Argon::Data::encode([ $shipped->{captures} ]));
    is(Argon::Code::receive($shipped->{text})->($list->[0])->(), 2, 'the code changes its copy');
    is($n, 1, 'and the variable here stays as it was');
}

# one_factory_makes_independent_subs
{
    my $n = 5;
    my $factory = Argon::Code::receive(Argon::Code::ship(do { my $m = $n; sub { ++$m } })->{text});
    my ($one, $other) = ($factory->([5]), $factory->([50]));
    $one->();
    is($one->() . ' ' . $other->(), '7 51', 'subs of one factory do not share their variables');
}

# a_freed_sub_is_not_mistaken_for_a_new_one
{
    my @wrong;
    for my $n (1 .. 200) {
        my $code = eval "sub { $n + \$_[0] }";
        push @wrong, $n unless there(Argon::Code::ship($code), 1) == $n + 1;
    }
    is_deeply(\@wrong, [], 'code at an address used before is read anew');
}

# a_redefined_helper_is_read_anew
{
    no warnings 'redefine';
    eval 'sub main::changing { "old" } 1' or die;
    my $code = sub { main::changing() };
    is(there(Argon::Code::ship($code)), 'old', 'a helper');
    eval 'sub main::changing { "new" } 1' or die;
    is(there(Argon::Code::ship($code)), 'new', 'that is defined again travels in its new form');
}

# a_refusal_names_what_where_and_advice_at_the_callers_line
{
    open my $handle, '<', \"text" or die;
    my $code = sub { <$handle> };
    my $line = __LINE__ + 1;
    eval { Argon::Code::ship($code) };
    like($@, qr/captured variable \$handle holds a file handle \(open the file inside the sub\) at \Q${\ __FILE__}\E line $line\.$/,
        'a refusal names the variable, gives advice, and points at the caller');
    eval { Argon::Code::ship('main') };
    like($@, qr/not a code reference/, 'what is no code is refused');
}

# names
{
    like(Argon::Code::ship(\&Scalar::Util::blessed)->{text}, qr/by_name\("Scalar::Util::blessed"\)/, 'a compiled sub travels by name');
    require File::Spec;
    like(Argon::Code::ship(\&File::Spec::Unix::catfile, by_name => 1)->{text}, qr/by_name/, 'a sub of a module travels by name on request');
    eval { Argon::Code::ship(sub {1}, by_name => 1) };
    like($@, qr/not a named sub of a module file/, 'a sub of the script does not');
    unlike(Argon::Code::ship(\&there)->{text}, qr/by_name/, 'and by itself it travels by value');
}

# by_text
{
    my $source = Argon::Code::from_source('sub { my ($x) = @_; unless ($x) { "no" } else { "yes $x" } }');
    is(there(Argon::Code::ship($source), 3), 'yes 3', 'code given as text travels as it is');
    eval { Argon::Code::from_source('sub { $undeclared }') };
    like($@, qr/does not compile.*undeclared.*at \Q${\ __FILE__}\E line \d+\.$/s, 'and is compiled here first');
}

# a_missing_module_is_named
{
    my $text = "# Argon Perl code, format 1, written by perl 5\nBEGIN { Argon::Code::Receive::prepare(modules => ['No/Such/Module.pm']) }\nsub { }\n";
    eval { Argon::Code::receive($text) };
    like($@, qr/\AThe module No::Such::Module, which the code needs, is not on this machine\.$/, 'a missing module is named');
    eval { Argon::Code::receive("sub { 1 }") };
    like($@, qr/not Perl code shipped by Argon/, 'other text is refused');
    eval { Argon::Code::receive("# Argon Perl code, format 9\n") };
    like($@, qr/format 9.*reads format 1/, 'a newer format is refused');
}

# settings_of_modules
{
    my $folder = File::Temp->newdir;
    open my $out, '>', "$folder/script.pl" or die;
    print {$out} <<'SCRIPT';
use Argon::Code; use Data::Dumper; $Data::Dumper::Indent = 0; $Data::Dumper::Terse = 1;
my $s = Argon::Code::ship(sub { Dumper([1]) });
print unpack 'H*', $s->{text}; print "\n@{[ scalar @{ $s->{captures} } ]}\n";
SCRIPT
    close $out;
    my @lines = qx($^X -I$FindBin::Bin/../../lib $folder/script.pl);
    like($lines[1], qr/\A2$/, 'settings that the program gives a module travel with code that calls it');
    like(pack('H*', $lines[0]), qr/Data::Dumper::Indent/, 'and are named in the text');
}

# perls_before_5_22
{
    local $Argon::Code::Analyse::PerlVersion::CAN_ALIAS = 0;
    my ($n, @list) = (5, 1);
    my $add = eval 'sub { $n += shift }' or die $@;
    is(there(Argon::Code::ship($add), 2), 7, 'a captured scalar travels without aliases of references');
    my $count = eval 'sub { scalar @list }' or die $@;
    eval { Argon::Code::ship($count) };
    like($@, qr/captured variable \@list needs perl 5\.22/, 'a captured array is refused');
}

# what_a_shipment_sets_is_given_back
{
    local $, = '-';
    my $shipped = Argon::Code::ship(sub { print STDERR (); $, });
    {
        local $, = '+';
        is(there($shipped), '-', 'a variable of perl is set for the code');
        Argon::Code::Receive::restore();
        is($,, '+', 'and given back after it');
    }
}

# closures in the arguments share variables with the code
{
    my $n = 5;
    my $more = sub { $n++ };
    my $shipped = Argon::Code::ship(sub { $_[0]->(); ${ $_[1] }++; $n });
    my ($captures, $arguments) = @{ Argon::Data::decode(Argon::Data::encode([ $shipped->{captures}, [ $more, \$n ] ])) };
    is(Argon::Code::receive($shipped->{text})->($captures)->(@$arguments), 7, 'a closure and a reference among the arguments share what the code captured');
    is($n, 5, 'and the variable here stays as it was');
}

# receiving half
{
    my $loaded = qx($^X -I$FindBin::Bin/../../lib -e 'require Argon::Code::Receive; require Argon::Data; print join " ", sort keys %INC');
    unlike($loaded, qr/Deparse|B\.pm|Argon\/Code\.pm/, 'the receiving half reads no op trees');
}

done_testing;
