package Argon::Client::Session::LogRecords;

# Owns the log records of tasks at the client: OUTPUT frames with the descriptor 3 (spec/protocol.md section 7). They go to the
# program's on_log, else to Log::Any if the program has loaded it, else nowhere. Also owns the request for them in the meta.

use strict;
use warnings;

use JSON::PP ();

use constant DESCRIPTOR => 3;

my %METHOD_FROM = (5 => 'trace', 10 => 'debug', 20 => 'info', 25 => 'notice', 30 => 'warning', 40 => 'error', 50 => 'critical', 55 => 'alert', 60 => 'emergency');

# Words for the meta of a task that name what it logs; undef for nothing.
sub wanted {
    my ($listener) = @_;
    return 'any warn' if ref $listener;
    return defined $listener || !$INC{'Log/Any.pm'} ? undef : 'any';
}

sub on_record {
    my ($session, $json) = @_;
    my $record = eval { JSON::PP->new->utf8->decode($json) };
    return if ref $record ne 'HASH';
    local ($@, $!, $?);
    my $listener = $session->{on_log};
    if (ref $listener) {
        eval { $listener->($record); 1 } or warn "The on_log of an Argon client died: $@";
    }
    elsif (!defined $listener && $INC{'Log/Any.pm'}) {
        my ($level) = grep { $_ <= ($record->{level} || 0) } sort { $b <=> $a } keys %METHOD_FROM;
        my $method = $METHOD_FROM{ $level // 5 };
        eval { Log::Any->get_logger(category => $record->{logger} // q{})->$method($record->{message} // q{}); 1 } or warn "A log record of an Argon task was lost: $@";
    }
    return;
}

1;
