package Argon::Code::Analyse::Fingerprint;

# The shape of compiled code as a list of lines: every operation with its flags,
# names, constants, variables, file, line and pragmas. Two subs with equal shapes
# do the same. The sender compares a sub with what its own text compiles to; this
# is what makes "right or loud" true whatever the text generator gets wrong.
#
# Ignores the differences that mean nothing, and no others.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::FoldedLists ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Pragma ();
use Argon::Code::Analyse::PerlVersion ();

my $MEANINGLESS_FLAGS = B::OPf_PARENS();

# Perl marks what may be changed (arguments of subs, which it can take for lvalues). These operations
# do not look at the mark.
my %IGNORES_LVALUE_MARK = map { $_ => 1 } qw(ord chr shift pop length bit_xor bit_and bit_or add subtract multiply concat lc uc join sprintf hex oct int);

# Private flags which only remember how the source was spelled.
my %SPELLING = (
    const     => 0xff,                          # what the compiler warns about; running it reads none of them
    entersub  => B::OPpENTERSUB_AMPER() | 4,    # &$code(@list) and $code->(@list); defined before or after
    gv        => 32,                            # called before it was defined
    aassign   => 0x70,                          # what perl found out about common variables
    padhv     => 4,
    split     => 4,                             # the limit was not written
    multiconcat => B->can("OPpMULTICONCAT_STRINGIFY") ? B::OPpMULTICONCAT_STRINGIFY() : 0,    # quotes or dots
    entereval => 2,                         # an empty hint hash is there, or is not
);

# The first difference of two subs (B::CV), as (line of the one, line of the
# other, place); nothing if they are the same. $constants: what $argon_constant_N
# stands for in the text of the second.
sub difference {
    my ($one, $other, $constants) = @_;
    my ($ours, $theirs) = (lines($one, $constants), lines($other));
    my $place = '';
    for my $index (0 .. ($#$ours > $#$theirs ? $#$ours : $#$theirs)) {
        my ($left, $right) = ($ours->[$index], $theirs->[$index]);
        $left  = 'nothing' unless defined $left;
        $right = 'nothing' unless defined $right;
        return ($left, $right, $place) if $left ne $right;
        $place = $1 if $left =~ /\A\s*statement (\S.* line \d+)/;
    }
    return;
}

sub lines {
    my ($cv, $constants) = @_;
    my $self = bless { cv => $cv, lines => [], variables => {}, count => 0, constants => {}, features => '', seen => {} }, __PACKAGE__;
    $self->{constants}{ ${ $constants->[$_] } } = $_ for 0 .. $#{ $constants || [] };
    $self->_sub($cv, 0);
    return $self->{lines};
}

# The same for a factory, without the subs that it makes.
sub frame_lines {
    my ($cv) = @_;
    my $self = bless { cv => $cv, lines => [], variables => {}, count => 0, constants => {}, features => '', seen => {}, is_frame => 1 }, __PACKAGE__;
    $self->_sub($cv, 0);
    # A reference to a constant is compiled to a constant with an address.
    return [map {s/\breference \d+/reference/gr} @{ $self->{lines} }];
}

sub _sub {
    my ($self, $cv, $depth) = @_;
    local @$self{qw(cv variables count)} = ($cv, {}, 0);
    my $prototype = $cv->FLAGS & B::SVf_POK() ? $cv->PV : 'none';
    my $flags = $cv->CvFLAGS & (B::CVf_LVALUE() | B::CVf_METHOD());
    push @{ $self->{lines} }, (' ' x $depth) . "sub in package " . ($cv->STASH->isa('B::HV') ? $cv->STASH->NAME : 'none')
        . " prototype $prototype flags $flags";
    my $root = $cv->ROOT;
    $self->_op($root, $depth + 1) if $$root;
    return;
}

sub _op {
    my ($self, $op, $depth) = @_;
    my $name = $op->name;
    # Folded-away operations do nothing; what hangs below them still counts.
    return if $name eq 'hintseval';
    if ($name eq 'null' || $name eq 'scalar' || $name eq 'lineseq') {
        $self->_kids($op, $depth);
        return;
    }
    if (defined(my $constant = $self->_stands_for_constant($op))) {
        push @{ $self->{lines} }, (' ' x $depth) . $constant;
        return;
    }
    # A block without variables of its own needs no scope; perl may make one or not.
    if ($name eq 'scope' || $name eq 'enter' || $name eq 'leave' && !_has_own_variables($op)) {
        $self->_kids($op, $depth);
        return;
    }
    # *NAME is the glob itself, as a bare NAME is where a handle is expected.
    if ($name eq 'rv2gv' && !($op->private & B::OPpLVAL_INTRO()) && $op->first->name eq 'gv') {
        $self->_kids($op, $depth);
        return;
    }
    return if $name eq 'rv2av' && $self->_constant_list($op, $depth);
    # Marking the stack and fetching the variables that follow, in one step: these are compared one by one.
    if ($name eq 'pushmark' || $name eq 'padrange') {
        push @{ $self->{lines} }, (' ' x $depth) . 'pushmark';
        $self->_kids($op, $depth + 1);
        return;
    }
    my $flags = $op->flags & ~$MEANINGLESS_FLAGS & 0xff;
    $flags &= ~B::OPf_MOD() if $IGNORES_LVALUE_MARK{$name} || $name eq 'padsv' && !$op->private;
    $flags &= ~(B::OPf_SPECIAL() | B::OPf_MOD()) if $name eq 'const';    # it came from a constant sub, or is an argument
    my $line  = (' ' x $depth) . ($op->isa('B::COP') ? 'statement ' : "$name flags $flags private " . ($op->private & ~($SPELLING{$name} || 0)) . ' ');
    my $detail = $self->{is_frame} && $name eq 'anoncode' ? q{} : $self->_detail($op, $name);
    if ($op->isa('B::COP')) {
        # A statement mark followed by another one at once marks nothing.
        $line .= $detail;
        pop @{ $self->{lines} } if $self->{lines}[-1] =~ /\A\s*statement /;
    }
    else {
        $line .= $detail;
    }
    push @{ $self->{lines} }, $line;
    if ($name eq 'anoncode' && !$self->{is_frame}) {
        my $inner = Argon::Code::Analyse::Optree::pad_value($self->{cv}, $op->targ);
        $self->_sub($inner, $depth + 1) if $inner->isa('B::CV');
    }
    if ($name eq 'padcv') {
        # A captured lexical sub is part of what this sub does.
        my $inner = Argon::Code::Analyse::Optree::pad_value($self->{cv}, $op->targ);
        $self->_sub($inner, $depth + 1)
            if Argon::Code::Analyse::Optree::pad_name($self->{cv}, $op->targ)->FLAGS & B::SVf_FAKE()
            && $inner->isa('B::CV') && !$inner->XSUB && !$self->{seen}{$$inner}++;
    }
    $self->_kids($op, $depth + 1);
    return;
}

# True if "my" or "local" stands in the block itself.
sub _has_own_variables {
    my ($op) = @_;
    my @todo = Argon::Code::Analyse::Optree::kids($op);
    while (my $kid = pop @todo) {
        my $name = $kid->name;
        return 1 if $name =~ /\A(?:pad|gv|rv2|[ah]elem|[ah]slice|delete|multideref|intro|clone|lvref|lvavref|pushdefer|entersub|multiconcat|undef|s?assign|refassign)/
            && $kid->private & B::OPpLVAL_INTRO();
        return 1 if $name =~ /\A(?:pushdefer|introcv|clonecv)\z/;
        push @todo, Argon::Code::Analyse::Optree::kids($kid) unless $name eq 'leave' || $name eq 'leaveloop';
    }
    return 0;
}

# A list of constants is compiled as one array or as one constant each.
sub _constant_list {
    my ($self, $op, $depth) = @_;
    my $kid = $op->first;
    return 0 unless $kid->name eq 'const';
    my $list = Argon::Code::Analyse::Optree::constant_of($self->{cv}, $kid);
    return 0 unless $list->isa('B::AV');
    my @ends = Argon::Code::Analyse::FoldedLists::range($list);
    push @{ $self->{lines} }, @ends ? (' ' x $depth) . "range @ends" : map { (' ' x $depth) . 'const flags 2 private 0 ' . _constant($_) } $list->ARRAY;
    return 1;
}

sub _kids {
    my ($self, $op, $depth) = @_;
    local $self->{in_pattern} = 1 if $op->isa('B::PMOP');
    $self->_op($_, $depth) for Argon::Code::Analyse::Optree::kids($op);
    return;
}

sub _detail {
    my ($self, $op, $name) = @_;
    my $cv = $self->{cv};
    if ($op->isa('B::COP')) {
        my $label = $op->label;
        $self->{features} = Argon::Code::Analyse::Pragma::of($op)->{features};
        # A statement begins on the line of its first block, if that is further down.
        return join ' ', 'package', $op->stashpv, Argon::Code::Analyse::Pragma::as_text(Argon::Code::Analyse::Pragma::of($op)) if $self->{is_frame};
        return join ' ', $op->file, 'line', $op->line, 'package', $op->stashpv,
            (defined $label ? "label $label" : ()), Argon::Code::Analyse::Pragma::as_text(Argon::Code::Analyse::Pragma::of($op));
    }
    my @detail;
    if ($name eq 'multideref') {
        for my $item (Argon::Code::Analyse::Optree::multideref_items($cv, $op)) {
            my ($kind, $value) = @$item;
            push @detail, $kind eq 'action' ? $value
                : $kind eq 'lexical'  ? $self->_variable($value)
                : $kind eq 'glob'     ? _glob($value)
                : ref $value          ? _constant($value)
                :                       "index $value";
        }
    }
    elsif ($op->isa('B::UNOP_AUX')) {
        push @detail, map { ref $_ ? _constant($_) : defined $_ ? $_ : 'undef' } _aux($op, $cv);
    }
    elsif ($op->isa('B::METHOP')) {
        if ($name ne 'method') {
            push @detail, _constant(Argon::Code::Analyse::Optree::constant_of($cv, $op));
            # (Of the others this would be the arguments of the sub, if it is being run.)
            my $class = $name =~ /redir/ && $op->can('rclass') ? $op->rclass : undef;
            $class = Argon::Code::Analyse::Optree::pad_value($cv, $class) if defined $class && !ref $class;
            push @detail, _constant($class) if ref $class && $$class && !$class->isa('B::SPECIAL');
        }
    }
    elsif ($op->isa('B::PADOP') || $op->isa('B::SVOP')) {
        if ($name eq 'gv' || $name eq 'gvsv' || $name eq 'aelemfast' || $op->isa('B::PADOP')) {
            push @detail, _glob(Argon::Code::Analyse::Optree::glob_of($cv, $op));
        }
        elsif ($name ne 'hintseval' && $name ne 'aelemfast_lex') {
            my $constant = _constant(Argon::Code::Analyse::Optree::constant_of($cv, $op));
            $constant = _without_code($constant) if $self->{in_pattern};
            push @detail, $constant;
        }
    }
    elsif ($op->isa('B::PMOP')) {
        my $pattern = $op->precomp;
        my $reflags = $op->can('reflags') ? $op->reflags : undef;
        # A pattern that is put together at run time is, after a run, the last one that was.
        ($pattern, $reflags) = () if _is_of_run_time($op);
        push @detail, 'pattern', defined $pattern ? $self->_spelled(_without_code($pattern)) : 'none', 'flags',
            $op->pmflags & ~_pm_runtime(), defined $reflags ? $reflags & Argon::Code::Analyse::PerlVersion::PATTERN_FLAGS() : '';
        push @detail, 'target', $self->_variable($op->targ) if $op->targ && $op->isa('B::PMOP') && _names_variable($op);
    }
    elsif ($op->isa('B::PVOP')) {
        my $text = $op->pv;
        push @detail, defined $text ? unpack 'H*', $text : 'none';
    }
    push @detail, $self->_variable($op->targ)
        if $op->targ && $name ne 'anoncode' && $name ne 'multideref' && _names_variable($op) && !$op->isa('B::PMOP');
    return join ' ', @detail;
}

# True if the target of an operation is a variable of the author's, and not a
# nameless place for its result.
sub _names_variable {
    my ($op) = @_;
    my $name = $op->name;
    return 1 if $name =~ /\A(?:pad(?:sv|av|hv|cv|any|range|sv_store)|aelemfast_lex|enteriter|argelem|argdefelem|introcv|clonecv|once|match|subst|iter|delete|multiconcat|emptyavhv|aelemfastlex_store)\z/;
    return $name ne 'aassign' && $op->private & 0x10;     # the result goes straight into a variable (OPpTARGET_MY)
}

# Variables by order of appearance, so that two pads laid out differently compare.
sub _variable {
    my ($self, $index) = @_;
    my $name = Argon::Code::Analyse::Optree::pad_name($self->{cv}, $index);
    my $text = ref $name && $name->can('PVX') && !$name->isa('B::SPECIAL') ? $name->PVX : undef;
    return 'temporary' unless defined $text && length $text;
    my $number = $self->{variables}{$index} ||= ++$self->{count};
    my $outer  = $name->FLAGS & B::SVf_FAKE() ? ' captured' : '';
    return "$text#$number$outer";
}

sub _glob {
    my ($glob) = @_;
    return 'no glob' unless ref $glob && $$glob;
    my @name = Argon::Code::Analyse::Optree::glob_name($glob);
    return @name ? '*' . join('::', @name) : 'nameless glob';
}

sub _constant {
    my ($sv) = @_;
    return 'null' if !$$sv || $sv->isa('B::NULL');
    return "special $$sv" if $sv->isa('B::SPECIAL');
    my $flags = $sv->FLAGS;
    return "reference $$sv" if $flags & B::SVf_ROK();
    return 'list of ' . join(', ', map { _constant($_) } $sv->ARRAY) if $sv->isa('B::AV');
    return _glob($sv) if $sv->isa('B::GV');
    my @faces;
    if ($flags & B::SVf_POK()) {
        my $string = $sv->as_string;
        push @faces, 'string ' . B::perlstring($string)
            . ($flags & B::SVf_UTF8() && $string =~ /[\x80-\xff]/ ? ' of characters' : '');
        if ($flags & (B::SVf_IOK() | B::SVf_NOK())) {
            my $number = $flags & B::SVf_IOK() ? $sv->int_value : $sv->NV;
            push @faces, "number $number" if "$number" ne $string;
        }
    }
    elsif ($flags & B::SVf_IOK()) { push @faces, 'integer ' . $sv->int_value }
    elsif ($flags & B::SVf_NOK()) { push @faces, 'float ' . unpack 'H*', pack 'F', $sv->NV }
    else                          { push @faces, ref $sv }
    return join ' ', @faces;
}

sub _aux {
    my ($op, $cv) = @_;
    my @items = $op->aux_list($cv);
    return @items;
}

# The code blocks of a pattern are operations and compared as such; their text may be
# spelled otherwise.
my $balanced;
$balanced = qr/(?:[^{}]|\{(??{ $balanced })\})*/;

sub _without_code {
    my ($pattern) = @_;
    $pattern =~ s/\(\?(\??)\{$balanced\}\)/(?$1 code)/g if index($pattern, '(?{') >= 0 || index($pattern, '(??{') >= 0;
    return $pattern;
}

# A character of a pattern and its code mean the same where perl takes the pattern for
# characters anyway.
sub _spelled {
    my ($self, $pattern) = @_;
    $pattern =~ s/(\\c.|\\.)/$1 eq '\\@' ? '@' : $1/gse;
    return $pattern unless $pattern =~ /[^\x00-\xff]|\\x\{[0-9a-f]{3,}\}/ || $self->{features} =~ /\bunicode_strings\b/;
    $pattern =~ s/([^\x00-\x7f])/sprintf '\\x{%x}', ord $1/ge;
    $pattern =~ s/\\([23][0-7][0-7])/sprintf '\\x{%x}', oct $1/ge;
    return $pattern;
}

# With /o it stays what it was the first time, which cannot be sent.
sub _is_of_run_time {
    my ($op) = @_;
    return !($op->pmflags & B::PMf_KEEP()) && grep { $_->name eq 'regcomp' } Argon::Code::Analyse::Optree::kids($op);
}

# Flags of a match that running it sets, or that only record how it was written.
sub _pm_runtime {
    return (B->can('PMf_USED') ? B::PMf_USED() : 0) | (B->can('PMf_ONCE') ? 0 : 0);
}

# $argon_constant_3->() in a shipped text stands for a constant that has no literal.
sub _stands_for_constant {
    my ($self, $op) = @_;
    if ($op->name eq 'const') {
        my $sv = Argon::Code::Analyse::Optree::constant_of($self->{cv}, $op);
        return unless $$sv && $sv->isa('B::SV') && !$sv->isa('B::SPECIAL');
        return '__SUB__' if $sv->FLAGS & B::SVf_ROK() && ${ $sv->RV } == ${ $self->{cv} };
        my $number = $self->{constants}{$$sv};
        return defined $number ? "constant $number" : undef;
    }
    return unless $op->name eq 'entersub';
    my ($number, $count) = (undef, 0);
    Argon::Code::Analyse::Optree::walk($op, sub {
        my ($kid) = @_;
        $count++;
        return unless $kid->name eq 'padsv';
        my $name = Argon::Code::Analyse::Optree::pad_name($self->{cv}, $kid->targ);
        $number = $1 if $name->can('PVX') && ($name->PVX || '') =~ /\A\$argon_constant_(\d+)\z/;
    });
    return defined $number && $count <= 6 ? "constant $number" : undef;
}

1;
