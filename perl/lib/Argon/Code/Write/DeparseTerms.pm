package Argon::Code::Write::DeparseTerms;

# The single operations that B::Deparse writes as something else: split by a string, tr with its pairs in another
# order, blocks taken for hashes, names taken for longer names. Statements, subs and pragmas are those of
# Argon::Code::Write::Deparse, which builds on this.

use strict;
use warnings;

use B ();
use B::Deparse ();
use Argon::Code::Analyse::PerlVersion ();

our @ISA = ('B::Deparse');

# The block of map or grep could be read as a hash, and a hash as a block. The parent class does not mark the block as
# one, so what follows it would stand on the line of its last statement.
sub pp_mapwhile  { return _map_or_grep(@_[0 .. 2], 'map') }
sub pp_grepwhile { return _map_or_grep(@_[0 .. 2], 'grep') }

sub _map_or_grep {
    my ($self, $op, $cx, $name) = @_;
    my $kid = $op->first->first->sibling;
    my $code = $kid->first;
    my $text;
    if (B::Deparse::is_scope($code)) { $text = "{;\x0e" . $self->deparse($code, 0) . "\x0f} " }
    else {
        $text = $self->deparse($code, 24);
        # "+{" is a hash
        $text = "+$text" if $text =~ /\A\{/;
        $text .= ', ';
    }
    my @list;
    while (1) {
        $kid = $kid->sibling;
        last if B::Deparse::null($kid);
        my $item = $self->deparse($kid, 6);
        push @list, $item if defined $item;
    }
    return $self->maybe_parens_func($self->keyword($name), $text . join(', ', @list), $cx, 5);
}

# readline FILE would name the file by a string.
sub pp_readline {
    my ($self, $op, @rest) = @_;
    if ($op->flags & B::OPf_KIDS() && $op->first->name eq 'gv') {
        my $name = $self->gv_name($self->gv_or_padgv($op->first));
        return "<$name>" if $name =~ /\A\w+(?:::\w+)*\z/ && $name ne 'ARGV';
    }
    return $self->SUPER::pp_readline($op, @rest);
}

# "split $by" is not "split /$by/": by one space it splits as awk does.
sub pp_split {
    my ($self, $op, @rest) = @_;
    my $text = $self->SUPER::pp_split($op, @rest);
    return $text unless $op->pmflags & Argon::Code::Analyse::PerlVersion::PATTERN_OF_SPLIT();
    my $by;
    if ($op->first->name eq 'regcomp') {
        my $kid = $op->first->first;
        $kid = $kid->first while $kid->name =~ /\Areg(?:cmaybe|creset)\z/;
        $by = $self->deparse($kid, 6);
    }
    else {
        my $pattern = $op->precomp;
        return $text unless defined $pattern && $pattern =~ /\A[ -~]*\z/ && $pattern ne '\s+';
        $pattern =~ s/([\\'])/\\$1/g;
        $by = "'$pattern'";
    }
    my ($quoted) = $self->matchop($op, $rest[0], 'm', '/');
    my $at = index $text, "split($quoted";
    substr $text, $at + 6, length $quoted, $by if $at >= 0;
    return $text;
}

# An empty block is empty; the parent class writes "();" in it, which is a statement.
sub lineseq {
    my ($self, $root, $cx, @ops) = @_;
    return '' if (@ops == 1 || @ops == 2 && $ops[1]->name eq 'unstack') && $ops[0]->name eq 'stub' && ($ops[0]->flags & B::OPf_WANT()) == B::OPf_WANT_VOID();
    return $self->SUPER::lineseq($root, $cx, @ops);
}

# The parent class writes the pairs of tr/// in the order of their characters; perl remembers which was last.
sub pp_trans  { return _transliteration('', @_) }
sub pp_transr { return _transliteration('r', @_) }

sub _transliteration {
    my ($flags, $self, $op, $cx) = @_;
    my $private = $op->private;
    my $table = $op->isa('B::PVOP') ? $op->pv : '';
    my $is_plain = length $table == length(pack 'Jx514')
        && !$op->targ && !($private & (B::OPpTRANS_COMPLEMENT() | B::OPpTRANS_DELETE() | B::OPpTRANS_IDENTICAL()));
    my @map  = $is_plain ? unpack 's257', substr $table, length pack 'J', 0 : -1;
    my $last = pop @map;
    my @from = grep { $map[$_] >= 0 } 0 .. $#map;
    my ($end) = reverse grep { $map[$_] == $last } @from;
    return $self->SUPER::pp_trans($op, $cx, $flags eq '' ? () : $flags) unless defined $end;
    @from = ((grep { $_ != $end } @from), $end);
    my ($from, $to) = map { join '', map { sprintf '\\x%02x', $_ } @$_ } \@from, [ @map[@from] ];
    return $self->keyword('tr') . "/$from/$to/" . ($private & B::OPpTRANS_SQUASH() ? 's' : '') . $flags;
}

# "@{do {...}->{x}}" is read as an element of the hash %do.
sub rv2x {
    my ($self, @rest) = @_;
    my $text = $self->SUPER::rv2x(@rest);
    $text =~ s/\A(\$#|[\$\@%&*])\{(?=(?:CORE::)?do\b)/$1\{;/;
    return $text;
}

sub elem_or_slice_array_name {
    my ($self, @rest) = @_;
    my $text = $self->SUPER::elem_or_slice_array_name(@rest);
    $text =~ s/\A\{(?=(?:CORE::)?do\b)/{;/ if defined $text;
    return $text;
}

# "(delete $x->{y})->z" is not "delete $x->{y}->z", nor "(exists $x{y}) . z" the same without its parentheses.
sub pp_delete { my ($self, $op, $cx) = @_; return _apart($cx, $self->SUPER::pp_delete($op, $cx)) }
sub pp_multideref { my ($self, $op, $cx, @rest) = @_; return _apart($cx, $self->SUPER::pp_multideref($op, $cx, @rest)) }

sub _apart {
    my ($cx, $text) = @_;
    return defined $cx && $cx > 16 && $text =~ /\A(?:CORE::)?(?:delete|exists)\b/ ? "($text)" : $text;
}

# &$@(1) would be a call of $@( ...
sub pp_entersub {
    my ($self, @rest) = @_;
    my $text = $self->SUPER::pp_entersub(@rest);
    $text =~ s/\A&\$([^\w\s\{:\$])\(/&{\$$1}(/;
    return $text;
}

1;
