package Argon::Code::Ship::Shipment;

# Builds the text of one shipment: the sub, every sub of the script that it calls,
# directly or not, the classes it names; and remembers how to fetch the captured
# values, which are not part of the text.
#
# Words: a unit is one sub in the shipment; a slot is one captured value.

use strict;
use warnings;
use B ();
use Config ();
use Scalar::Util ();
use Argon::Code::Write::Verification ();
use Argon::Code::Write::Constants ();
use Argon::Code::Analyse::Purity ();
use Argon::Code::Ship::DeclaredClasses ();
use Argon::Code::Write::Deparse ();
use Argon::Code::Write::Layout ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Analyse::Pragma ();
use Argon::Code::Analyse::Dependencies ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();
use Argon::Code::Ship::ModuleSettings ();
use Argon::Code::Ship::OwnModules ();
use Argon::Code::Ship::Captures ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Analyse::PerlVersion ();
use Argon::Code::Write::SourceFromFile ();

# A shipment; the first reference is what the factory returns. A sub whose text is not right is taken as its file has it, if that is.
sub build {
    my ($class, @what) = @_;
    my %refused;
    # B::Deparse warns of what it cannot write, which Check finds out.
    local $SIG{__WARN__} = sub { };
    while (1) {
        my $shipment = eval { $class->_build(\%refused, @what) };
        return $shipment if $shipment;
        my $refusal = $@;
        my $address = ref $refusal && $refusal->isa('Argon::Code::Refusal') ? $refusal->address : undef;
        die $refusal if !defined $address || $refused{$address};
        $refused{$address} = $refusal;
    }
}

sub _build {
    my ($class, $refused, $code, %options) = @_;
    my $self = bless {
        refused  => $refused, # address of a code body => why its text is not right
        units    => [],
        unit_of  => {},       # address of a code body => index
        names    => [],       # [index, full name]
        named    => {},       # full name => address of its code, to notice a later redefinition
        modules  => {},
        class_modules => {},
        declare  => {},
        alias    => {},
        variables => {},      # names of tied variables of modules
        undefined => {},      # names that are called and mean no sub here
        classes  => [],
        declared => [],       # classes by the text of their declaration
        requires => {},       # modules that the code itself loads
        without_value => [],  # variables of these, of which there is nothing to send: [module, name, slot]
        own      => [],       # modules of the program that workers must ask for
        slots    => Argon::Code::Ship::Captures->new,
        seen     => {},
    }, $class;
    if (defined $code) {
        $self->_add_unit($code);
        $self->{units}[0]{path} = [];
    }
    $self->add_class($_, 1) for @{ $options{classes} || [] };
    # First the needs of the sub itself, then methods that may never be called, and their needs.
    while (my $unit = shift @{ $self->{todo} } || shift @{ $self->{later} }) {
        next if $unit->{is_described}++;
        $self->{is_optional} = $unit->{optional};
        $self->_describe($unit);
    }
    $self->{is_optional} = 0;
    Argon::Code::Ship::ModuleSettings::add($self);
    $self->{slots}->settle;
    my $body = Argon::Code::Write::Layout::body($self);
    Argon::Code::Write::Verification::verify($self, $body);
    if ($self->{loads} || %{ $self->{modules} } || %{ $self->{class_modules} }) {
        ($self->{own}, $self->{own_generation}) = ([Argon::Code::Ship::OwnModules::list()], Argon::Code::Ship::OwnModules::generation());
    }
    $self->{text} = Argon::Code::Write::Layout::head($self, Argon::Code::Analyse::Purity::is_contained($self)) . $body;
    utf8::encode($self->{text});
    delete @$self{qw(units todo seen refused)};
    return $self;
}

sub text { return $_[0]{text} }
sub name_of_slot { return $_[0]{slots}->name_of($_[1]) }

# "$1" or its like, if the code can only mean that of a match around it: it makes no match itself.
sub outer_match { return !$_[0]{has_match} && $_[0]{reads_match} }

# The same of "$@", for code that evaluates nothing itself and calls nothing that may.
sub outer_error { return !$_[0]{has_eval} && $_[0]{reads_error} }

# True if the shipment is always the same: it captures nothing, and calls nothing that could be redefined.
sub is_constant { return !$_[0]{slots}->count && !$_[0]{loads} && !@{ $_[0]{own} } && !%{ $_[0]{named} } && !$_[0]->outer_match && !$_[0]->outer_error }

# The captured values of this closure right now; $whole: as references to the variables.
sub captures {
    my ($self, $code, $whole) = @_;
    my $captures = $self->{slots}->fetch($code, $whole);
    my $address = Scalar::Util::refaddr($code);
    if ($self->{has_state} && defined $address && grep { ref eq 'REF' && Scalar::Util::refaddr($$_) == $address } @{ $captures || [] }) {
        # The sub would arrive twice: as itself, and as the value of the captured variable.
        Argon::Code::Refusal->throw('it has state variables and captures itself', 'call it by __SUB__ instead');
    }
    return $captures;
}

# True if every named sub in the text is still the one that was read.
sub is_current {
    my ($self) = @_;
    my $named = $self->{named};
    return 0 if grep { _has_value(@{$_}) } @{ $self->{without_value} };
    return 0 if defined $self->{own_generation} && $self->{own_generation} != Argon::Code::Ship::OwnModules::generation();
    no strict 'refs';
    for my $name (keys %$named) {
        return 0 unless defined &{$name} && Scalar::Util::refaddr(\&{$name}) == $named->{$name};
    }
    return 1;
}

sub _add_unit {
    my ($self, $code, $name, $is_optional) = @_;
    $is_optional ||= $self->{is_optional};
    my $cv    = B::svref_2object($code);
    my $index = $self->{unit_of}{$$cv};
    my $known = defined $index ? $self->{units}[$index] : undef;
    if ($known && $known->{optional} && !$is_optional) {
        $known->{optional} = 0;
        push @{ $self->{todo} }, $known;
    }
    if (!$known) {
        my $unit = { cv => $cv, code => $code, index => scalar @{ $self->{units} }, optional => $is_optional };
        ($unit->{package}, $unit->{name}) = Argon::Code::Analyse::Origin::full_name($cv);
        $unit->{package} = 'main' unless defined $unit->{package};
        $index = $self->{unit_of}{$$cv} = $unit->{index};
        push @{ $self->{units} }, $unit;
        push @{ $self->{ $is_optional ? 'later' : 'todo' } }, $unit;
    }
    if (defined $name) {
        push @{ $self->{names} }, [$index, $name];
        $self->{named}{$name}   = $$cv;
        $self->{declare}{$name} = [prototype $code, $cv->CvFLAGS & B::CVf_LVALUE() ? 1 : 0];
    }
    return $index;
}

sub _describe {
    my ($self, $unit) = @_;
    my $cv = $unit->{cv};
    my $described = eval {
        if (!${ $cv->ROOT } && Argon::Code::Analyse::Origin::is_constant($cv)) {
            Argon::Code::Write::Constants::describe($self, $unit);
        }
        else {
            $self->_describe_code($unit);
        }
        1;
    };
    return if $described;
    my $refusal = $@;
    die $refusal unless ref $refusal && $refusal->isa('Argon::Code::Refusal');
    $refusal->at(Argon::Code::Write::Verification::place($cv));
    die $refusal unless $unit->{optional};
    # A method that may never be called must not stop the rest of its class; if it
    # is called, it dies with the reason.
    $unit->{text} = 'sub { die ' . B::perlstring($refusal->sentence . "\n") . ' }';
    $unit->{unverified} = 1;
    $unit->{needs}      = {};
    return;
}

sub _describe_code {
    my ($self, $unit) = @_;
    my $cv = $unit->{cv};
    ${ $cv->ROOT }
        or Argon::Code::Refusal->throw('a sub that is declared but has no body', 'load or define it first');
    my %around  = (blocks => 0);
    my @opening = $self->_opening($unit, \%around);
    $unit->{closing} = '}' x $around{blocks};
    $unit->{text}    = 'sub ' . $unit->{code};
    $unit->{opening} = join "\n", @opening;
    my $refusal = $self->{refused}{$$cv} or return;
    Argon::Code::Write::SourceFromFile::give($self, $unit, @opening) or die $refusal;
    return;
}

# The lines in front of a sub that make its captured variables, lexical subs,
# constants, pragmas and package what they were; the sub's own text in $unit->{code}.
sub _opening {
    my ($self, $unit, $around, $own_name) = @_;
    my $cv    = $unit->{cv};
    my $reach = Argon::Code::Analyse::Dependencies::of($cv);
    $self->{$_} ||= $reach->{$_} for qw(has_state has_match has_eval loads);
    $self->{$_} ||= !$self->{is_optional} && $reach->{$_} for qw(reads_match reads_error);
    my @extra = $reach->{evaluates_text} ? Argon::Code::Analyse::Dependencies::lexicals_for_text($cv, $reach) : ();
    my @force = map { $_->{name} } @extra;
    my (@aliases, @subs);
    for my $capture (@{ $reach->{captures} }, @extra) {
        my ($sigil, $name) = $capture->{name} =~ /\A(.)(.+)/s;
        if ($sigil eq '&') {
            next if defined $own_name && $name eq $own_name;    # it calls itself
            push @subs, $self->_lexical_sub($unit, $capture, $name, $around);
            next;
        }
        my $slot = $self->{slots}->lexical($unit, $capture, $self->{is_optional});
        ($unit->{owner} || $unit)->{needs}{$slot} = 1;
        push @aliases, [ $capture->{name}, "\$argon_cell->[$slot]" ];
    }
    my @constants;
    my ($text, $state, $package) = eval { Argon::Code::Write::Deparse->text_of($cv, \@constants, \@force) };
    ($text, $state, $package) = $self->_unreadable($unit, $@) if !defined $text;
    my @constant_lines = Argon::Code::Write::Constants::lines($self, $unit, \@constants);
    $unit->{constants} = \@constants;
    $unit->{code}      = $text;
    $unit->{globs}     = $reach->{globs};
    $self->add_globs($unit, $reach);
    $self->add_named_classes($reach);
    my $start = Argon::Code::Analyse::Optree::first_statement($cv);
    my ($opening, $closing) = Argon::Code::Analyse::PerlVersion::aliases(@aliases);
    $around->{blocks} += length $closing;
    return (@subs, @$opening, @constant_lines,
        ($state ? Argon::Code::Analyse::Pragma::change(undef, $state) : ()), "package $package;",
        ($start && $reach->{uses_autodie} ? Argon::Code::Analyse::Pragma::autodie($start) : ()),
        ($start ? '#line ' . $start->line . ' "' . $start->file . '"' : ()));
}

# The file may have the source that the op tree does not give back.
sub _unreadable {
    my ($self, $unit, $why) = @_;
    my $start = ${ $unit->{cv}->ROOT } ? Argon::Code::Analyse::Optree::first_statement($unit->{cv}) : undef;
    die $why if !$start;
    $why =~ s/ at \S+ line \d+\..*//s;
    $self->{refused}{ ${ $unit->{cv} } } ||= eval { Argon::Code::Refusal->throw("perl cannot give back its source ($why)", 'put it in a module, or use Argon::Code->from_source') } || $@;
    return ('{}', Argon::Code::Analyse::Pragma::of($start), $start->stashpv);
}

# A captured "my sub" is written out again, in a scope around its user. What it
# captures itself is opened first, in scopes further out. It stands for its own
# value: state variables and its identity are not shared with another user.
sub _lexical_sub {
    my ($self, $unit, $capture, $name, $around) = @_;
    my $cv = $capture->{cv} || Argon::Code::Analyse::Optree::pad_value($unit->{cv}, $capture->{index});
    $cv->isa('B::CV') or Argon::Code::Refusal->throw("the lexical sub $name is not defined yet", 'define it first');
    if ($cv->XSUB && !Argon::Code::Analyse::Origin::is_constant($cv)) {
        # use builtin 'trim' makes a lexical name for a sub of perl
        my ($package, $real) = Argon::Code::Analyse::Origin::full_name($cv);
        defined $real && $package eq 'builtin'
            or Argon::Code::Refusal->throw("the lexical sub $name, which is compiled (XS)", 'call it by its full name');
        return "BEGIN { Argon::Code::Receive::lexical_builtin(" . B::perlstring($real) . ') }';
    }
    if ($around->{$$cv}++) {
        Argon::Code::Refusal->throw("the lexical subs around $name call each other in a circle", 'make one of them a named sub');
    }
    my $part = { owner => $unit->{owner} || $unit, cv => $cv, package => $unit->{package}, path => $unit->{path} && [ @{ $unit->{path} }, $capture->{index} ] };
    my @opening = $self->_opening($part, $around, $name);
    $around->{$$cv}--;
    # Perl makes the sub when its block begins, so what it captures must stand outside.
    $around->{blocks}++;
    return @opening, '{', "my sub $name $part->{code}";
}

sub add_globs {
    my ($self, $unit, $reach) = @_;
    $self->{requires}{$_} = 1 for keys %{ $reach->{requires} || {} };
    for my $name (sort keys %{ $reach->{globs} }) {
        for my $slot (sort keys %{ $reach->{globs}{$name} }) {
            $self->_add_glob($name, $slot) if !$self->{seen}{$name}{$slot}++;
            my $number = $self->{slots}->number_of_global($name, $slot);
            $unit->{needs}{$number} = 1 if defined $number;
        }
    }
    return;
}

sub _add_glob {
    my ($self, $name, $slot) = @_;
    return $self->add_sub($name) if $slot eq 'CODE';
    if ($slot eq 'IO') {
        # Each sub that uses it is refused.
        delete $self->{seen}{$name}{IO};
        return Argon::Code::Ship::Captures::refuse_open_handle($name);
    }
    return if $self->_is_of_required_module($name, $slot);
    my ($module, $target) = Argon::Code::Ship::Captures::imported_tied($name, $slot);
    return $self->{slots}->global($name, $slot, $self->{is_optional}) if !$module;
    $self->{modules}{$module} = 1;
    $self->{variables}{$name} = [$target, $slot] if $name ne $target;
    return;
}

# True for a variable of a module that the code itself loads, and this program does not have: there is no value to send, and
# that of the module must stay as it is.
sub _is_of_required_module {
    my ($self, $name, $slot) = @_;
    my ($package) = $name =~ /\A(.*)::/s;
    (my $file = "$package.pm") =~ s{::}{/}g;
    return 0 if !$self->{requires}{$file} || _has_value($file, $name, $slot);
    push @{ $self->{without_value} }, [$file, $name, $slot];
    return 1;
}

sub _has_value {
    my ($file, $name, $slot) = @_;
    return exists $INC{$file} || grep { $_ eq $slot } Argon::Code::Ship::Captures::filled($name);
}

sub add_sub {
    my ($self, $name) = @_;
    no strict 'refs';
    if (!defined &{$name}) {
        # Perl would call AUTOLOAD; without one it dies there as it would here.
        my ($package) = $name =~ /\A(.*)::/s;
        $self->{undefined}{$name} = 1;
        my $autoload = "${package}::AUTOLOAD";
        $self->add_sub($autoload) if $name ne $autoload && defined &{$autoload};
        return;
    }
    my $code   = \&{$name};
    my $origin = Argon::Code::Analyse::Origin::of($code);
    if ($origin->{kind} eq 'module') {
        $self->{modules}{ $origin->{module} } = 1;
        $self->{alias}{$name} = $origin->{name};
        $self->{named}{$name} = Scalar::Util::refaddr($code);
    }
    elsif ($origin->{kind} eq 'built in') {
        $self->{alias}{$name} = $origin->{name} if $name ne $origin->{name};
    }
    else {
        Argon::Code::Analyse::Dependencies::refuse_replaced_builtin($name, $code);
        $self->_add_unit($code, $name);
    }
    return;
}

sub add_named_classes {
    my ($self, $reach) = @_;
    for my $class (sort keys %{ $reach->{classes} }) {
        $self->add_class($class, $reach->{classes}{$class});
    }
    for my $word (sort keys %{ $reach->{words} || {} }) {
        # A name that is only a string can still reach a package variable: ${"main::level"}.
        my ($package) = $word =~ /\A(.+)::\w+\z/ or next;
        next unless Argon::Code::Analyse::Classes::is_of_script($package);
        no strict 'refs';
        next unless Argon::Code::Analyse::Classes::has_entry($word);
        for my $slot (Argon::Code::Ship::Captures::filled($word)) {
            $self->{slots}->global($word, $slot, $self->{is_optional}) if !$self->{seen}{$word}{$slot}++;
        }
        $self->add_sub($word) if defined &{$word} && !$self->{seen}{$word}{CODE}++;
    }
    return;
}

sub add_class {
    my ($self, $class, $is_certain) = @_;
    $class =~ s/\A:://;
    $class =~ s/'/::/g;
    return if $self->{seen}{"class $class"}++;
    my $plan = Argon::Code::Analyse::Classes::plan($class, $is_certain) or return;
    $self->{class_modules}{$_} = 1 for @{ $plan->{modules} };
    if (my $maker = $plan->{is_of_script} && Argon::Code::Analyse::Classes::maker($plan)) {
        # A name that is only a string may be no class that is meant.
        eval { Argon::Code::Ship::DeclaredClasses::add($self, $class, $maker, $plan); 1 } or $is_certain && die $@;
        return;
    }
    for my $name (@{ $plan->{subs} }) {
        next if $self->{seen}{$name}{CODE}++;
        no strict 'refs';
        my $code = \&{$name};
        my $origin = eval { Argon::Code::Analyse::Origin::of($code) } or next;
        if ($origin->{kind} eq 'value') { $self->_add_unit($code, $name, 1) }
        else {
            $self->{modules}{ $origin->{module} } = 1 if $origin->{module};
            $self->{alias}{$name} = $origin->{name};
            $self->{named}{$name} = Scalar::Util::refaddr($code);
        }
    }
    $self->add_class($_, 1) for @{ $plan->{parents} };
    if ($plan->{is_of_script}) {
        my %overloads = map {
            my $how = $plan->{overloads}{$_};
            ($_ => ref $how eq 'CODE' ? \$self->_add_unit($how, undef, 1) : $how);
        } keys %{ $plan->{overloads} };
        push @{ $self->{classes} }, { name => $class, parents => $plan->{parents}, overloads => \%overloads, fallback => $plan->{fallback} };
    }
    return;
}

1;
