package Argon::Runner::Code;

# Owns what a task runs: the code blobs that this runner has, compiled once each, and the calls by name. It returns
# code references and dies with a sentence when there is none. Argon::Runner calls it while the task is running, so
# that modules the code needs can be asked for.

use strict;
use warnings;

use Argon::Code::Receive  ();
use Argon::Runner::Caller  ();
use Argon::Runner::Modules ();

my $ENTRIES_MAX = 1_000;

# The end of a shipment that puts nothing into the symbol table; $_ is the runner's own while a task runs.
my $INSTALLS_NOTHING
    = qr/^Argon::Code::Receive::install\(subs => \\\@argon_sub, cells => \$argon_cell(?:, globals => \[\[\d+, "main::_", 'alias'\]\])?\)(?: if \$Argon::Code::Receive::CHECKING)?;\n(?:Argon::Code::Receive::name_sub\("[\w:]+", \$argon_sub\[0\]\);\n)?\$argon_sub\[0\];\n\}\n\z/m;

sub new {
    my ($class) = @_;
    return bless { text => {}, entry => {}, by_name => {}, contained => {}, installing => {}, unsettled => {}, compiled => 0 }, $class;
}

sub keep_blob {
    my ($self, $hash, $text) = @_;
    $self->{text} = {} if keys %{ $self->{text} } >= $ENTRIES_MAX;
    $self->{text}{$hash} = ${$text};
    return;
}

sub has_blob {
    my ($self, $hash) = @_;
    return exists $self->{entry}{$hash} || exists $self->{text}{$hash};
}

# Returns and forgets the bytes of a blob that is not code.
sub give_up_blob {
    my ($self, $hash) = @_;
    return delete $self->{text}{$hash};
}

# True if the meta of a task names what to run.
sub is_named {
    my ($self, $meta) = @_;
    return 1 if exists $self->{by_name}{$meta};
    return 0 if $meta !~ /"(?:class|call)"/;
    require JSON::PP;
    my $wanted = eval { JSON::PP->new->utf8->decode($meta) };
    return ref $wanted eq 'HASH' && (defined $wanted->{class} || defined $wanted->{call});
}

# Number of times that code was compiled, or looked up by its name.
sub compiled { return $_[0]{compiled} }

# By hash, the factories of code that can leave nothing behind, as long as this object lives.
sub contained { return $_[0]{contained} }

# By hash, those of them that must be looked after all the same when they run next: they put subs or variables into the symbol
# table, and what they replace there may be an object that another task left, with a destructor.
sub unsettled { return $_[0]{unsettled} }

# A task has run that may have left anything in the symbol table.
sub unsettle {
    my ($self) = @_;
    %{ $self->{unsettled} } = %{ $self->{installing} } if %{ $self->{installing} };
    return;
}

# An entry for a code blob: { factory, inc }. The factory makes a fresh code reference from the captured values; inc
# is the @INC that the code left when it was compiled (use lib), if it changed it.
sub from_blob {
    my ($self, $hash) = @_;
    return $self->{entry}{$hash} if exists $self->{entry}{$hash};
    my $before  = "@INC";
    $self->{compiled}++;
    my $factory = eval { Argon::Code::receive($self->{text}{$hash}) };
    _refuse($@) if !defined $factory;
    my $entry = { factory => $factory, inc => $before eq "@INC" ? undef : _hook_last(), calls_kernel => $self->{text}{$hash} =~ /\b(?:syscall|setitimer|ualarm)\b/ ? 1 : 0 };
    my $is_contained = !$entry->{inc} && _is_contained($self->{text}{$hash});
    my $installs     = $is_contained && $self->{text}{$hash} !~ $INSTALLS_NOTHING;
    $self->_keep($hash, $entry);
    $self->{contained}{$hash}  = $factory if $is_contained;
    $self->{installing}{$hash} = 1        if $installs;
    return $entry;
}

# True if the text is marked as pure and means the same here: an earlier task may have overridden a builtin.
sub _is_contained {
    my ($text) = @_;
    return 0 if $text !~ /\A\N*; it leaves nothing behind\n/;
    no strict 'refs';
    for my $package ('CORE::GLOBAL', $text =~ /^package ([\w:]+);$/mg) {
        return 0 if grep { defined &{"${package}::$_"} && !Argon::Runner::Caller::is_ours(\&{"${package}::$_"}) && eval { () = prototype "CORE::$_"; 1 } } keys %{"${package}::"};
    }
    return 1;
}

# An entry for the meta of a task without a code blob: {"class":...} or {"call":...}.
sub from_meta {
    my ($self, $meta) = @_;
    return $self->{by_name}{$meta} if exists $self->{by_name}{$meta};
    require JSON::PP;
    my $wanted = eval { JSON::PP->new->utf8->decode($meta) };
    $self->{compiled}++;
    Argon::Runner::Modules::own(@{ $wanted->{own} }) if ref $wanted eq 'HASH' && ref $wanted->{own} eq 'ARRAY';
    my $code
        = ref $wanted ne 'HASH'      ? undef
        : defined $wanted->{class}   ? _class($wanted->{class})
        : defined $wanted->{call}    ? _function($wanted->{call})
        :                              undef;
    _refuse("it names no code, no class and no function\n") if !$code;
    my $entry = { factory => sub { return $code }, inc => undef };
    $self->{by_name} = {} if keys %{ $self->{by_name} } >= $ENTRIES_MAX;
    $self->{by_name}{$meta} = $entry;
    return $entry;
}

sub _class {
    my ($class) = @_;
    _check_name($class);
    _load($class, "the class $class") if !$class->can('new');
    _refuse("the class $class has no method new\n") if !$class->can('new');
    return sub { return $class->new(@_)->run };
}

sub _function {
    my ($name) = @_;
    _check_name($name);
    my ($package) = $name =~ /\A(.+)::\w+\z/;
    _refuse("the function $name is named without its package\n") if !defined $package;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    _load($package, "the function $name") if !defined &{$name};
    _refuse("there is no function $name\n") if !defined &{$name};
    return \&{$name};
}

sub _check_name {
    my ($name) = @_;
    return if $name =~ /\A[^\W\d]\w*(?:::\w+)*\z/;
    return _refuse("'$name' is not the name of a class or a function\n");
}

# The line of this file does not help a user who asked for a module.
sub _load {
    my ($package, $wanted) = @_;
    (my $file = "$package.pm") =~ s{::}{/}g;
    return 1 if eval { require $file };
    my $here = __FILE__;
    (my $reason = Argon::Runner::Modules::without_line_of_hook($@)) =~ s/ at \Q$here\E line \d+\.?\n\z/\n/;
    return _refuse("$wanted was asked for: $reason");
}

sub _refuse {
    my ($reason) = @_;
    my $worker = defined $ENV{ARGON_WORKER} ? " of worker $ENV{ARGON_WORKER}" : '';
    my $version = sprintf '%vd', $^V;
    die "the code of this task does not load on perl $version$worker: $reason";
}

sub _keep {
    my ($self, $hash, $entry) = @_;
    if (keys %{ $self->{entry} } >= $ENTRIES_MAX) {
        # The worker believes that this runner still has them; NEED_BLOB mends that when one comes up.
        $self->{entry} = {};
        %{ $self->{$_} } = () for qw(contained installing unsettled);
    }
    delete $self->{text}{$hash};
    $self->{entry}{$hash} = $entry;
    return;
}

# "use lib" puts folders first; the hook that asks the client must stay last even after a push.
sub _hook_last {
    my @paths = grep { ref ne 'Argon::Runner::Modules' } @INC;
    my @hooks = grep { ref eq 'Argon::Runner::Modules' } @INC;
    return [@paths, @hooks];
}

1;
