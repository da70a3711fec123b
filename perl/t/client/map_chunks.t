use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;
use Time::HiRes ();

my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);
my %CHUNKS  = (chunk => 10);

# Number of tasks that a map makes.
sub tasks {
    my ($items, $options) = @_;
    my %tasks = map { $_ => 1 } $client->map(sub { $ENV{ARGON_TASK_ID} }, $items, $options);
    return scalar keys %tasks;
}

# a_chunk_is_one_task
is tasks([1 .. 25], {%CHUNKS}), 3, 'ten items are one task, and the rest is one';
is tasks([1 .. 5]), 5, 'without the option each item is a task';
is_deeply [$client->map(sub { $_ ** 2 }, [1 .. 25], {%CHUNKS})], [map { $_**2 } 1 .. 25], 'the results are those of the items, in order';

# values_are_those_of_tasks_of_one_item
{
    my $factor = 3;
    my @cases = (
        [sub { ($_) x ($_ % 3) },                   'lists of any length'],
        [sub { [$_, { of => $_ }] },                'references'],
        [sub { $_ % 2 ? undef : q{} },              'undef and nothing'],
        [sub { $factor++ . " $_[0] $_" },           'a captured variable that it changes'],
        [sub { wantarray ? 'list' : 'scalar' },     'the context'],
        [sub { $_ .= '!'; $_ },                     'an item that it changes'],
        [sub { local $, = q{-}; $/ = 'x'; "$/" },   'variables of perl'],
        [sub { my $old = $ENV{A_NAME} // 'none'; $ENV{A_NAME} = $_; $old }, 'the environment'],
        [sub { chdir '/' if $_ == 3; -e 'bin' ? 'root' : 'own' }, 'the folder'],
        [sub { join q{ }, (caller 0)[3] // 'none', (caller 1)[3] // 'none' }, 'the stack'],
    );
    for my $case (@cases) {
        my ($code, $name) = @{$case};
        my @apart = $client->map($code, [1 .. 12]);
        is_deeply [$client->map($code, [1 .. 12], {%CHUNKS})], \@apart, $name;
        my @apart_scalar = $client->map($code, [1 .. 12], { context => 'scalar' });
        is_deeply [$client->map($code, [1 .. 12], { %CHUNKS, context => 'scalar' })], \@apart_scalar, "$name (scalar)";
    }
}

# errors_are_those_of_tasks_of_one_item
{
    my @cases = (
        [sub { die "no $_\n" if $_ == 7; $_ },                 'a string'],
        [sub { my $x = 100 / ($_ - 7); $_ },                   'of perl'],
        [sub { die { item => $_ } if $_ == 7; $_ },            'a reference'],
        [sub { no warnings 'exiting'; last if $_ == 7; $_ },                          'a sub that is left'],
        [sub { return $_ == 7 ? \*STDOUT : $_ },               'a value that cannot travel'],
        [sub { $_ == 7 ? kill(9, $$) : $_ },                   'a process that dies'],
    );
    for my $case (@cases) {
        my ($code, $name) = @{$case};
        my (@seen, @errors);
        for my $options ({}, {%CHUNKS}) {
            my $seen = [];
            eval { $client->map($code, [1 .. 12], { %{$options}, on_result => sub { push @{$seen}, "@_" } }); 1 };
            my $error = ref $@ && eval { $@->isa('Argon::Error') } ? $@->kind : $@;
            push @seen,   $seen;
            push @errors, $error;
        }
        ok ref $errors[0] || length $errors[0], "$name: an error";
        is_deeply $errors[1], $errors[0], '... that is the same';
        is_deeply $seen[1], $seen[0], '... and so are the results before it';
    }
}

# an_item_that_cannot_travel_is_refused_in_words
{
    my @errors = map { my $options = $_; eval { $client->map(sub { $_ }, [1 .. 3, \*STDOUT], $options); 1 } ? 'none' : $@ } {}, {%CHUNKS};
    like $errors[1], qr/cannot travel/, 'an item that cannot travel is an error';
    is $errors[1] =~ s/ at .*//sr, $errors[0] =~ s/ at .*//sr, '... as in a task of its own';
}

# output_comes_in_the_order_of_the_items
{
    my $text = q{};
    {
        local *STDOUT;
        open STDOUT, '>', \$text or die $!;
        $client->map(sub { print "at $_\n" }, [1 .. 5], {%CHUNKS});
    }
    is $text, join(q{}, map {"at $_\n"} 1 .. 5), 'what items print comes in their order';
}

# as_completed_each_item_has_its_index
{
    my %seen;
    my $count = $client->map(sub { -$_ }, [1 .. 95], { %CHUNKS, order => 'completed', on_result => sub { $seen{ $_[0] } = $_[1] } });
    is $count, 95, 'each result comes once';
    is_deeply \%seen, { map { $_ - 1 => -$_ } 1 .. 95 }, '... with the index of its item';
    my $next = 0;
    is_deeply [sort { $a <=> $b } $client->map(sub { $_ }, sub { $next++ < 33 ? $next : () }, { %CHUNKS, order => 'completed' })], [1 .. 33], 'an iterator too';
}

# by_itself_only_tiny_items_travel_together
{
    is_deeply [$client->map(sub { $_ + 1 }, [1 .. 20_000], { chunk => 'auto' })], [2 .. 20_001], 'tiny items give their results in order';
    cmp_ok tasks([1 .. 20_000], { chunk => 'auto' }), '<', 15_000, '... and many of them travel together';
    my %tasks = map { $_ => 1 } $client->map(sub { select undef, undef, undef, 0.05; $ENV{ARGON_TASK_ID} }, [1 .. 20], { chunk => 'auto', ahead => 4 });
    is keys %tasks, 20, 'items that take long are a task each';
}

# no_item_begins_behind_a_slow_one
{
    my $code = sub { select undef, undef, undef, 0.05 if $_ > 3_000; return $_ > 3_000 ? $ENV{ARGON_TASK_ID} : $_ };
    my @values = $client->map($code, [1 .. 3_020], { chunk => 'auto' });
    is_deeply [splice @values, 0, 3_000], [1 .. 3_000], 'slow items behind tiny ones change no result';
    my %tasks = map { $_ => 1 } @values;
    is keys %tasks, 20, '... and each of them ends its task';
}

# leaving_it_ends_its_tasks
{
    my $error = eval {
        local $SIG{ALRM} = sub { die "enough\n" };
        alarm 1;
        $client->map(sub { select undef, undef, undef, 600 if $_ > 500; $_ }, [1 .. 1_000], { chunk => 'auto' });
        1;
    } ? 'none' : $@;
    is $error, "enough\n", 'an exception leaves the map';
    is $client->queue(sub {5}), 5, '... and its tasks hold no slot';
}

# options_about_one_item_exclude_chunks
for my $option (qw(never_twice retries timeout label memory capture stack)) {
    ok !eval { $client->map(sub { $_ }, [1], { %CHUNKS, $option => 1 }); 1 }, "chunk with $option is refused";
    like $@, qr/\AArgon::Client: chunk makes one task of several items, and $option is about one item/, '... in words';
}
{
    is tasks([1 .. 300], { chunk => 'auto', label => 'one' }), 300, 'chunks that are found make way for such an option';
    ok !eval { $client->map('Some::Class', [1], {%CHUNKS}); 1 }, 'a class in chunks is refused';
    like $@, qr/it needs a code reference/, '... in words';
    ok !eval { $client->map(sub { $_ }, [1], { chunk => 0 }); 1 }, 'chunks of nothing are refused';
    like $@, qr/chunk must be a whole number from 1 on, or 'auto', not '0'/, '... in words';
}

done_testing;
