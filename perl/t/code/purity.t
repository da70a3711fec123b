# Of which code it is proven that it leaves nothing behind where it runs, and of which it is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use List::Util qw(sum);
use Test::More;
use Argon::Code;

our ($setting, @log, %seen) = (5);
our $factor = 3;

sub helper    { return $_[0] + $setting }
sub factorial { my ($n) = @_; return $n < 2 ? 1 : $n * factorial($n - 1) }
sub evil      { $ENV{LEFT} = 1; return 1 }
sub calls_evil { return evil() }
use constant { PI => 3.14, THE_ENVIRONMENT => \%ENV };

sub is_contained {
    my ($code) = @_;
    return Argon::Code::ship($code)->{text} =~ /\A[^\n]*; it leaves nothing behind\n/ ? 1 : 0;
}

# Each is compiled by itself, with these around it.
sub compiled {
    my ($source) = @_;
    my ($number, %table, @list) = (2, a => 1);
    my $code = eval "no warnings; $source" or die "$source: $@";
    return $code;
}

my @CONTAINED = (
    'sub { return }',
    'sub { my ($x) = @_; return $x * 2 }',
    'sub { $_[0] + $number }',
    'sub { my $sum = 0; $sum += $_ * $number for @_; return $sum + $table{a} }',
    'sub { for my $i (1 .. 10) { next if $i % 2; last if $i > 6 } my $n = shift; while ($n > 3) { $n-- } $n }',
    'sub { join ",", map { uc } sort { $a cmp $b } grep { length } split / /, $_[0] }',
    'sub { my @sorted = sort { $a->[0] <=> $b->[0] } @_; $sorted[-1] }',
    'sub { my %count; $count{$_}++ for @_; [map { "$_=$count{$_}" } sort keys %count] }',
    'sub { my ($order) = @_; $order->{lines}{first}[2] .= "x"; @{ $order->{list} } = (1, 2); return $order }',
    'sub { my $text = $_[0]; $text =~ s/(\w+)/ucfirst $1/ge; $text =~ tr/a-z//d; return "$1 $text" }',
    'sub { my $add = sub { $_[0] + 1 }; $add->(3) }',
    'sub { push @log, 3; $seen{x} = 1; $setting = @log }',
    'sub { helper($_[0]) * PI }',
    'sub { my $call = \&factorial; factorial(5) + $call->(4) + &helper }',
    'sub { my $r = eval { die { code => 3 }; 1 }; $r || $@ }',
    'sub { &{ $_[0] }() }', 'sub { $_[0]->(@_) }', 'sub { $_[0][1]{x} }',    # dies of anything but what travels along
    'sub { my @l = (1 .. $_[0]); for my $i (2 .. $_[1]) { push @l, $i } \@l }', 'sub { my $n = 0; $n++ while $_[0] =~ /x/g; $n }', 'sub { my $x = shift; undef $x; undef $table{a}; $x }', 'sub { my ($x) = @_ or return; if ($x) { my $y = 1; $x += $y } $x }',
    'sub { die "no\n" if !@_; sprintf "%03d %s", $_[0], scalar localtime 0 }',
);

my @NOT_CONTAINED = (
    'sub { $ENV{LEFT} = 1 }', 'sub { delete $ENV{PATH} }', 'sub { @ENV{qw(a b)} = 1 }', 'sub { %ENV = () }', 'sub { local $ENV{X} = 1 }',
    'sub { $SIG{ALRM} = "IGNORE" }', 'sub { alarm 3 }', 'sub { umask 0 }', 'sub { chdir "/" }', 'sub { unshift @INC, "x" }',
    'sub { $0 = "x" }', 'sub { $/ = 1 }', 'sub { local $/; 1 }', 'sub { $| = 1 }', 'sub { $; = 1 }', 'sub { $, = 1 }', 'sub { srand 3 }', 'sub { rand }',
    'sub { print 1 }', 'sub { warn 1 }', 'sub { close STDOUT }', 'sub { select STDERR }', 'sub { binmode STDOUT, ":utf8" }',
    'sub { open my $file, "<", "/x" }', 'sub { *STDOUT = *STDERR }', 'sub { \*STDOUT }', 'sub { *_ = \%ENV; $_{LEFT} = 1 }', 'sub { <STDIN> }',
    'sub { system "true" }', 'sub { exec "true" }', 'sub { fork }', 'sub { exit }', 'sub { kill 9, 0 }', 'sub { sleep 1 }', 'sub { `true` }',
    'sub { evil() }', 'sub { calls_evil() }', 'sub { my $call = \&evil; $call->() }', 'sub { goto &evil }', 'sub { sum @_ }', 'no strict; sub { &{"evil"}() }',
    'sub { sort evil @_ }', 'sub { my $by = "evil"; sort $by @_ }', 'sub { sort { evil() } @_ }', 'sub { map { evil() } @_ }', 'sub { sub { evil() } }',
    'sub { my $call = \&{ $_[0] }; $call->() }', 'sub { defined &{ $_[0] } }',
    'no strict; sub { ${"main::ENV"} = 1 }', 'no strict; sub { $_[0]->() }', 'no strict; sub { @{ $_[0] } = 1 }', 'no strict; sub { %{ $_[0] } = () }',
    'no strict; sub { $_[0]{x} = 1 }', 'no strict; sub { $_[0]{x}{y} = 1 }', 'no strict; sub { my ($r) = @_; $r->[0] = 1 }', 'no strict; sub { &{ $_[0] } }',
    'sub { $_[0]->method }', 'sub { Some::Class->new }', 'sub { bless {} }', 'sub { tie my $x, "X" }', 'sub { my $m = "evil"; main->$m }',
    'sub { eval "1" }', 'sub { require Some::Module }', 'sub { do "file" }', 'sub { THE_ENVIRONMENT->{LEFT} = 1 }', 'sub { $main::{x} }',
    'sub { $_[0] =~ /$_[1]/ }', 'sub { split $_[0], $_[1] }', 'sub { $_[0] =~ /(?{ evil() })/ }', 'sub { $_[0] =~ /\p{IsEvil}/ }', 'sub { qr/x/ }',
    # what keeps something in its operations
    'sub { join "", grep { $_ eq "B" .. $_ eq "E" } @{ $_[0] } }', 'sub { $_[0] ... $_[1] }', 'sub { if (1 .. $_[0]) { 1 } }', 'sub { map { ($_ == 2) .. ($_ == 3) ? 1 : 0 } @_ }', 'sub { return $_[0] .. $_[1] }',
    'sub { "abc" =~ /./g }', 'sub { $_[0] =~ m?x? }', 'sub { $_[0] =~ s?x?y? && m?y? }', 'sub { my $x = 3 if $_[0]; ++$x }', 'sub { my @x if $_[0]; push @x, 1; scalar @x }', 'sub { $_[0] and my $x = 3; ++$x }', 'use feature "state"; sub { state $x = 0; ++$x }',
    'sub { scalar glob "*" }', 'sub { while (my $f = <*>) { return $f } }', 'sub { reset }', 'sub { undef &helper }', 'sub { study }', 'sub { sub { 1 .. $_[0] } }',
    'sub { $_[0] =~ s/x/evil()/e }', 'sub { $_[0] =~ s/x/"evil()"/ee }', 'sub { @ARGV = split / /, $_[0] }', 'sub { $List::Util::x = 1 }',
);

is is_contained(compiled($_)), 1, "contained: $_" for @CONTAINED;
is is_contained(compiled($_)), 0, "not contained: $_" for @NOT_CONTAINED;

# what_is_redefined_is_judged_anew
{
    my $code = compiled('sub { changing() }');
    no warnings 'redefine';
    eval 'sub changing { 1 } 1' or die;
    is is_contained($code), 1, 'a helper that is contained';
    eval 'sub changing { chdir "/" } 1' or die;
    is is_contained($code), 0, 'and is no longer when it was defined again';
}

is is_contained(Argon::Code::from_source('sub { 1 }')), 0, 'of code that is only text nothing is proven';

done_testing;
