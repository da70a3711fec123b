# A key file that others can read is refused, as the program refuses it, whatever named it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use File::Path ();
use File::Temp ();
use Test::More;

use Argon::Client;
use Argon::Client::Net::Key;

my $folder = File::Temp->newdir;
my $path   = "$folder/argon/key";
my $line   = 'argon1-cluster-' . '5a' x 32;
File::Path::make_path("$folder/argon");
open my $file, '>', $path or die $!;
print {$file} "$line\n";
close $file;

sub found {
    my ($option, %environment) = @_;
    delete local @ENV{qw(ARGON_KEY XDG_CONFIG_HOME)};
    local @ENV{ keys %environment } = values %environment;
    return eval { Argon::Client::Net::Key::find($option); 'found' } // $@;
}

my %way = (
    'the option'       => [$path],
    'ARGON_KEY'        => [undef, ARGON_KEY => $path],
    'the default file' => [undef, XDG_CONFIG_HOME => "$folder"],
);
for my $name (sort keys %way) {
    for my $mode (map {oct} qw(600 400 700)) {
        chmod $mode, $path;
        is(found(@{ $way{$name} }), 'found', sprintf 'a key file of mode %04o is read (%s)', $mode, $name);
    }
    for my $mode (map {oct} qw(644 640 604 620 602 601)) {
        chmod $mode, $path;
        like(found(@{ $way{$name} }), qr/\AThe key \Q$path\E .*can be read by others; run: chmod 600 \Q$path\E\n\z/,
            sprintf 'one of mode %04o is refused (%s)', $mode, $name);
    }
}

chmod oct '644', $path;
eval { Argon::Client->new(host => '127.0.0.1', port => 1, key => $path)->queue(sub { 1 }) };
like("$@", qr/chmod 600 \Q$path\E at \Q$0\E line \d+/, 'a client says it where the key was needed');
is(found($line), 'found', 'a key line is no file');
like(found("$folder"), qr/is a folder/, 'a folder is named as one');

# What is not a key file is refused for what it is, as by the program; a pipe without a writer stops nobody.
sub holding {
    my ($text) = @_;
    open my $out, '>:raw', $path or die $!;
    print {$out} $text;
    close $out;
    chmod oct '600', $path;
    return found($path);
}
is(holding($_), 'found', 'white space and a byte order mark around the key are ignored')
    for "$line\r\n", "\n  $line \n\n", "\xEF\xBB\xBF$line\r\n";
like(holding("$line\n$line\n"), qr/does not hold an Argon key/, 'two keys are none');
like(holding("\n"),              qr/is empty/,           'an empty file is called empty');
like(holding("\0" x 100_000),    qr/does not hold an Argon key/, 'another file is no key');
unlink $path;
require POSIX;
POSIX::mkfifo($path, oct '600') or die $!;
{
    local $SIG{ALRM} = sub { die "it waits for a writer\n" };
    alarm 20;
    like(found($path), qr/is not a regular file/, 'a pipe is refused at once');
    alarm 0;
}
like(found('/dev/zero'), qr/is not a regular file/, 'so is a device');
for my $relative (q{}, 'config') {
    like(found(undef, HOME => $relative, XDG_CONFIG_HOME => $relative), qr/names a folder from the root/,
        "a relative path is no place for the key ('$relative')");
}

done_testing;
