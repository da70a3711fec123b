package Argon::Code::Write::Deparse;

# B::Deparse, taught what it gets wrong for code that must run elsewhere:
# signatures, pragmas written portably, constants that are references or have two
# faces (a number and a string at once), numbers to the last bit.
#
# Only writes text. Verification decides whether the text means the same.

use strict;
use warnings;

use B ();
use B::Deparse ();
use Argon::Code::Write::DeparseTerms ();
use Argon::Code::Analyse::FoldedLists ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Pragma ();
use Argon::Code::Analyse::PerlVersion ();

our @ISA = ('Argon::Code::Write::DeparseTerms');

use constant LONG_BYTES => 65_536;

my ($plain_join, $pattern_join) = (\&B::Deparse::dq_disambiguate, \&B::Deparse::re_dq_disambiguate);

# Text of one sub, without the word "sub"; with the pragma state it starts from and
# the constants (B objects) which stand in it as $argon_constant_N->().
sub text_of {
    my ($class, $cv, $constants, $force_capture) = @_;
    my $self  = $class->new('-l', '-si0');
    my $start = Argon::Code::Analyse::Optree::first_statement($cv);
    $self->{argon_constants} = $constants;
    $self->{ex_const} = '0';     # what stands for a constant that perl folded away; of this one it never warns
    $self->init;
    my $state;
    if ($start) {
        $state = Argon::Code::Analyse::Pragma::of($start);
        $self->_adopt($start, $state);
    }
    # Package of the sub; its first statement may be in another package already.
    $self->{curstash} = $cv->STASH->isa('B::HV') ? $cv->STASH->NAME : $start ? $start->stashpv : 'main';
    my $package = $self->{curstash};
    local $self->{in_coderef2text} = 1;
    no warnings 'redefine';
    local *B::Deparse::dq_disambiguate    = sub { $plain_join->(_ended(@_), $_[1]) };
    local *B::Deparse::re_dq_disambiguate = sub { $pattern_join->(_ended(@_), $_[1]) };
    my $body = $self->deparse_sub($cv);
    if ($force_capture && @$force_capture) {
        my $mention = 'if (0) { (' . join(', ', @$force_capture) . ') }';
        $body =~ s/\{\n\t/{\n\t$mention\n/ or die "has no statements";
    }
    return ($self->indent(_lines_after_blocks($body)), $state, $package);
}

# The parent class ends every sub with the line of its glob, which for anonymous subs
# is a number out of nowhere.
sub deparse_sub {
    my ($self, $cv) = @_;
    my $text = $self->SUPER::deparse_sub($cv);
    $text =~ s/\f#line \d+ "[^"\n]*"\n\x08\}\n\z/\x08}\n/;
    # The signature of an inner sub stands on the line of its own first statement.
    my $start = ${ $cv->ROOT } ? Argon::Code::Analyse::Optree::first_statement($cv) : undef;
    $text = "\n\f\f#line " . $start->line . ' "' . $start->file . qq{"\n$text\x10} if $start;
    return $text;
}

# The parent class writes eval { do { ... } }, which is one block more than there was.
sub pp_leavetry {
    my ($self, $op) = @_;
    return "eval {\n\t" . $self->pp_leave($op, 0) . "\n\b}";
}

# A package variable is always written with its package: an "our" that was in scope
# where the sub stood is not there where the text is compiled.
sub maybe_qualify {
    my ($self, $prefix, $name) = @_;
    my $text = $self->SUPER::maybe_qualify($prefix, $name);
    return $text if $text =~ /::/ || $prefix !~ /\A(?:[\$\@%]|\$#)\z/ || $name !~ /\A[A-Za-z_]\w+\z|\A[A-Zc-z]\z/;
    return $text if $name =~ /\A(?:ENV|ARGV|INC|STDIN|STDOUT|STDERR|ARGVOUT|SIG)\z/;
    return "$self->{curstash}::$name";
}

# Lines in a code block of a pattern would be counted as part of the pattern.
sub code_list {
    my ($self, @rest) = @_;
    local $self->{linenums} = 0;
    return $self->SUPER::code_list(@rest);
}

# "for (LIST)" and "for $_ (LIST)" are not compiled alike.
sub pp_leaveloop {
    my ($self, $op, @rest) = @_;
    my $text  = $self->SUPER::pp_leaveloop($op, @rest);
    my $enter = $op->first;
    # A block stands on the line of its first token, and its pragmas are written below.
    $text =~ s/\A\{\n\t/{;\n\t/ if $enter->name eq 'enterloop';
    $text =~ s/\bforeach \$_ \(/foreach (/ if $enter->name eq 'enteriter' && $enter->private & B::OPpITER_DEF();
    return $text;
}

# The body of a loop whose condition declares a variable is a block of its own among the loop's statements; the parent
# class takes it for an expression and writes "do {...}".
sub pp_leave {
    my ($self, $op, $cx) = @_;
    my $next = $op->sibling;
    return $self->SUPER::pp_leave($op, $cx) if !$cx || !$$next || $next->name ne 'unstack';
    my $text = $self->SUPER::pp_leave($op, 0);
    $text =~ s/;\z//;
    return $text;
}

# "unless ... else" is compiled to the branches of "if ... else" in the other order. They differ: the block after
# "else" always has a scope of its own, the first one only if it declares something; and only a last branch is a chain.
sub pp_rv2av {
    my ($self, $op, $cx) = @_;
    my $kid  = $op->first;
    my @ends = $kid->name eq 'const' ? Argon::Code::Analyse::FoldedLists::range($self->const_sv($kid)) : ();
    return @ends ? $self->maybe_parens("$ends[0]..$ends[1]", $cx, 9) : $self->SUPER::pp_rv2av($op, $cx);
}

sub pp_cond_expr {
    my ($self, $op, $cx) = @_;
    my $condition = $op->first;
    my $true      = $condition->sibling;
    my $false     = $true->sibling;
    my $is_chain  = B::Deparse::is_ifelse_cont($true) && B::Deparse::is_scope($false);
    my $is_unless = defined $cx && $cx < 1 && ($is_chain || $true->name eq 'leave' && $false->name eq 'scope');
    _note_lines($self, $is_unless ? $true : $false);
    return _lines_of_elsif($self->SUPER::pp_cond_expr($op, $cx)) if !$is_unless;
    my $text = 'unless (' . $self->deparse($condition, 1) . ") {\n\t" . $self->deparse($false, 0) . "\n\b}";
    my $rest = $true;
    while ($$rest && B::Deparse::is_ifelse_cont($rest)) {
        my $test  = $rest->first->first;
        my $block = $test->sibling;
        $rest = $block->sibling;
        $test = $test->first->sibling if $test->name eq 'lineseq';    # the mark of its line
        $text .= "$self->{cuddle}elsif (" . $self->deparse($test, 1) . ") {\n\t" . $self->deparse($block, 0) . "\n\b}";
    }
    $text .= "$self->{cuddle}else {\n\t" . $self->deparse($rest, 0) . "\n\b}" if $$rest;
    return _lines_of_elsif("$text\cK");
}

# An elsif has a line of its own, which messages of its condition name; the parent class leaves it out. It is noted for the
# condition, written in front of that, and moved to where it counts.
sub _note_lines {
    my ($self, $rest) = @_;
    return if !$self->{linenums};
    while ($$rest && B::Deparse::is_ifelse_cont($rest)) {
        my $test = $rest->first->first;
        $rest = $test->sibling->sibling;
        next if $test->name ne 'lineseq' || !$test->first->can('line');
        my ($mark, $condition) = ($test->first, $test->first->sibling);
        $self->{argon_line_of}{$$condition} = "\x11" . $mark->line . ' "' . $mark->file . qq{"\n\x11};
    }
    return;
}

sub deparse {
    my ($self, $op, @rest) = @_;
    my $line = $self->{argon_line_of} ? delete $self->{argon_line_of}{$$op} // q{} : q{};
    return $line . $self->SUPER::deparse($op, @rest);
}

sub _lines_of_elsif { return $_[0] =~ s/\belsif \(\x11([^\x11]*)\x11/\n\f#line $1elsif (/gr }

# "X unless Y" is a statement; where the parent class takes a block of one expression
# for a statement it writes it inside %{...}, which does not parse. "Y or X" always does.
sub pp_and { return _logical('pp_and', @_) }
sub pp_or  { return _logical('pp_or',  @_) }

sub _logical {
    my ($method, $self, $op, $cx) = @_;
    $cx = 0 unless defined $cx;
    $cx = 1 if $cx < 1 && (!B::Deparse::is_scope($op->first->sibling) || $self->_declares_for_later($op->first, $op));
    $method = "SUPER::$method";
    return $self->$method($op, $cx);
}

# In a string the digits of "$1" must end where they end, and so must the name before a bracket.
sub _ended { return $_[1] =~ /\A[\d\[\{^]/ ? $_[0] =~ s/([\$\@])(\d+)\z/$1\{$2}/r : $_[0] }

# True if a variable declared in a condition is visible after the statement, as that of "open my $f, ... or do {...}" is and
# that of "unless (open my $f, ...) {...}" is not.
sub _declares_for_later {
    my ($self, $condition, $statement) = @_;
    # Perl wraps these operations in one that does nothing.
    my $outer = $statement->can('parent') ? $statement->parent : undef;
    my $next  = ($outer && $outer->name eq 'null' ? $outer : $statement)->sibling;
    $next = $next->sibling while $$next && !$next->isa('B::COP');
    return 0 unless $$next;
    my $is_seen = 0;
    Argon::Code::Analyse::Optree::walk($condition, sub {
        my ($op) = @_;
        return unless $op->name =~ /\Apad[sah]v\z/ && $op->private & B::OPpLVAL_INTRO() && $op->targ;
        my $name = Argon::Code::Analyse::Optree::pad_name($self->{curcv}, $op->targ);
        $is_seen = 1 if $name->can('COP_SEQ_RANGE_HIGH') && $name->COP_SEQ_RANGE_HIGH >= $next->cop_seq;
    });
    return $is_seen;
}

# A here-document is a chain of constants that stand side by side. Written as one
# string it would be compiled otherwise, so write the chain.
sub dquote {
    my ($self, $op, $cx) = @_;
    my $kid = $op->first;
    $kid = $kid->sibling if $kid->name eq 'pushmark' || ($kid->name eq 'null' && !($kid->flags & B::OPf_KIDS()));
    if ($$kid && $kid->name eq 'concat' && _has_neighbours($kid)) {
        local $self->{unquote} = 1;
        return $self->deparse($kid, $cx);
    }
    my $text = $self->SUPER::dquote($op, $cx);
    return $op->name eq 'scalar' ? "scalar($text)" : $text;
}

# Text behind a block inside a statement belongs to the statement's line, but stands
# below the lines of the block: repeats the line number after every block. (In the parent's
# text a tab opens a block and a backspace closes one.)
sub _lines_after_blocks {
    my ($text) = @_;
    $text =~ s/\n\cK;//g;     # the parent's mark for "no semicolon after this"
    $text =~ s/\cK;?//g;
    my ($line, @outer, $result) = (undef);
    for my $part (split /(\f?\f#line \d+ "[^"\n]*"\n|\t|\x08\}|\x0e|\x0f\}|\x10)/, $text) {
        if    ($part =~ /\A\f#line/) { $line = $part }
        elsif ($part =~ s/\A\f\f/\f/) { push @outer, $line; $line = $part }    # a sub inside a statement begins
        elsif ($part eq "\x10") {                                              # and ends
            $line = pop @outer;
            $part = defined $line ? "\n$line" : '';
        }
        elsif ($part eq "\t")        { push @outer, $line }
        elsif ($part eq "\x0e")      { push @outer, $line; next }
        elsif ($part eq "\x0f}") {
            my $inside = $line;
            $line = pop @outer;
            $part = defined $line && $inside ne $line ? "}\n$line" : '}';
        }
        elsif ($part eq "\x08}") {
            $line = pop @outer;
            $part .= "\n$line" if defined $line;
        }
        $result .= $part;
    }
    $result =~ s/(\f#line \d+ "[^"\n]*"\n)\n+/$1/g;    # an empty line would count as one
    $result =~ s/(?:\f#line \d+ "[^"\n]*"\n)+\z//;
    return $result;
}

# The parent class keeps its pragma state in four fields which it localizes with
# every block; ours lives in the one for warnings, which only pragmata reads.
sub _adopt {
    my ($self, $cop, $state) = @_;
    $self->{warnings} = $state;
    $self->{hints}    = $cop->hints;
    my %features = map { $_ => 1 } split ' ', $state->{features};
    my $hash = $cop->hints_hash;
    $hash = ref $hash && $hash->can('HASH') ? { %{ $hash->HASH || {} } } : {};
    $hash->{feature_signatures} = 1 if $features{signatures};
    $self->{hinthash} = $hash;
    return;
}

sub pragmata {
    my ($self, $op) = @_;
    my $text  = '';
    my $stash = $op->stashpv;
    if ($stash ne $self->{curstash}) {
        $text .= "package $stash;\n";
        $self->{curstash} = $stash;
    }
    my $state  = Argon::Code::Analyse::Pragma::of($op);
    my $change = Argon::Code::Analyse::Pragma::change($self->{warnings}, $state);
    $self->_adopt($op, $state);
    $text .= "$change\n\cK" if length $change;
    return $text;
}

sub const {
    my ($self, $sv, $cx) = @_;
    if ($sv->isa('B::SV') && !$sv->isa('B::SPECIAL') && !$sv->isa('B::NULL')) {
        my $flags = $sv->FLAGS;
        # __SUB__ was folded into a constant
        return $self->SUPER::const($sv, $cx) if $flags & B::SVf_ROK() && $sv->RV->isa('B::CV') && ${ $sv->RV } == ${ $self->{curcv} };
        return $self->_constant($sv) if $flags & B::SVf_ROK() || is_long($sv) || has_two_faces($sv);
        if ($flags & B::SVf_NOK() && !($flags & (B::SVf_IOK() | B::SVf_POK()))) {
            my $number = $sv->NV;
            if ($number == $number && $number - $number == 0 && $number != 0) {
                my $text = sprintf '%.17g', $number;
                $text = "$number" if "$number" == $number;
                $text .= '.0' if $text =~ /\A-?[0-9]+\z/;
                return $number < 0 ? $self->maybe_parens($text, $cx, 21) : $text;
            }
        }
        # A string that was once used as a number is still a string.
        return "'" . $sv->PV . "'" if Argon::Code::Analyse::PerlVersion::STRINGS_ARE_KNOWN() && $flags & B::SVf_POK() && $flags & (B::SVf_IOK() | B::SVf_NOK()) && $sv->PV =~ /\A[\w.+-]+\z/;
        if ($flags & B::SVf_POK() && $flags & B::SVf_UTF8()) {
            my $string = $sv->as_string;
            return _flagged($string) if $string =~ /[\x80-\xff]/ && $string !~ /[^\x{20}-\x{d7ff}]/;
        }
    }
    return $self->SUPER::const($sv, $cx);
}

# A string whose characters must be compiled as characters, not as bytes.
sub _flagged {
    my ($string) = @_;
    $string =~ s/([\\'])/\\$1/g;
    return "'$string'";
}

# A string that goes as a value, for to write it as text takes long: perl folds "'x' x 300_000_000" to a constant.
sub is_long { return $_[0]->FLAGS & B::SVf_POK() && $_[0]->can('CUR') && $_[0]->CUR > LONG_BYTES }

sub has_two_faces {
    my ($sv) = @_;
    my $flags = $sv->FLAGS;
    return 0 unless $flags & B::SVf_POK() && $flags & (B::SVf_IOK() | B::SVf_NOK());
    return 0 if $sv->isa('B::SPECIAL');
    my $number = $flags & B::SVf_IOK() ? $sv->int_value : $sv->NV;
    my $string = $sv->PV;
    return !(defined $string && $string eq "$number");
}

# True if two constants are adjacent in a chain of concatenations.
sub _has_neighbours {
    my ($op) = @_;
    while ($op->name eq 'concat') {
        my ($left, $right) = ($op->first, $op->last);
        my $before = $left->name eq 'concat' ? $left->last : $left;
        return 1 if $right->name eq 'const' && $before->name eq 'const';
        $op = $left;
    }
    return 0;
}

sub _constant {
    my ($self, $sv) = @_;
    my $constants = $self->{argon_constants};
    for my $index (0 .. $#$constants) {
        return "\$argon_constant_$index->()" if ${ $constants->[$index] } == $$sv;
    }
    push @$constants, $sv;
    return "\$argon_constant_$#$constants->()";
}

1;
