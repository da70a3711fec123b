package Argon::Client;

# Owns the interface that programs call: queue, defer, submit, collect, map and what goes with them. It turns a call into
# a SUBMIT frame, which is the hot path here; Argon::Client::Session takes it from there. The manual is in Client.pod.

use 5.016;
use strict;
use warnings;

use Scalar::Util ();

use Argon                  ();
use Argon::Client::Net::Address ();
use Argon::Client::Net::Trust ();
use Argon::Client::Code    ();
use Argon::Client::Detached ();
use Argon::Client::Loop    ();
use Argon::Client::Map     ();
use Argon::Client::Options ();
use Argon::Client::Result  ();
use Argon::Client::Session ();
use Argon::Client::Session::LogRecords ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Client::Wait::Leaving ();
use Argon::Code::Ship::OwnModules ();
use Argon::Data     ();
use Argon::Deferred ();
use Argon::Error    ();
use Argon::Protocol qw(:all);

use parent -norequire, 'Argon::Client::Detached';

our $VERSION = $Argon::VERSION;

# Note the modules loaded so far before their files can change.
Argon::Code::Ship::OwnModules::note();

my %CONNECTION_OPTION = map { $_ => 1 } Argon::Client::Options::CONNECTION_OPTIONS;

# Clients that are alive, so that they send GOODBYE before perl destroys objects in any order.
my %alive;

sub new {
    my ($class, @arguments) = @_;
    my %given = Argon::Client::Net::Address::arguments(
        sub { return $CONNECTION_OPTION{ $_[0] } || Argon::Client::Options::is_known($_[0]) }, @arguments);
    my %defaults = map { $_ => $given{$_} } grep { !$CONNECTION_OPTION{$_} } keys %given;
    my $session = Argon::Client::Session->new(
        _way(\%given),
        key            => $given{key},
        trust          => Argon::Client::Net::Trust->new(map { $_ => $given{$_} } qw(insecure_plaintext tls_ca)),
        give_up_after  => scalar Argon::Client::Options::seconds(\%given, 'give_up_after'),
        remote_modules => $given{remote_modules} // 1,
        on_waiting     => scalar Argon::Client::Options::on_waiting(\%given),
        on_log         => Argon::Client::Options::on_log(\%given),
        on_interrupt   => Argon::Client::Options::on_interrupt($given{on_interrupt}),
    );
    my $self = bless {
        session  => $session,
        code     => Argon::Client::Code->new,
        defaults => \%defaults,
        options  => Argon::Client::Options::resolve(\%defaults),
        folder_meta => q{},
    }, $class;
    _remember_folder($self);
    _speak_as_before($self, $given{interface}) if defined $given{interface};
    Scalar::Util::weaken($alive{ Scalar::Util::refaddr($self) } = $self);
    $session->attach($given{loop}) if $given{loop};
    $self->connect if $given{connect};
    return $self;
}

# The one client of the task that this process executes.
my $current;

sub current {
    my ($class) = @_;
    require Argon::Client::InTask;
    Argon::Client::InTask->here
        or die Argon::Error->new(kind => 'option', message => 'Argon::Client: current is the client of a task, and this program is not'
            . ' in one: make a client with the address of a manager, Argon::Client->new(host => ..., port => ...)');
    return $current ||= $class->new;
}

# Fields of the session that name its peer: addresses of managers; inside a task without an address, its own worker.
sub _way {
    my ($given) = @_;
    my $task = grep({defined} @{$given}{qw(host port hosts key)}) || !defined $ENV{ARGON_WORKER_SOCKET} ? undef : do {
        require Argon::Client::InTask;
        Argon::Client::InTask->here;
    };
    return (addresses => [$task], task => $task) if $task;
    return (addresses => [Argon::Client::Net::Address::all(@{$given}{qw(host port hosts)})]);
}

sub connect {
    my ($self) = @_;
    $self->session->connect;
    return $self;
}

sub queue {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = @rest ? Argon::Client::Options::from_call($self->{defaults}, @rest) : $self->{options};
    # Made before the task is: a signal handler may die at any time.
    my $leaving = Argon::Client::Wait::Leaving->new($self->{session});
    my $record  = $self->_offer($code, $arguments, $options, $options->{wants_list} || wantarray, $leaving);
    $self->{session}->wait_for($record, $leaving) if !$record->[TASK_DONE];
    $self->{failed} = $record if $record->[TASK_STATUS] != STATUS_OK;
    return Argon::Client::Result::deliver($record);
}

sub defer {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = @rest ? Argon::Client::Options::from_call($self->{defaults}, @rest) : $self->{options};
    return Argon::Deferred->new($self->_offer($code, $arguments, $options, $options->{wants_list}), $self);
}

sub process { my ($self, @call) = @_; return $self->queue(@call) }

sub map {
    my ($self, @call) = @_;
    my $map   = $self->_map(@call);
    my $final = $map->final;
    # Whatever ends the waiting, an interrupt too, ends the tasks.
    if (!eval { $map->go_on; $self->{session}->wait_for($final); 1 }) {
        my $error = $@;
        $map->stop($error);
        die $error;
    }
    my @results = Argon::Client::Result::deliver($final);
    return wantarray ? @results : $map->gives_count ? $results[0] : \@results;
}

sub map_later {
    my ($self, @call) = @_;
    Argon::Client::Loop::of_loaded($self->session) if !$self->{session}{loops};
    my $map = $self->_map(@call);
    $map->go_on;
    $self->{session}->flush;
    return Argon::Deferred->new($map->final, $self);
}

sub _map {
    my ($self, $code, $items, @rest) = @_;
    my $options = Argon::Client::Options::from_call($self->{defaults}, @rest);
    my $is_list = ref $code eq 'Argon::Client::Foreign' ? $options->{wants_list} : $options->{maps_list};
    my $chunk   = $options->{chunk} && do { require Argon::Client::Map::Chunk; Argon::Client::Map::Chunk->of($code, $options, $is_list) };
    return Argon::Client::Map->new(
        items   => $items,
        options => $options,
        session => $self->session,
        chunk   => scalar $chunk,
        # As in perl's own map: the item is $_, and what is returned is a list.
        offer   => sub {
            return $self->_offer($chunk, $chunk->arguments(@{ $_[0] }), $options, 1) if @{ $_[0] } == 2;
            for ($_[0][0]) { return $self->_offer($code, $_[0], $options, $is_list) }
        },
    );
}

# Two things to call in the place of code: a Python function, and a command.
sub python  { my ($self, $name)  = @_; return _foreign()->python($name) }
sub command { my ($self, @words) = @_; return _foreign()->command(@words) }

sub _foreign {
    require Argon::Client::Foreign;
    return 'Argon::Client::Foreign';
}

# A handle for a value that travels once, however many tasks use it.
sub share {
    my ($self, $value, $options) = @_;
    require Argon::Shared;
    return Argon::Shared->new($value, $options);
}

# Returns the last failure that was thrown, an Argon::Error; undef if there is none.
sub last_failure {
    my ($self) = @_;
    my $record = $self->{failed} or return;
    return Argon::Client::Result::failure($record);
}

# Returns the report of the last task that threw, a hash reference; undef if there is none.
sub last_report {
    my ($self) = @_;
    my $record = $self->{failed} or return;
    return Argon::Deferred->new($record, $self)->report;
}

sub server_status {
    my ($self) = @_;
    my $reply = $self->asked('status');
    die Argon::Error->new(kind => 'rejected', message => $reply->{message} // 'the manager gives no status') if !$reply->{ok};
    delete @{$reply}{qw(request ok)};
    return wantarray ? %{$reply} : $reply;
}

# The manager's reply to a request, a hash reference. For the parts of this class.
sub asked {
    my ($self, $what, %fields) = @_;
    my $session = $self->session;
    $session->connect;
    my $record = [];
    $session->ask($what, $record, %fields);
    $session->wait_for($record);
    my ($reply) = @{ $record->[TASK_LIST] || [] };
    die Argon::Client::Result::error($record) if !$reply;
    return $reply;
}

# Writes what still waits to be sent together with later tasks.
sub flush {
    my ($self) = @_;
    $self->session->poll;
    return $self;
}

sub shutdown {
    my ($self) = @_;
    $self->session->close;
    return;
}

# Number of tasks without an outcome.
sub unfinished { return $_[0]->session->unfinished }

sub session {
    my ($self) = @_;
    my $session = $self->{session};
    $session->begin_after_fork if $session->{process} != $$;
    return $session;
}

# Makes the record of a task and its frame, and hands it to the session.
sub _offer {
    my ($self, $code, $arguments, $options, $wants_list, $leaving) = @_;
    _check_arguments($arguments) if ref $arguments ne 'ARRAY' && defined $arguments;
    my $session = $self->{session};
    $session->begin_after_fork if $session->{process} != $$;
    my ($runtime, $codec, $payload, $blob, $shared, $meta) = (RUNTIME_PERL, CODEC_RUNTIME);
    if ($blob = Argon::Code::known_blob($code)) {
        $payload = Argon::Data::encode([undef, $arguments || []], \$shared);
    }
    elsif (ref $code eq 'Argon::Client::Foreign') {
        ($runtime, $codec, $meta, $payload) = $code->task($arguments || []);
    }
    else {
        ($blob, my $captures, $meta) = ref $code eq 'Argon::Client::Map::Chunk' ? $code->prepare : $self->{code}->prepare($code);
        $payload = Argon::Data::encode([$captures, $arguments || []], \$shared, $code);
    }
    $meta = _with_label($meta, $options->{label}) if defined $options->{label};
    $meta = _with_log($self, $meta, $blob) if $runtime == RUNTIME_PERL && (ref $session->{on_log} || $INC{'Log/Any.pm'});
    $meta = _with_folder($self, $meta, $blob) if $self->{folder};
    $meta = q{} if !defined $meta;
    my $length  = length $payload;
    _refuse_size($length) if $length > PAYLOAD_BYTES_MAX;

    my $hashes = $blob ? $blob->[0] : q{};
    $hashes .= _hashes_of($shared) if $shared;
    my $flags = $options->{flags} | ($wants_list ? FLAG_LIST : 0);
    # The head behind the id is the same for most tasks with the same options.
    my $middle = length $meta && $meta ne $self->{folder_meta} || length $hashes != 32 || $runtime != RUNTIME_PERL
        ? _middle($options, $flags, $runtime, $codec, $hashes, $meta)
        : ($options->{middle}{ $flags . q{ } . length $meta } ||= _middle($options, $flags, $runtime, $codec, $hashes, $meta));
    my $id   = $session->next_id;
    my $body = 1 + TASK_HEAD_BYTES + length($hashes) + length $meta;
    # As the manager counts them, without the head.
    my $bytes = $length + length($hashes) + length $meta;
    my @record;
    if ($length <= PART_BYTES_MAX) {
        @record = ($id, pack('N C a24 a* Q> a* a* a*', $body + $length, SUBMIT, $id, $middle, $length, $hashes, $meta, $payload), $blob, $bytes, $options, $wants_list);
    }
    else {
        @record = ($id, pack('N C a24 a* Q> a* a*', $body, SUBMIT, $id, $middle, $length, $hashes, $meta), $blob, $bytes, $options, $wants_list);
        $record[TASK_BIG] = \$payload;
    }
    $record[TASK_SHARED] = [map { $_->blob } @{$shared}] if $shared;
    $leaving->[1] = \@record if $leaving;
    $session->offer(\@record);
    return \@record;
}

# From the attempt to the stream.
sub _middle {
    my ($options, $flags, $runtime, $codec, $hashes, $meta) = @_;
    return pack 'N n C C N n C C N N N N', 0, $flags, $options->{priority}, $runtime, $options->{timeout_ms}, $options->{retries}, $codec,
        length($hashes) >> 5, $options->{backoff_ms}, $options->{memory_mib}, length $meta, 0;
}

sub _hashes_of {
    my ($shared) = @_;
    die Argon::Error->new(kind => 'option', message => 'Argon::Client: a task can have ' . (BLOBS_MAX - 1) . ' shared values, not ' . @{$shared})
        if @{$shared} >= BLOBS_MAX;
    return join q{}, map { $_->blob->[0] } @{$shared};
}

sub _with_label {
    my ($meta, $label) = @_;
    require JSON::PP;
    my $json = JSON::PP->new->utf8->canonical;
    return $json->encode({ %{ defined $meta ? $json->decode($meta) : {} }, label => $label });
}

# Code that is proven to be pure does not see where it is.
sub _with_folder {
    my ($self, $meta, $blob) = @_;
    return $meta =~ s/\A\{/{$self->{folder},/r if defined $meta;
    return $blob && $blob->[1] =~ /\A\N*; it leaves nothing behind\n/ ? undef : $self->{folder_meta};
}

# Names the folder of this program: its tasks start there where a worker has it.
sub _remember_folder {
    my ($self) = @_;
    require Cwd;
    my $folder = Cwd::getcwd();
    my $text = $folder // q{};
    # A name that is not UTF-8, or of control characters, is none for JSON.
    return if $text !~ m{\A/} || length $text > 4096 || $text =~ /[\x00-\x1f]/ || !utf8::decode(my $copy = $text);
    $text =~ s/(["\\])/\\$1/g;
    $self->{folder} = qq("folder":"$text");
    $self->{folder_meta} = "{$self->{folder}}";
    return;
}

# Code that is proven to be pure logs nothing.
sub _with_log {
    my ($self, $meta, $blob) = @_;
    my $wanted = Argon::Client::Session::LogRecords::wanted($self->{session}{on_log}) or return $meta;
    return $meta if $blob && $blob->[1] =~ /\A\N*; it leaves nothing behind\n/;
    my $log = qq("log":"$wanted");
    return defined $meta ? $meta =~ s/\A\{/{$log,/r : "{$log}";
}

sub _check_arguments {
    my ($given) = @_;
    return if (Scalar::Util::reftype($given) // q{}) eq 'ARRAY';
    die Argon::Error->new(kind => 'option',
        message => "Argon::Client: the arguments of a task are an array reference, as in queue(\$code, [4, 7]), not '$given'");
}

sub _refuse_size {
    my ($bytes) = @_;
    die Argon::Error->new(kind => 'option',
        message => "Argon::Client: the arguments take $bytes bytes, more than the " . PAYLOAD_BYTES_MAX . ' that one task may have');
}

# True if the id is of a task that this client made.
sub is_own { return index($_[1], unpack 'H*', $_[0]->session->{identity}) == 0 }

sub _speak_as_before {
    my ($self, $version) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: interface must be a version from 0.12 to 0.16, not '$version'")
        if $version !~ /\A0[.]1[2-6]\z/;
    require Argon::Client::Original;
    return bless $self, 'Argon::Client::Original';
}

sub DESTROY {
    my ($self) = @_;
    delete $alive{ Scalar::Util::refaddr($self) };
    my $session = $self->{session} or return;
    return if $session->{process} != $$ || ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!, $?);
    eval { $session->close };
    return;
}

END {
    local ($@, $!, $?);
    for my $client (grep {defined} values %alive) {
        next if $client->{session}{process} != $$;
        eval { $client->{session}->close };
    }
}

1;
