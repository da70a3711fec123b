package CodeRuns;

# Counts the statements of other people's modules that run while code is made ready to travel. Perl calls DB::DB in front of
# each statement that was compiled after this module was loaded: load it before the modules that are watched.
#
# A shipment is compiled with the files and lines of its subs. So the statements of its frame, and the BEGIN blocks that Argon
# writes in front of it, carry the name of a module's file, too. They are left out: a frame is run only by Argon::Code::Write::Frame
# and Argon::Code::Write::Verification, once it is proven to be a frame (see there), and t/code/nothing_runs.t counts BEGIN blocks.

use strict;
use warnings;

# Let perl stop in front of each statement, without the rest of a debugger.
BEGIN { $^P |= 0x02 }

# What perl itself loads for a pragma, wherever code is compiled.
my $OF_PERL = qr{/(?:[a-z]\w*(?:/\w+)*|Config\w*)\.pm\z};
my $OF_TEST = qr{/Argon/|/Code(?:Corpus|Runs)\.pm\z};

my (%is_own, %ran);

# Modules that are loaded when this is called are the sender's own.
sub watch_what_comes { %is_own = map { $_ => 1 } values %INC; return }

# The statements that ran while the block did: { "FILE line N in SUB" => times }.
sub during {
    my ($block) = @_;
    %ran = ();
    {
        local $DB::trace = 1;
        $block->();
    }
    return {%ran};
}

sub note_statement {
    my ($file, $line) = @_;
    return if $is_own{$file} || $file !~ m{\.pm\z} || $file =~ $OF_PERL || $file =~ $OF_TEST;
    my ($by, $sub) = (caller 2)[0, 3];
    return if $sub =~ /::BEGIN\z/ || $sub =~ /::__ANON__\z/ && $by =~ /\AArgon::Code::Write::(?:Frame|Verification)\z/;
    $ran{"$file line $line in $sub"}++;
    return;
}

package DB;

sub DB {
    my (undef, $file, $line) = caller;
    CodeRuns::note_statement($file, $line);
    return;
}

1;
