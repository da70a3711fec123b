package ShippedText;

# Owns the text of a shipment for the tests of the runner, written by hand, so that they need nothing of the sending half.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(shipped);

# The shipment of a sub given as source; $captures is in its scope.
sub shipped {
    my ($source) = @_;
    return "# Argon Perl code, format 1\nuse strict; use warnings;\nsub { my (\$captures) = \@_;\n#line 1 \"task\"\n$source }\n";
}

1;
