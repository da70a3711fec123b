package Argon::Client::Net::Program;

# Owns the program `argon` as a helper of this process: finding it, and starting it with its streams on given handles. The helper
# belongs to init and to a session of its own: this process never waits for it, no signal handler sees its end, and a key that
# interrupts this program does not interrupt it.

use strict;
use warnings;

use Fcntl      qw(F_DUPFD);
use File::Spec ();
use POSIX      ();

# Descriptors of the helper's streams are first moved above these.
my $ABOVE = 10;

# The path in ARGON_PROGRAM, else that of the program that came with this library, else that of `argon` in PATH; undef if there is
# none.
sub find {
    return $ENV{ARGON_PROGRAM} if length($ENV{ARGON_PROGRAM} // q{});
    my ($found) = grep { -f && -x _ } _of_library(), map { File::Spec->catfile($_, 'argon') } File::Spec->path;
    return $found;
}

# `argon perl-lib` makes a link next to the library; the distribution installs into bin and lib/perl5 of one folder.
sub _of_library {
    my ($library) = ($INC{'Argon.pm'} // q{}) =~ m{\A(.*)/Argon\.pm\z}s or return;
    $library = File::Spec->rel2abs($library);
    return ("$library/argon-program", $library =~ m{\A(.+)/lib/perl5\z}s ? "$1/bin/argon" : ());
}

# Starts the program with these handles as its standard input, output and error. Returns true, or false with $! set.
sub start {
    my ($program, $arguments, %stream) = @_;
    my $child = fork // return 0;
    if ($child) {
        # It ends at once. A handler of the caller may have taken its status.
        waitpid $child, 0;
        return 1;
    }
    # Nothing of perl may run here that belongs to the program: no destructors, no END, no signal handlers.
    eval {
        local $SIG{__DIE__} = 'IGNORE';
        local $SIG{__WARN__} = sub { };
        POSIX::setsid();
        if (!fork) {
            my @moved = map { fcntl $stream{$_}, F_DUPFD, $ABOVE } qw(in out err);
            POSIX::dup2($moved[$_], $_) for 0 .. 2;
            POSIX::close($_) for @moved;
            delete local @SIG{qw(INT TERM HUP PIPE)};
            exec {$program} $program, @{$arguments};
        }
    };
    POSIX::_exit(0);
    return;
}

1;
