package Argon::Data::Copy;

# Owns the classes whose destructor is for the original only, such as a guard that removes a lock file. Copies of their objects,
# made where a message is read, end without a call of DESTROY: each is kept until nothing else refers to it, and then it is
# no longer of its class. Both ends run this file; objects that a task made itself are destroyed as ever.

use strict;
use warnings;
no overloading;

# A class of perl's own library that removes what the original still uses.
my %no_destroy = map { $_ => 1 } qw(File::Temp::Dir);

# Classes that the message of the running task has named; they also hold for what the task sends back.
my %said;

my @kept;

sub no_destroy {
    my (@classes) = @_;
    $no_destroy{$_} = 1 for @classes;
    return;
}

# True if copies of objects of this class end without DESTROY: declared for the class, a parent, or by a method of it.
sub is_silent {
    my ($class) = @_;
    return 1 if $said{$class} || UNIVERSAL::can($class, 'ARGON_NO_DESTROY') && $class->ARGON_NO_DESTROY;
    require mro;
    return scalar grep { $no_destroy{$_} } @{ mro::get_linear_isa($class) };
}

# Keeps a copy that is about to be blessed.
sub keep {
    my ($reference, $class) = @_;
    $said{$class} = 1 if $INC{'Argon/Runner.pm'};
    sweep() if !(@kept & 63);
    push @kept, $reference;
    return;
}

# Ends the copies that nothing else refers to.
sub sweep {
    require B;
    my @still;
    while (@kept) {
        my $reference = pop @kept;
        if   (B::svref_2object($reference)->REFCNT > 1) { push @still, $reference }
        else                                            { _end($reference) }
    }
    @kept = @still;
    return;
}

# Called by the runner after each task.
sub end_task {
    %said = ();
    sweep() if @kept;
    return;
}

sub _end {
    my ($reference) = @_;
    # A hash that is locked cannot change its class.
    eval { bless $reference, 'Argon::Data::Copy::Ended'; 1 }
        or do { &Internals::SvREADONLY($reference, 0); bless $reference, 'Argon::Data::Copy::Ended' };
    return;
}

END {
    local ($@, $!, $?);
    _end($_) for @kept;
}

1;
