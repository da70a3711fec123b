# Evaluates the expressions of its arguments for the inputs that come on standard input, and answers on standard output.
# A message is a number of texts and the texts, each with its length: expression, number, slot, total, value, columns.
# An answer is one letter and a text: = value, u value that is code, s left out, ! error.
## no critic (RequireUseStrict, ProhibitStringyEval): the expressions are of people who write them as for perl -e
package main;
our (@arg, $seq, $slot, $total, $most, $skip, $code);
our $job = bless {}, 'Argon::Job';
open my $answers, '>&', \*STDOUT or die;
open STDOUT, '>&', \*STDERR or die;
binmode STDIN;
binmode $answers;
sub seq { $seq }
sub slot { $slot }
sub total_jobs { $total }
sub most_slots { $most = $slot if $slot > ($most || 0); $most }
sub skip { $skip = 1; '' }
sub uq { $code = 1; '' }
sub uniq { my %seen; grep { !$seen{$_}++ } @_ }
sub Argon::Job::seq { $seq }
sub Argon::Job::slot { $slot }
sub Argon::Job::skip { $skip = 1; '' }
sub Argon::Job::total_jobs { $total }
sub answer { syswrite $answers, pack('a1N/a*', @_) or exit }
sub take {
    my ($left, $all) = (shift, '');
    while ($left > 0) {
        my $count = read STDIN, $all, $left, length $all or exit;
        $left -= $count;
    }
    $all;
}
my @code;
for my $text (@ARGV) {
    push @code, eval "sub { $text\n }";
    if ($@) { answer('!', "$text: $@"); exit }
}
answer('=', '');
while (1) {
    my @texts = map { take(unpack 'N', take(4)) } 1 .. unpack 'N', take(4);
    (my $at, $seq, $slot, $total, local $_) = splice @texts, 0, 5;
    @arg = (undef, @texts);
    ($skip, $code) = (0, 0);
    my $is_done = eval { $code[$at]->(); 1 };
    answer(!$is_done ? ('!', $@) : $skip ? ('s', '') : ($code ? 'u' : '=', $_));
}
