# $_ in code that travels is what it was at the call; in map it is the item, and results are a list, as in perl's own map.
# The same for the other variables that perl sets by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;
use Argon::Client;
use TestManager;

my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);
my $folder  = $FindBin::Bin;

sub topic { return "<$_>" }

# each use of $_, given "seven,eight"
{
    my %use = (
        match      => sub { /sev/ ? 'yes' : 'no' },
        named      => sub { $_ . '!' },
        substitute => sub { s/sev/SEV/; $_ },
        replaced   => sub { s/sev/SEV/r },
        translate  => sub { tr/e/E/; $_ },
        count      => sub { tr/e// },
        split      => sub { join '|', split /,/ },
        bare_split => sub { join '|', split },
        lc         => sub { uc },
        length     => sub { length },
        ord        => sub { ord },
        chomp      => sub { chomp; chop; $_ },
        groups     => sub { my ($first) = /(\w+)/; $first },
        reverse    => sub { scalar reverse },
        defined    => sub { defined ? 1 : 0 },
        a_helper   => sub { topic() },
        nested     => sub { my $code = sub { "$_$_" }; $code->() },
        in_a_loop  => sub { my $all = ''; for my $n (1 .. 2) { $all .= $_ } $all },
        with_map   => sub { join '', (map { $_ * 2 } 1 .. 3), $_ },
        with_grep  => sub { join '', (grep {/2/} 1 .. 3), /sev/ ? 'after' : '' },
        with_for   => sub { my $n = 0; $n += $_ for 1 .. 3; "$n$_" },
        localized  => sub { local $_ = 'mine'; /mine/ ? 'mine' : 'not' },
        modified   => sub { $_ .= 'x'; $_ },
        printed    => sub { open my $out, '>', \my $text; print {$out} $_; close $out; $text },
        a_file     => sub { -e $_ ? 'there' : 'not' },
        evaluated  => sub { eval '$_ . "e"' },
    );
    for my $name (sort keys %use) {
        my $here  = do { local $_ = 'seven,eight'; $use{$name}->() };
        my $there = do { local $_ = 'seven,eight'; my $value = $client->queue($use{$name}); is $_, 'seven,eight', "$name: the caller keeps its own"; $value };
        # kind: the topic | code that reads `$_` by any operator, helper, inner sub or `eval` | right | `$_` travels
        #    as a captured variable does
        is $there, $here, "$name: $here";
    }
}

# loops of the caller
{
    my @deferred;
    for (1 .. 3) { push @deferred, $client->defer(sub { $_ * 2 }) }
    # kind: the topic | `for (1 .. 3) { defer(sub { $_ * 2 }) }` | right | its value at the call travels
    is join(' ', map { $_->get } @deferred), '2 4 6', 'for (...)';
    is join(' ', map { $_->get } map { $client->defer(sub { $_ * 2 }) } 1 .. 3), '2 4 6', 'map { ... }';
    $_ = 'outer';
    @deferred = ();
    for my $x (1 .. 2) { push @deferred, $client->defer(sub {"$x$_"}) }
    is join(' ', map { $_->get } @deferred), '1outer 2outer', 'for my $x (...) leaves $_ alone';
    my %of = (a => { n => 1 });
    is join(' ', map { $client->queue(sub { $_->{n} }) } values %of), '1', 'a reference';
    open my $handle, '<', $0 or die;
    is join(' ', map { scalar $client->queue(sub { join '', map { $_ + 1 } @_ }, [1, 2]) } $handle), '23', 'a $_ that the code does not look at need not be able to travel';
    is eval { $client->queue(sub { ref }) for $handle; 1 }, undef, 'one that it looks at must';
    # kind: the topic | `$_` is a file handle | loud | refused only if the code looks at it
    like $@, qr/cannot travel.*_ .*file handle.* at \Q$0\E line \d+/s, 'and is refused in words';
}

# map
{
    # kind: the topic | `$client->map(sub { $_ * 2 }, …)` | right | the item is `$_` and the argument
    is_deeply [$client->map(sub { $_ * 2 }, [1 .. 3])], [2, 4, 6], 'the item is $_';
    is_deeply [$client->map(sub { $_[0] * 2 }, [1 .. 3])], [2, 4, 6], 'and the argument';
    # kind: the topic | a sub of `map` that returns a list | right | as in perl's own `map`
    is_deeply [$client->map(sub { ($_) x $_ }, [0 .. 3])], [1, 2, 2, 3, 3, 3], 'a list stays a list';
    is_deeply [$client->map(sub { return if $_ == 2; $_ }, [1 .. 3])], [1, 3], 'nothing is nothing';
    is_deeply [$client->map(sub { $_ => [$_ + 1] }, [1, 3])], [1 => [2], 3 => [4]], 'pairs';
    is_deeply [$client->map(sub { my @list = ($_) x $_; @list }, [1 .. 3], { context => 'scalar' })], [1, 2, 3], 'in scalar context one value for each';
    my @items = (1, 2);
    is_deeply [$client->map(sub { $_++; $_ }, \@items)], [2, 3], 'code that changes $_';
    is_deeply \@items, [1, 2], 'changes its copy';
    my @left = (4, 5);
    is_deeply [$client->map(sub { $_ + 1 }, sub { @left ? shift @left : () })], [5, 6], 'items of an iterator';
    is_deeply [$client->map(sub { $_->{n}++; $_[0]{n} }, [{ n => 1 }])], [2], '$_ and the argument are the same value';
    is_deeply [$client->map_later(sub { ($_, $_) }, [7])->get], [7, 7], 'map_later gives the list, too';
    my @seen;
    is $client->map(sub { ($_, -$_) }, [1, 2], { on_result => sub { push @seen, [@_] } }), 2, 'on_result';
    is_deeply \@seen, [[0, 1, -1], [1, 2, -2]], 'gets the list of each item';
}

# variables of sort, of patterns, of errors
{
    no warnings 'once';
    local ($a, $b) = (3, 4);
    # kind: variables of perl itself | `$a` and `$b` outside of `sort` | right | they are package variables like others
    is $client->queue(sub { $a + $b }), 7, '$a and $b are package variables like others';
    is join(' ', $client->queue(sub { join ' ', sort { $b <=> $a } @_ }, [1, 3, 2])), '3 2 1', 'in sort they are those of sort';
}

# code starts afresh at every call
{
    use feature 'state';
    my %code = (
        flip_flop     => [sub { join '', grep { $_ eq 'B' .. $_ eq 'E' } @{ $_[0] } }, [qw(a B c)]],
        match_once    => [sub { my $n = grep { m?x? } @_; $n }, 'x', 'x'],
        in_an_inner   => [sub { my $code = sub { $_[0] =~ m?x? ? 1 : 0 }; $code->('x') . $code->('x') }],
        a_glob        => [sub { my $file = glob "$folder/*.t"; $file }],
        in_a_constant => [sub { "abc" =~ /(.)/g; $1 }],
        state         => [sub { state $n = 5; $n++ }],
        skipped_my    => [sub { no warnings; my $n = 3 if $_[0]; ++$n }, 0],    ## no critic (ProhibitConditionalDeclarations): it is the case
        a_captured    => [do { my %h = (a => 1, b => 2); sub { my $n = 0; $n++ while each %h; my ($k) = each %h; $n } }],
        a_position    => [do { my $text = 'abc'; sub { $text =~ /(.)/g; $1 } }],
    );
    for my $name (sort keys %code) {
        my ($code, @arguments) = @{ $code{$name} };
        my @got = map { scalar $client->queue($code, \@arguments) } 1 .. 3;
        # kind: state in code | flip-flop, `m?x?`, `glob`, `each`, `pos`, `state` | right | code starts afresh at
        #    every call
        is_deeply \@got, [($got[0]) x 3], "$name gives $got[0] at each call";
    }
}

done_testing;
