# Every case of code that travels gives there what it gives here, or is refused
# before it is sent. A wrong value is the one result that is never allowed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use CodeCases;
use CodeCasesRun;

# The cases that cannot be right: what is refused must stay refused, and no more.
my %refused = map { $_ => 1 } qw(
    state_preincremented data_handle closed_over_fh
    tied_captured
    state_used_in_helper state_in_a_recursive_closure
    format_write tied_scalar_captured
    moo_class_that_has_counted moo_class_changed_from_outside moo_class_around_a_variable moo_class_without_a_block
    object_pad_class_in_the_script
);

# What has a value of its own once it has run.
my %remembers = map { $_ => 1 } qw(state_in_helper vec_and_ranges);

my @runs = (
    [ 'cases.txt',        'as written',      '' ],
    [ 'more_cases.txt',   'as written',      '' ],
    [ 'more_cases.txt',   'strict',          'use strict; use warnings;' ],
    [ 'more_cases.txt',   'fatal warnings',  'use strict; use warnings FATAL => "all"; no warnings "once";' ],
    [ 'more_cases.txt',   'integer',         'use v5.16; use integer;' ],
    ( $] >= 5.036 ? [ 'more_cases.txt', 'perl 5.36', 'use v5.36; no feature "signatures";' ] : () ),
    [ 'more_cases.txt',   'after a run here', 'use strict; use warnings;' ],
    [ 'module_cases.txt', 'strict',          'use strict; use warnings;' ],
);

for my $module (modules_of_ci()) {
    ok(eval "require $module; 1", "the module $module of non_core_modules.txt is installed") or diag $@;
}

for my $run (@runs) {
    my ($file, $name, $prefix) = @$run;
    my @cases = CodeCases::read_cases("$FindBin::Bin/$file");
    my %count;
    local $ENV{ARGON_CASES_RAN} = $name eq 'after a run here';
    for my $judged (CodeCasesRun::judge(\@cases, $prefix)) {
        my ($verdict, $case) = ($judged->{verdict}, $judged->{case}{name});
        $count{$verdict}++;
        # An older perl does not know the syntax of some cases.
        next if $verdict eq 'broken case' && $] < 5.036 && $judged->{expected} =~ /\Adoes not compile/;
        # Before 5.36 a number that was printed cannot be told from a string that was used as a number.
        next if $verdict eq 'loud' && $] < 5.036 && $judged->{got} =~ /string ".*" became .* (?:integer|float) /;
        my $is_allowed = $verdict eq 'right' || $verdict eq 'loud' && ($refused{$case} || $remembers{$case} && $name eq 'after a run here');
        ok($is_allowed, "$file, $name: $case is $verdict")
            or diag "expected: $judged->{expected}\ngot:      $judged->{got}";
        like($judged->{got}, qr/\Arefused This (?:code|value) cannot travel.* at \S*CodeCases\.pm line \d+\.\n\z/s,
            "$file, $name: $case is refused in words at the caller's line") if $verdict eq 'loud';
    }
    note join ', ', "$file, $name:", map {"$count{$_} $_"} sort keys %count;
}

done_testing;

sub modules_of_ci {
    open my $in, '<', "$FindBin::Bin/non_core_modules.txt" or die "cannot read the list of modules: $!";
    return map { /\A(\w[\w:]*)/ ? $1 : () } <$in>;
}
