# Objects of classes that are written in the script bring their class along.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;
use Argon::Code;
use Argon::Data;

package Shape::Base { sub new { my ($class, %with) = @_; return bless {%with}, $class } sub describe { my $self = shift; return $self->name . ' of area ' . $self->area } }
package Shape::Square {
    our @ISA = ('Shape::Base');
    use overload '<=>' => sub { $_[0]->area <=> $_[1]->area }, '""' => 'describe', fallback => 1;
    my $unit = 'cm';
    sub name { return "square" }
    sub area { return $_[0]{side}**2 . $unit }
}
package main;

my $square = Shape::Square->new(side => 3);
my $bytes = Argon::Data::encode([ $square, { inner => [ Shape::Square->new(side => 4) ] } ]);

my $file = File::Temp->new;
binmode $file;
print {$file} $bytes;
close $file;

my $program = <<'PROGRAM';
require Argon::Code::Receive; require Argon::Data;
open my $in, '<:raw', $ARGV[0] or die; local $/; my $list = Argon::Data::decode(scalar <$in>);
print ref $list->[0], "|$list->[0]|", $list->[1]{inner}[0]->describe;
PROGRAM
my $answer = do { open my $out, '-|', $^X, "-I$FindBin::Bin/../../lib", '-e', $program, $file->filename or die; local $/; <$out> };
is($answer, 'Shape::Square|square of area 9cm|square of area 16cm', 'a class of the script works in a bare perl: methods, parents, overloads, its own variables');

# a_refused_class_says_so
{
    open my $handle, '<', $0 or die;
    eval { Argon::Data::encode([ bless { log => $handle }, 'Shape::Base' ]) };
    # kind: what cannot travel | a Perl object that holds a file handle | loud | the sentence leads to the field
    like($@, qr/the list->\[0\]->\{log\} is a file handle/, 'an object that holds a handle is refused by its place');
}

done_testing;
