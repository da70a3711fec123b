#!/usr/bin/env perl
# Writes the whole Perl client as one file, for machines where nothing may be installed.
#
#   perl maint/fatpack.pl                          # writes Argon-Client.fat.pm
#   perl maint/fatpack.pl --out FILE
#   perl maint/fatpack.pl --module --out Argon.pm       # the module Argon with all others behind it: perl -I. -MArgon=pmap
#   perl maint/fatpack.pl --script mine.pl --out FILE   # the script with the client in front of it, one program
#
# In a script the library is used so:
#
#   BEGIN { require './Argon-Client.fat.pm' }
#   use Argon::Client;

use 5.016;
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Find     ();
use Getopt::Long   qw(GetOptions);

my $lib = dirname(__FILE__) . '/../lib';

# Needed on workers only, who have it in the argon binary.
my $is_for_workers = qr{\AArgon/Runner(?:/|\.pm\z)};

# Needed from the client's side only when the program has loaded their frameworks; they come with it all the same.
sub module_files {
    my @files;
    File::Find::find({ no_chdir => 1, wanted => sub { push @files, $1 if m{\A\Q$lib\E/(.+\.pm)\z} } }, $lib);
    return grep { $_ !~ $is_for_workers } sort @files;
}

sub text_of {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/;
    return readline $file;
}

# The code of a module without its documentation.
sub code_of {
    my ($file) = @_;
    my $text = text_of("$lib/$file");
    $text =~ s/^__END__\n.*//ms;
    return $text;
}

sub packed {
    my @parts = ("# The Argon client for Perl in one file; made by maint/fatpack.pl.\n", "BEGIN {\nmy %text;\n");
    for my $file (module_files()) {
        my $code = code_of($file);
        my $end  = 'END_OF_ARGON_FILE';
        $end .= '_' while $code =~ /^\Q$end\E$/m;
        push @parts, "\$text{'$file'} = <<'$end';\n", qq{# line 1 "$file"\n}, $code, "$end\n";
    }
    push @parts, <<'END';
unshift @INC, sub {
    my (undef, $file) = @_;
    return if !exists $text{$file};
    open my $handle, '<', \$text{$file} or die "$file: $!";
    $INC{$file} = $file;
    return $handle;
};
}
END
    return join q{}, @parts;
}

sub main {
    my ($script, $is_module, $out);
    GetOptions('script=s' => \$script, 'module' => \$is_module, 'out=s' => \$out) && !@ARGV && !($is_module && defined $script)
        or die "usage: fatpack.pl [--script FILE | --module] [--out FILE]\n";
    $out = defined $script ? 'argon-client.pl' : $is_module ? 'Argon.pm' : 'Argon-Client.fat.pm' if !defined $out;
    my $text = packed();
    if (defined $script) {
        my $program = text_of($script);
        my $first   = $program =~ s/\A(#!.*\n)// ? $1 : "#!/usr/bin/env perl\n";
        $text = $first . $text . qq{# line @{[$program eq text_of($script) ? 1 : 2]} "$script"\n} . $program;
    }
    elsif ($is_module) {
        $text .= qq{# line 1 "Argon.pm"\n} . code_of('Argon.pm');
    }
    else {
        $text .= "1;\n";
    }
    open my $file, '>:raw', $out or die "$out: $!\n";
    print {$file} $text;
    close $file or die "$out: $!\n";
    chmod 0755, $out if defined $script;
    say "$out: ", length $text, ' bytes';
    return;
}

main();
