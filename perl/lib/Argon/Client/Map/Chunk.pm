package Argon::Client::Map::Chunk;

# Owns a task that calls the code of a map for several items: the text that a worker runs, and what its result says of each
# item. Any other end than ok says nothing about an item: the map then makes a task of each.

use strict;
use warnings;

use Argon::Client::Result ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Code ();
use Argon::Error ();
use Argon::Protocol qw(:all);

# Around the text of the code, which comes as a factory. Captured scalars are made anew for each item. The sub seems to be called by
# the runner, as in a task of one item; see Argon::Runner::Caller.
#
# Arguments: seconds after which no further item is begun, 0 for no limit; true for list context; the items. The result has an
# element for each item that was called, up to the first that threw:
#   a value that is not a reference   the only one that the item returned
#   a reference to bytes              the payload of an outcome that is ok
#   an array of such bytes            the payload of an error, the last element
my $TEXT = <<'END';
sub {
my ($argon_cells) = @_;
my $argon_factory = do {
%s};
#line 1 "Argon chunk"
package Argon::Runner::FastPath;
return sub {
    my ($seconds, $wants_list, @items) = @_;
    my ($begun, $process, $is_last, @outcomes) = (Time::HiRes::time(), $$);
    %s
    for my $item (@items) {
        my ($ok, $thrown, $entered, $ended, @list);
        %s
        for ($item) {
            last if $entered++;
            $ok = eval {
                my $code = $argon_factory->([map { ref eq 'SCALAR' ? \(my $copy = $$_) : $_ } @{ $argon_cells || [] }]);
                *_ = \$item;
                if ($wants_list) { @list = $code->($_) }
                else             { $list[0] = $code->($_) }
                1;
            };
            $thrown = $@ if !$ok;
            $ended = 1;
        }
        %s
        if ($ok && @list == 1 && !ref $list[0]) {
            push @outcomes, $list[0];
        }
        else {
            my ($status, $bytes) = Argon::Runner::encoded($ok, $ok ? \@list : [Argon::Runner::thrown($ended, $thrown)]);
            push @outcomes, $status ? [$bytes] : \$bytes;
            $is_last = 1 if $status;
        }
        Argon::Code::Receive::restore();
        last if $is_last || $seconds && Time::HiRes::time() - $begun > $seconds;
    }
    return @outcomes;
};
}
END

# Code that may change anything finds perl's variables as a task does. What it changes of the process is put back after a task,
# so an item that changes any of it is the last one. A child that it forked ends.
my $ONCE   = q[my $state = sub { join "\0", umask, %ENV, values %SIG, (stat q{.})[0, 1] }; my $first = $state->();];
my $BEFORE = q[local ($/, $\, $,, $;, $") = ("\n", undef, undef, "\034", q{ }); local ($@, $!); $? = 0;];
my $AFTER  = q[if ($$ != $process) { die $thrown if !$ok; return } alarm 0; $is_last = $first ne $state->();];

# Undef where each item must be a task: for what is not code, code with which each task begins anew, and options that are about one
# item. That is an error if a number of items was asked for.
sub of {
    my ($class, $code, $options, $wants_list) = @_;
    my $self = bless { code => $code, wants_list => $wants_list ? 1 : 0, blobs => {} }, $class;
    my $why = ref $code ne 'CODE' ? 'it needs a code reference'
        : defined $options->{of_one} ? "$options->{of_one} is about one item"
        : $self->_shipped->{text} =~ /\A\N*; it keeps something from run to run\n/ ? 'this code keeps something from run to run'
        : return $self;
    return if $options->{chunk} eq 'auto';
    die Argon::Error->new(kind => 'option', message => "Argon::Client: chunk makes one task of several items, and $why");
}

# The blob [hash, text] and the captured values, as they are now. Argon::Client calls it.
sub prepare {
    my ($self) = @_;
    my $shipped = $self->_shipped;
    return ($self->{blobs}{ $shipped->{text} } ||= Argon::Code::blob_of(_text($shipped->{text})), $shipped->{captures});
}

sub _shipped {
    my ($self) = @_;
    # The item is not known yet.
    for (my $item) { return Argon::Code::ship($self->{code}) }
    return;
}

sub _text {
    my ($text) = @_;
    my ($header) = $text =~ /\A(\N*\n)/;
    my @checks = $header =~ /; it leaves nothing behind$/ ? (q{}) x 3 : ($ONCE, $BEFORE, $AFTER);
    return $header . sprintf $TEXT, $text, @checks;
}

# The arguments of the task.
sub arguments {
    my ($self, $seconds, $items) = @_;
    return [$seconds, $self->{wants_list}, @{$items}];
}

# For each item that was called, its value, or a record that is done; nothing if the record of the task does not say.
sub outcomes {
    my ($self, $record) = @_;
    return [] if $record->[TASK_STATUS] != STATUS_OK;
    my @given = eval { Argon::Client::Result::deliver($record) };
    return [map { ref ? $self->_outcome($_) : $_ } @given];
}

sub _outcome {
    my ($self, $given) = @_;
    my @record;
    @record[TASK_DONE, TASK_STATUS, TASK_WANTS_LIST] = (1, STATUS_OK, $self->{wants_list});
    if (ref $given eq 'ARRAY') { @record[TASK_STATUS, TASK_PAYLOAD] = (STATUS_ERROR, $given->[0]) }
    else                       { $record[TASK_PAYLOAD] = ${$given} }
    return \@record;
}

1;
