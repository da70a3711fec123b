package Argon::Code::Analyse::Dependencies;

# Lists the dependencies of one sub: captured variables, package variables,
# other subs, classes, handles. Shipment decides how each one travels.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Write::Deparse ();
use Argon::Code::Analyse::FoldedLists ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Refusal ();

use constant PADNAME_STATE => B->can('SVpad_STATE') ? B::SVpad_STATE() : 0x0000_0800;
use constant PADNAME_OUR   => B->can('SVpad_OUR')   ? B::SVpad_OUR()   : 0x0004_0000;

# Variables of perl itself that belong to the process or to the operation at hand.
# Their values here mean nothing there.
my %OF_PERL = map { $_ => 1 } qw(ENV INC SIG STDIN STDOUT STDERR ARGVOUT ENV stdin stdout stderr),
    '@', '!', '&', '`', "'", '+', '-', '1' .. '99', '^W', "\x17", '$', '?', '|', '<', '>', '(', ')', '[', ']',
    '^', '=', '%', ':', '~', '.', '*', '#', "\cL", "\cA", "\cH", "\cN", "\cR", "\cT", "\cV", "\cX", "\cO", "\cS";

# Variables of the last successful match.
my %OF_MATCH = map { $_ => 1 } '&', '`', "'", '+', '-', '1' .. '99';

# Variables of perl that an operation reads without naming them.
my %READS_SETTING = (
    (map { $_ => [',', '\\'] } qw(print say)),
    (map { $_ => ['/'] } qw(readline chomp schomp)),
);

# Operations that work on $_ without an operand; all others name it.
my %MATCHES = map { $_ => 1 } qw(match subst trans transr);

# { captures => [{ name, index }], globs => { "Pkg::name" => { SLOT => 1 } },
#   classes => { name => is_certain }, evaluates_text => bool, has_state => bool, uses_autodie => bool,
#   loads => bool, requires => { 'Some/Module.pm' => 1 }, has_match => bool, reads_match => '$1', has_eval => bool, reads_error => '$@' }
sub of {
    my ($cv) = @_;
    my $found = { captures => [], globs => {}, classes => {}, evaluates_text => 0, has_state => 0 };
    _captures($cv, $found);
    $found->{has_state} = _refuse_used_state($cv);
    _operations($cv, $found, {});
    return $found;
}

sub _captures {
    my ($cv, $found) = @_;
    my @names = $cv->PADLIST->ARRAYelt(0)->ARRAY;
    for my $index (1 .. $#names) {
        my $name = $names[$index];
        next if $name->isa('B::SPECIAL') || !$name->can('PVX');
        next unless $name->FLAGS & B::SVf_FAKE();
        next if $name->FLAGS & PADNAME_OUR;
        my $text = $name->PVX;
        next unless defined $text && $text =~ /\A[\$\@%&]./s;
        push @{ $found->{captures} }, { name => $text, index => $index };
    }
    return;
}

# A state variable that already has its value would start afresh on the worker.
sub _refuse_used_state {
    my ($cv) = @_;
    my @names = $cv->PADLIST->ARRAYelt(0)->ARRAY;
    my $used  = sub {
        my ($index) = @_;
        my $value = Argon::Code::Analyse::Optree::pad_value($cv, $index);
        return 0 if $value->isa('B::SPECIAL');
        my $reference = $value->object_2svref;
        # A tied one is not asked for its value: that would run its class.
        return _is_tied($reference) ? 1
             : ref $reference eq 'ARRAY' ? @$reference > 0
             : ref $reference eq 'HASH'  ? %$reference
             : ref $reference eq 'CODE'  ? 0
             :                             defined $$reference;
    };
    my $has_state = 0;
    for my $index (1 .. $#names) {
        my $name = $names[$index];
        next if $name->isa('B::SPECIAL') || !$name->can('PVX') || $name->FLAGS & B::SVf_FAKE();
        next unless $name->FLAGS & PADNAME_STATE && !($name->FLAGS & PADNAME_OUR);
        $has_state = 1;
        next unless $used->($index);
        Argon::Code::Refusal->throw('a range in scalar context (..) has already been through it, and it would start afresh on the worker', 'pass the value as an argument')
            if length $name->PVX < 2;
        Argon::Code::Refusal->throw(
            'the state variable ' . $name->PVX . ' already has a value, and it would start afresh on the worker',
            'pass the value as an argument, or make a new sub');
    }
    return $has_state;
}

sub _is_tied {
    my ($reference) = @_;
    return ref $reference eq 'ARRAY' ? tied @$reference : ref $reference eq 'HASH' ? tied %$reference : ref $reference eq 'CODE' ? undef : tied $$reference;
}

sub _operations {
    my ($cv, $found, $seen) = @_;
    return if $seen->{$$cv}++ || !${ $cv->ROOT };
    my $is_local = _with_local_topic($cv);
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op, $parent) = @_;
        my $name = $op->name;
        if ($name eq 'anoncode') {
            my $inner = Argon::Code::Analyse::Optree::pad_value($cv, $op->targ);
            _operations($inner, $found, $seen) if $inner->isa('B::CV');
        }
        elsif ($name eq 'multideref') {
            for my $item (Argon::Code::Analyse::Optree::multideref_items($cv, $op)) {
                _glob($found, $item->[1], $item->[2]) if $item->[0] eq 'glob' && !($is_local->{$$op} && _is_topic_glob($item->[1]));
                _text($found, $item->[1], 0) if $item->[0] eq 'constant' && ref $item->[1];
            }
        }
        elsif ($name eq 'gv' || $name eq 'gvsv' || $name eq 'aelemfast') {
            my $glob = Argon::Code::Analyse::Optree::glob_of($cv, $op);
            _glob($found, $glob, _slot($op, $parent)) if ref $glob && $$glob && !$is_local->{$$op};
        }
        elsif ($name eq 'const') {
            my $value = Argon::Code::Analyse::Optree::constant_of($cv, $op);
            Argon::Code::Analyse::FoldedLists::refuse_long($value) if ref $value;
            my $certain = $op->private & B::OPpCONST_BARE();
            my $call = $parent && _was($parent) =~ /\A(?:entersub|list)\z/ && ${ $parent->first->sibling } == $$op;
            _text($found, $value, $certain || $call) if $$value;
            _refuse_long($value->CUR) if ref $value && $value->isa('B::PV') && $parent && _was($parent) =~ /\A(?:concat|stringify|regc\w+|subst)\z/ && Argon::Code::Write::Deparse::is_long($value);
            # "sort by_number @list" holds its sub only as a bare word
            if ($certain && ref $value && $value->can('PV') && $value->FLAGS & B::SVf_POK()) {
                my $sub = $value->PV;
                $sub = ($found->{package} || 'main') . "::$sub" unless $sub =~ /::/;
                no strict 'refs';
                $found->{globs}{$sub}{CODE} = 1 if defined &{$sub};
                # and "readline main::FILE" its handle
                $found->{globs}{$sub}{IO} = 1 if $parent && $parent->name eq 'readline' && Argon::Code::Analyse::Classes::has_entry($sub);
            }
        }
        elsif ($name =~ /\Amethod_(?:redir|redir_super)\z/) {
            my $class = $op->rclass;
            $class = Argon::Code::Analyse::Optree::pad_value($cv, $class) unless ref $class;
            _text($found, $class, 1);
        }
        elsif ($MATCHES{$name}) {
            $found->{has_match} ||= $name !~ /\Atrans/;
            $found->{globs}{'main::_'}{SCALAR} = 1 if !($op->flags & B::OPf_STACKED()) && !$op->targ && !$is_local->{$$op};
        }
        # A called sub may evaluate text itself.
        elsif ($name =~ /\A(?:entertry|entersub|require|dofile)\z/) {
            $found->{has_eval} = 1;
            $found->{loads} ||= $name eq 'require';
            _required($cv, $op, $found) if $name eq 'require';
        }
        elsif ($READS_SETTING{$name}) { $found->{globs}{"main::$_"}{SCALAR} = 1 for @{ $READS_SETTING{$name} } }
        elsif ($name eq 'enterwrite') {
            Argon::Code::Refusal->throw('it writes a format, and formats stay in this process', 'use sprintf');
        }
        elsif ($name eq 'multiconcat') { _refuse_long($_) for grep { $_ > Argon::Code::Write::Deparse::LONG_BYTES() } map { length } grep { defined && !ref } $op->aux_list($cv) }
        elsif ($name eq 'entereval') {
            $found->{$_} = 1 for qw(evaluates_text has_match has_eval loads);
            $found->{globs}{'main::_'}{SCALAR} = 1;    # the text may be any
        }
        # Of nothing, in scalar context, it reverses $_.
        elsif ($name eq 'reverse') { $found->{globs}{'main::_'}{SCALAR} = 1 if Argon::Code::Analyse::Optree::kids($op) < 2 && !$is_local->{$$op} }
        elsif ($op->isa('B::COP'))   { $found->{package} = $op->stashpv }
        elsif ($name =~ /\Apad(?:cv)\z/ || $name eq 'introcv' || $name eq 'clonecv') {
            my $inner = Argon::Code::Analyse::Optree::pad_value($cv, $op->targ);
            my $pad_name = Argon::Code::Analyse::Optree::pad_name($cv, $op->targ);
            $inner = $pad_name->PROTOCV if !($pad_name->FLAGS & B::SVf_FAKE()) && $pad_name->can('PROTOCV') && ref $pad_name->PROTOCV;
            _operations($inner, $found, $seen)
                if ref $inner && $inner->isa('B::CV') && !($pad_name->FLAGS & B::SVf_FAKE());
        }
    });
    return;
}

# The module that "require Some::Module" names.
sub _required {
    my ($cv, $op, $found) = @_;
    my ($name) = Argon::Code::Analyse::Optree::kids($op);
    return if !$name || $name->name ne 'const';
    my $value = Argon::Code::Analyse::Optree::constant_of($cv, $name);
    $found->{requires}{ $value->PV } = 1 if ref $value && $value->can('PV') && $value->FLAGS & B::SVf_POK();
    return;
}

# The operations on $_ that stand where map, grep or for gives it a value: they do not mean the $_ around the sub.
sub _with_local_topic {
    my ($cv) = @_;
    my %is_local;
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op) = @_;
        my ($first, @rest) = $op->name =~ /\A(?:grepwhile|mapwhile|leaveloop)\z/ ? Argon::Code::Analyse::Optree::kids($op) : return;
        my $inside = $op->name ne 'leaveloop' ? (Argon::Code::Analyse::Optree::kids($first))[1]
            : $first->name eq 'enteriter' && _iterates_topic($cv, $first) ? $rest[0] : undef;
        return if !$inside;
        Argon::Code::Analyse::Optree::walk($inside, sub {
            my ($kid) = @_;
            $is_local{$$kid} = 1 if $MATCHES{ $kid->name } || $kid->name =~ /\A(?:multideref|reverse)\z/ || $kid->name =~ /\Agv(?:sv)?\z/ && _is_topic($cv, $kid);
        });
    });
    return \%is_local;
}

sub _iterates_topic {
    my ($cv, $enteriter) = @_;
    return grep { $_->name eq 'gv' && _is_topic($cv, $_) } map { $_->name eq 'null' || $_->name eq 'rv2gv' ? Argon::Code::Analyse::Optree::kids($_) : $_ } Argon::Code::Analyse::Optree::kids($enteriter);
}

sub _is_topic {
    my ($cv, $op) = @_;
    return _is_topic_glob(Argon::Code::Analyse::Optree::glob_of($cv, $op));
}

sub _is_topic_glob {
    my ($glob) = @_;
    return ref $glob && $$glob && join('::', Argon::Code::Analyse::Optree::glob_name($glob)) eq 'main::_';
}

# Text that is evaluated at run time may name a variable which the sub itself does
# not mention: those visible around the sub whose names occur in its constants.
sub lexicals_for_text {
    my ($cv, $reach) = @_;
    my %taken = map { $_->{name} => 1 } @{ $reach->{captures} };
    my $text  = join ' ', @{ $reach->{strings} || [] };
    my @found;
    my $sequence = undef;
    for (my $outer = $cv->OUTSIDE; $outer && $outer->isa('B::CV') && $$outer; $outer = $outer->OUTSIDE) {
        my $pads = $outer->PADLIST;
        last if $pads->isa('B::SPECIAL') || $pads->isa('B::NULL');
        my @names = $pads->ARRAYelt(0)->ARRAY;
        my $inside = $sequence ? $sequence : $cv->can('OUTSIDE_SEQ') ? $cv->OUTSIDE_SEQ : undef;
        for my $index (reverse 1 .. $#names) {
            my $name = $names[$index];
            next if $name->isa('B::SPECIAL') || !$name->can('PVX') || $name->FLAGS & PADNAME_OUR;
            my $variable = $name->PVX;
            next unless defined $variable && $variable =~ /\A[\$\@%](\w+)\z/;
            my $bare = $1;
            next if $taken{$variable} || $text !~ /(?<!\w)\Q$bare\E(?!\w)/;
            if (defined $inside && !($name->FLAGS & B::SVf_FAKE())) {
                next unless $name->COP_SEQ_RANGE_LOW < $inside && $inside <= $name->COP_SEQ_RANGE_HIGH;
            }
            my $value = Argon::Code::Analyse::Optree::pad_value($outer, $index);
            next if $value->isa('B::SPECIAL');
            $taken{$variable} = 1;
            push @found, { name => $variable, place => $value->object_2svref };
        }
        $sequence = $outer->can('OUTSIDE_SEQ') ? $outer->OUTSIDE_SEQ : undef;
    }
    return @found;
}

# One inside a string has no text of its own that could be left out of the string.
sub _refuse_long {
    my ($bytes) = @_;
    Argon::Code::Refusal->throw("it has a constant of $bytes bytes inside a string", 'put the constant into a variable of its own');
    return;
}

# The name of an operation, or of what it was before perl folded it away.
sub _was {
    my ($op) = @_;
    return $op->name unless $op->name eq 'null' && $op->targ;
    return substr B::ppname($op->targ), 3;
}

sub _slot {
    my ($op, $parent) = @_;
    return 'SCALAR' if $op->name eq 'gvsv';
    return 'ARRAY'  if $op->name eq 'aelemfast';
    my $was = $parent ? _was($parent) : '';
    return Argon::Code::Analyse::Optree::SLOT_OF_PARENT()->{$was} || 'IO';
}

sub _glob {
    my ($found, $glob, $slot) = @_;
    my ($package, $name) = Argon::Code::Analyse::Optree::glob_name($glob);
    return unless defined $name;
    $found->{reads_error} ||= '$@' if $package eq 'main' && $name eq '@' && $slot eq 'SCALAR';
    $found->{reads_match} ||= "\$$name" if $package eq 'main' && $OF_MATCH{$name} && $slot ne 'CODE';
    return if $package eq 'main' && $OF_PERL{$name} && $slot ne 'CODE';
    return if $package eq 'main' && $name eq '_' && $slot eq 'ARRAY';    # the arguments
    my $full = "${package}::$name";
    if ($slot eq 'CODE' && $glob->isa('B::GV') && _is_of_autodie($full, $glob->CV)) {
        $found->{uses_autodie} = 1;
        return;
    }
    $found->{globs}{$full}{$slot} = 1;
    if ($slot eq 'CODE' && $glob->isa('B::GV') && $glob->CV->isa('B::CV') && ${ $glob->CV->ROOT }) {
        no strict 'refs';
        Argon::Code::Refusal->throw("it calls a sub $name which no longer has that name here (lexical imports take it away again)",
            'call it by a name that stays') unless defined &{$full} && ${ B::svref_2object(\&{$full}) } == ${ $glob->CV };
    }
    return;
}

# autodie puts a sub in the place of a builtin while one scope is compiled, and takes its name away again.
sub _is_of_autodie {
    my ($full, $cv) = @_;
    return 0 if !$INC{'Fatal.pm'} || !$cv->isa('B::CV') || !${ $cv->ROOT } || $cv->FILE ne $INC{'Fatal.pm'};
    no strict 'refs';
    return !defined &{$full} || ${ B::svref_2object(\&{$full}) } != $$cv;
}

# autodie puts generated subs in the place of builtins, for one scope only.
sub refuse_replaced_builtin {
    my ($name, $code) = @_;
    return unless $INC{'Fatal.pm'} && B::svref_2object($code)->FILE =~ m{\A\(eval|/Fatal\.pm\z};
    my ($builtin) = $name =~ /::(\w+)\z/;
    return unless defined $builtin && eval { () = prototype "CORE::$builtin"; 1 };
    Argon::Code::Refusal->throw("it calls the builtin $builtin as autodie replaced it", 'write "or die" there, or put the sub in a module');
}

# A string may name a class.
sub _text {
    my ($found, $value, $certain) = @_;
    return unless ref $value && $value->can('PV') && !$value->isa('B::SPECIAL') && $value->FLAGS & B::SVf_POK();
    return if Argon::Code::Write::Deparse::is_long($value);
    my $text = $value->PV;
    push @{ $found->{strings} }, $text if defined $text;
    return unless defined $text && length $text < 250 && $text =~ /\A(?:::)?[A-Za-z_]\w*(?:(?:::|')\w+)*\z/;
    $found->{classes}{$text} ||= $certain ? 1 : 0;
    $found->{words}{$text} = 1;
    return;
}

1;
