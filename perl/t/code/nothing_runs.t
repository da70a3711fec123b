# Nothing of the caller's program runs because something is shipped: a script full of statements between its subs ships all of
# them, again and again, and counts what runs meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;

my $folder = File::Temp->newdir;

# What a script prints that ships the subs of @main::SUBS, ten times each, by value and inside data. ran() counts.
sub shipped {
    my ($name, $script, @includes) = @_;
    my $file = "$folder/$name.pl";
    open my $out, '>:encoding(UTF-8)', $file or die "cannot write $file: $!";
    print {$out} <<'HEAD', $script, <<'TAIL';
use strict;
our ($RAN, @WHAT, @SUBS, $IS_SHIPPING) = (0);
sub ran { $RAN++; push @WHAT, (caller)[2] if $IS_SHIPPING; return 1 }
BEGIN { *CORE::GLOBAL::exit = sub { ran() } }
use Argon::Code; use Argon::Data;
sub ship_all {
    my ($before, $count) = ($RAN, 0);
    my $give = \&Argon::Code::Write::SourceFromFile::give;
    my $found = 0;
    no warnings 'redefine';
    local *Argon::Code::Write::SourceFromFile::give = sub { my $is_found = $give->(@_); $found++ if $is_found; $is_found };
    local $@ = 'as it was';
    $IS_SHIPPING = 1;
    for (1, 2) {
        for my $code (@SUBS) {
            local $@ = $@; eval { Argon::Code::ship($code, by_name => 0); $count++; 1 } or print "refused: $@";
            eval { Argon::Data::encode([ { code => $code } ]); 1 } or print "refused: $@";
        }
    }
    $IS_SHIPPING = 0;
    printf "shipped %d subs, %d from the file, ran %d%s, error %s\n", $count, $found, $RAN - $before, @WHAT ? " (line @WHAT)" : '', $@;
}
END { print "ended normally\n" }
HEAD
ship_all();
TAIL
    close $out or die "cannot write $file: $!";
    return scalar qx($^X -I$FindBin::Bin/../../lib $file 2>&1);
}

# Nothing ran; the subs that are refused are so in words. Gives what was printed.
sub runs_nothing {
    my ($name, $script) = @_;
    my $printed = shipped($name, $script);
    # kind: code of the caller runs | scripts with statements between and behind their subs, `BEGIN` blocks, attributes, ties,
    #    overloading, source filters, files that change | right | a counter in the script stays at 0
    like $printed, qr/^shipped \d+ subs, \d+ from the file, ran 0, error as it was\nended normally\n\z/m, "nothing runs: @{[ $name =~ s/_/ /gr ]}";
    my @odd = grep { !/\Arefused: This (?:code|value) cannot travel|\Ashipped |\Aended / } split /^/m, $printed;
    is "@odd", q{}, '    and nothing else was said';
    return $printed;
}

# What perl does not give back from compiled code (it orders the characters of tr otherwise), so that each sub is looked for in
# the file, with braces that are none.
my $HARD = <<'HARD';
my $text = join "", sort @_; $text =~ tr/A-Z}{-/a-z{}_/; my $n = () = $text =~ m/[}{]/g; my $open = '{' . "}"; # }
HARD

my $body = <<'SCRIPT';
ran() for 1 .. 3;
{ package App; main::ran(); sub new { return bless { n => 3 }, shift } sub work { return $_[0]{n} * $_[1] }
  sub name { HARD return __PACKAGE__ } main::ran(); sub again { HARD main::ran() } }
for my $method ('new') { ran(); my $app = App->$method; push @SUBS, sub { HARD $app->work(1) }; ran() }
push @SUBS, \&App::new, \&App::work, \&App::name, \&App::again; ran(); { ran(); { ran() } }
ran() unless $RAN;
push @SUBS, map { my $i = $_; sub { HARD "}" . $i } } 1 .. 2; { ran() } ran();
push @SUBS, sub { HARD return <<"END" } if ran(); { ran() }
} @{[ scalar @_ ]} { ran() }
END
ran(); if ($RAN) { ran(); push @SUBS, sub { HARD qr/\{x\}/ } }
SCRIPT

my $more = <<'MORE';
ran(); my $brace = '}' . "{" . q({) . ran(); # } sub { ran() }
push @SUBS, sub { HARD $brace =~ /}\{/ ? '}' : "{" }; ran(); { ran() }

=pod

sub { ran() } } } }

=cut

sub helper_NUMBER { HARD return helper_of_all($brace) } ran();
sub helper_of_all { ran() } ran() while $RAN < 0; BEGIN { ran() } ran();
push @SUBS, \&helper_NUMBER, do { ran(); my $inner = sub { ran(); sub { HARD @_ } }; $inner->() };
{ package Nested_NUMBER; main::ran(); { package Nested_NUMBER::Deep; main::ran(); sub deep { HARD return __PACKAGE__ } } main::ran() }
push @SUBS, \&Nested_NUMBER::Deep::deep; for (1 .. 2) { ran() } ran() and do { ran() };
push @SUBS, sub { HARD s/x/ran()/e, s{y}{ "x" }e for @_ }; sub { ran() }->(); { no strict 'refs'; ran() }
my %table = (one => sub { HARD 1 }, two => ran(), three => sub { HARD { ran() } }); push @SUBS, @table{qw(one three)}; ran();
MORE

my $long = runs_nothing(a_script_of_two_hundred_lines => join q{}, map {s/\bHARD\b/$HARD/gr} $body,
    map { my $n = $_; "{\n" . $more =~ s/NUMBER/$n/gr =~ s/helper_of_all/helper_of_all$n/gr . "}\n" } 1 .. 8);
like $long, qr/\Ashipped 130 subs, [1-9]\d\d from the file/, 'all of its subs travel, most by the text of the file';

my %script = (
    # the one that was reported
    a_loop_behind_the_class => <<'SCRIPT',
use Argon::Client; my $client = Argon::Client->new(host => '127.0.0.1', port => 1, key => 'argon-client-' . 'a' x 32);
my $n = 0;
{ package App; sub new {bless {n=>3},shift} sub work {$_[0]{n}*$_[1]} sub run { my ($s,@l)=@_; map { $_->() } map { my $i=$_; $client->defer(sub { $s->work($i) }) } @l } sub name { push @main::SUBS, sub { __PACKAGE__ } } }
for my $m ('name') { ran(); die "again" if $n++; App->$m; push @SUBS, \&App::name, \&App::run }
SCRIPT
    a_sub_that_no_text_gives => <<"SCRIPT",
use constant CHANGED => 1; my \$shared = 1;
{ package App; sub odd { $HARD return main::CHANGED + \$shared } }
for my \$m ('odd') { ran(); if (1) { push \@SUBS, \\&App::odd } ran() }
push \@SUBS, sub { $HARD CHANGED } for 1; { ran(); { ran() } ran() }
sub named { $HARD CHANGED } { ran(); { ran() } } push \@SUBS, \\&named; { { ran() } ran() }
{ no warnings; *CHANGED = sub () { 2 } }
SCRIPT
    blocks_that_run_while_perl_compiles => <<"SCRIPT",
sub with_begin { BEGIN { ran() } $HARD 1 } sub with_use { use integer; BEGIN { ran() } $HARD 1 } push \@SUBS, \\&with_begin, \\&with_use;
push \@SUBS, sub { $HARD 1 }; BEGIN { ran() } use if ran(), 'integer'; sub BEGIN { ran() } END { ran() if \$IS_SHIPPING }
push \@SUBS, sub { $HARD 1 };sub BEGIN{ ran() } sub { 2 };
push \@SUBS, sub { $HARD "\@{[ do { BEGIN { ran() } 1 } ]}" }; INIT { ran() } CHECK { ran() } UNITCHECK { ran() }
sub with_named { $HARD sub inner { 1 } inner() } push \@SUBS, \\&with_named;
SCRIPT
    attributes => <<"SCRIPT",
sub MODIFY_CODE_ATTRIBUTES { ran(); return } sub MODIFY_SCALAR_ATTRIBUTES { ran(); return }
sub handler :Handler { $HARD 1 } push \@SUBS, \\&handler, sub :Other { $HARD 2 }, sub :lvalue { $HARD \$text }, sub { my \$x :Shared; $HARD 1 };
SCRIPT
    what_is_tied => <<'SCRIPT',
use feature 'state';
{ package Tie; sub TIESCALAR { bless [] } sub TIEARRAY { bless [] } sub TIEHASH { bless [] } sub TIEHANDLE { bless [] }
  our $AUTOLOAD; sub AUTOLOAD { main::ran() unless $AUTOLOAD =~ /DESTROY|UNTIE/; 0 } }
tie my $scalar, 'Tie'; tie my @array, 'Tie'; tie my %hash, 'Tie'; tie our $global, 'Tie'; tie our @global, 'Tie'; tie our %global, 'Tie'; tie *HANDLE, 'Tie';
my %holds = (in => [ \$scalar, \@array, \%hash ]);
push @SUBS, sub { $scalar }, sub { @array }, sub { %hash }, sub { $global . "@global" . keys %global }, sub { no strict 'refs'; ${"main::global"} . @{"main::global"} }, sub { print HANDLE 1 }, sub { $holds{in} },
    sub { state $x; tie $x, 'Tie' }, sub { state @x; tie @x, 'Tie' }; eval { $SUBS[-1]->() }; eval { $SUBS[-2]->() };
SCRIPT
    what_is_overloaded => <<'SCRIPT',
{ package Over; use overload nomethod => sub { main::ran(); 1 }, map({ my $o = $_; ($o => sub { main::ran(); return $_[0] }) } qw(bool "" 0+ == eq != ne + . <=> cmp neg !)), fallback => 0;
  sub new { bless {}, shift } sub can { main::ran(); shift->SUPER::can(@_) } sub isa { main::ran(); shift->SUPER::isa(@_) } sub DOES { main::ran(); 1 } our $AUTOLOAD; sub AUTOLOAD { main::ran() unless $AUTOLOAD =~ /DESTROY/ } sub DESTROY { main::ran() if $IS_SHIPPING } }
my ($object, @list) = (Over->new, Over->new, [ Over->new ]); our $global = Over->new; my $code = bless sub { 1 }, 'Over';
push @SUBS, sub { $object }, sub { @list }, sub { $global }, sub { $code }, $code, sub { $object ? $list[0] : Over->new }, sub { use feature 'state'; state $n = 0; $object };
SCRIPT
    handlers => <<'SCRIPT',
$SIG{__DIE__} = $SIG{__WARN__} = sub { ran() if $IS_SHIPPING && (ref $_[0] || $_[0] !~ m{\AThis code cannot travel}) };
open my $handle, '<', $0; use feature 'state'; my $used = sub { state $n = 0; $n++ }; $used->();
push @SUBS, sub { $handle }, $used, sub { "a" + 1; sub { undef . 1 } }, sub { print "x" + 1 };
SCRIPT
    code_in_patterns => <<"SCRIPT",
sub IsOdd { ran(); return "41\\n" } my \$pattern = qr/x(?{ ran() })/;
push \@SUBS, sub { \$_[0] =~ /\\p{IsOdd}/ }, sub { \$_[0] =~ /x(?{ ran() })(??{ ran() })/ }, sub { \$_[0] =~ \$pattern }, sub { use re 'eval'; \$_[0] =~ /\$_[1]/ }, sub { $HARD s/x/ran()/ee };
'A' =~ /\\p{IsOdd}/;
SCRIPT
    a_filtered_file => <<"SCRIPT",
{ package Turned; use Filter::Util::Call; sub import { filter_add(sub { my \$n = filter_read(); s/QUIET/1/; \$n }) } BEGIN { \$INC{'Turned.pm'} = 1 } }
use Turned;
push \@SUBS, sub { $HARD QUIET }; ran();
push \@SUBS, sub { $HARD 2 }; ran();
SCRIPT
    code_as_text => <<'SCRIPT',
push @SUBS, Argon::Code->from_source('ran(); sub { ran() }') if eval { Argon::Code->from_source('main::ran(); sub { 1 }'); 1 }; @SUBS = ();
my $before = $RAN; Argon::Code->from_source('main::ran(); sub { 1 }'); $RAN == $before or print "from_source ran\n";
SCRIPT
    a_file_changed_meanwhile => <<"SCRIPT",
push \@SUBS, sub { $HARD 1 };
ran();
{ open my \$out, '>>', \$0 or die; open my \$in, '<', \$0; my \$text = join '', <\$in>; \$text =~ s/1 \\};\\nran/1 } if ran(); { ran() } ran(); BEGIN { ran() } sub {\\nran/; open \$out, '>', \$0; print {\$out} \$text; close \$out }
SCRIPT
    (eval { require Moo; 1 } ? (classes_that_a_module_makes => <<'SCRIPT') : ()),
{ package Quiet::Pet { use Moo; has name => (is => 'ro', default => sub { main::ran() if 0; 'n' }); sub said { 1 } } }
{ package Loud::Pet { use Moo; has name => (is => 'ro'); print "here\n" if $main::IS_SHIPPING; open my $out, '>', "$0.made"; sub said { 1 } } }
unlink "$0.made"; push @SUBS, sub { Quiet::Pet->new->said }, sub { Loud::Pet->new->said };
END { print "it was declared\n" if -e "$0.made" }
SCRIPT
);
runs_nothing($_, $script{$_}) for sort keys %script;

done_testing;
