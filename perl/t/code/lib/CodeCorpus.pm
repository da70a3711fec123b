package CodeCorpus;

# Owns the corpus test: takes the named subs of the modules that come with perl, as they were
# written by many hands in thirty years, has each made ready to travel by value, and counts the
# reasons of those that are refused. Nothing is run; what is sent is judged by the sender's own check.

use strict;
use warnings;

use B ();
use Argon::Code ();
use Argon::Code::Analyse::Optree ();

# Pure-Perl modules of the core, of many styles and ages.
our @MODULES = qw(
    App::Prove Archive::Tar Attribute::Handlers AutoLoader AutoSplit B::Deparse Benchmark CPAN::Meta CPAN::Meta::Requirements
    CPAN::Meta::YAML Carp Config::Perl::V DBM_Filter Data::Dumper Digest Digest::file Dumpvalue Env Exporter::Heavy
    ExtUtils::Command ExtUtils::Constant ExtUtils::Embed ExtUtils::Install ExtUtils::Liblist ExtUtils::MakeMaker ExtUtils::Manifest
    ExtUtils::Packlist ExtUtils::ParseXS ExtUtils::Typemaps Fatal File::Basename File::Compare File::Copy File::Fetch File::Find
    File::Path File::Spec::Functions File::Spec::Win32 File::Spec::VMS File::Temp File::stat FileCache FindBin Getopt::Long Getopt::Std
    HTTP::Tiny I18N::Collate I18N::LangTags I18N::LangTags::Detect IO::Compress::Gzip IO::Compress::Zip IO::File IO::Handle IO::Pipe IO::Select
    IO::Socket IO::Socket::INET IO::Socket::IP IO::Uncompress::AnyInflate IO::Uncompress::Unzip IO::Zlib IPC::Cmd IPC::Open3 JSON::PP
    Locale::Maketext Locale::Maketext::Guts Math::BigFloat Math::BigInt Math::BigInt::Calc Math::BigRat Math::Complex Math::Trig
    Memoize Module::CoreList Module::Load Module::Load::Conditional Module::Loaded Module::Metadata NEXT Net::Cmd Net::Config Net::Domain Net::FTP
    Net::NNTP Net::Ping Net::POP3 Net::SMTP Net::hostent Params::Check Perl::OSType PerlIO::via::QuotedPrint Pod::Checker Pod::Escapes
    Pod::Html Pod::Man Pod::ParseLink Pod::Perldoc Pod::Simple Pod::Simple::HTML Pod::Simple::RTF Pod::Simple::XMLOutStream Pod::Text
    Pod::Text::Overstrike Pod::Usage Safe Search::Dict SelectSaver SelfLoader Symbol TAP::Harness TAP::Parser TAP::Parser::YAMLish::Reader
    Term::ANSIColor Term::Cap Term::Complete Term::ReadLine Test Test::Builder Test::Builder::Tester Test::Harness Test::More Test::Simple
    Test2::API Test2::Util::HashBase Text::Abbrev Text::Balanced Text::ParseWords Text::Tabs Text::Wrap Thread::Queue Thread::Semaphore
    Tie::Array Tie::File Tie::Handle Tie::Hash Tie::Memoize Tie::RefHash Tie::Scalar Tie::SubstrHash Time::Local Time::gmtime Time::localtime
    Unicode::Collate Unicode::UCD User::grent User::pwent autodie::exception autodie::hints autouse base bigint charnames diagnostics
    experimental feature fields filetest integer locale open overload overloading sigtrap sort version vars warnings::register
);

# Loads what there is of the modules and gives [full name, code], by name, of every sub written in a file of perl's library.
sub subs {
    my (@modules) = @_;
    local $SIG{__WARN__} = sub { };
    local $^W = 0;
    for my $module (@modules) {
        (my $file = "$module.pm") =~ s{::}{/}g;
        # Loading only; what is missing on this machine is left out.
        eval { require $file; 1 } or next;
    }
    my %seen;
    my @found = sort { $a->[0] cmp $b->[0] } _of_stash('main', \%main::, {});
    return grep { !$seen{ ${ B::svref_2object($_->[1]) } }++ } @found;
}

sub _of_stash {
    my ($package, $stash, $visited) = @_;
    return if $visited->{$stash}++;
    my @found;
    for my $name (sort keys %$stash) {
        if ($name =~ /\A(\w+)::\z/) {
            next if $package eq 'main' && $1 =~ /\A(?:Argon|CodeCorpus|main)\z/;
            push @found, _of_stash($package eq 'main' ? $1 : "${package}::$1", *{ $stash->{$name} }{HASH}, $visited) if ref \$stash->{$name} eq 'GLOB';
            next;
        }
        my $full = "${package}::$name";
        no strict 'refs';
        next if $package eq 'main' || $name !~ /\A\w+\z/ || $name eq 'BEGIN' || !defined &{$full};
        my $cv = B::svref_2object(\&{$full});
        next if $cv->XSUB || !${ $cv->ROOT } || $cv->FILE !~ /\.pm\z/ || $cv->STASH->isa('B::SPECIAL');
        next if $cv->GV->isa('B::SPECIAL') || $cv->GV->NAME ne $name || $cv->STASH->NAME ne $package;
        push @found, [$full, \&{$full}];
    }
    return @found;
}

# undef for a sub that travels, or the sentence of its refusal.
sub refusal {
    my ($code) = @_;
    local $SIG{__WARN__} = sub { };
    return eval { Argon::Code::ship($code, by_name => 0); 1 } ? undef : $@;
}

# The kind of a refusal: its sentence without names and places.
sub kind {
    my ($sentence) = @_;
    my ($kind) = $sentence =~ /\AThis code cannot travel to a worker: (.*)\z/s;
    $kind = $sentence unless defined $kind;
    $kind =~ s/\Ain the sub(?: [\w:]+)?(?: at .*? line \d+)?, //s;
    $kind =~ s/ near \S+ line \d+//;
    $kind =~ s/ at \S+ line \d+\.?\s*\z//;
    $kind =~ s/ \([^()]*(?:\([^()]*\)[^()]*)*\)\z//;
    $kind =~ s/the (captured variable|package variable|state variable|handle|sub|lexical sub) \S+/the $1 .../g;
    $kind =~ s/a sub \w+ which/a sub ... which/;
    return $kind;
}

1;
