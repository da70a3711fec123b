package CodeCases;

# Runs cases of code that travels, in three roles: "here" calls the sub where it was
# written, "sender" ships it, "there" receives and calls it. Each case runs in a
# process of its own, forked from one that has loaded only what its role needs.
#
# It must not load anything of Argon, and little else, for the role "here".

use strict;
use warnings;

our ($ROLE, $OUTCOME);

# The cases of a file: { name, before, sub, arguments, data }.
sub read_cases {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "cannot read $file: $!";
    my @cases;
    my $part;
    while (my $line = <$in>) {
        if ($line =~ /\A=== (\w+)$/) {
            push @cases, { name => $1, before => '', sub => '', arguments => '', data => '' };
            $part = 'before';
        }
        elsif (@cases && $line =~ /\A--- (\w+)$/) { $part = $1 }
        elsif (@cases) { $cases[-1]{$part} .= $line }
    }
    s/\n+\z/\n/ for map { @$_{qw(before sub arguments data)} } @cases;
    return @cases;
}

# The case as a program that hands its sub to reached().
sub program {
    my ($case, $prefix) = @_;
    my $arguments = $case->{arguments} || '()';
    my $text = "package main;\n$prefix\n$case->{before}\n;CodeCases::reached(scalar($case->{sub}\n), $arguments\n);\n1;\n";
    $text .= "__DATA__\n$case->{data}" if length $case->{data};
    return $text;
}

# Called by the case's program, while its variables are alive.
sub reached {
    my ($code, @arguments) = @_;
    call($code, @arguments) if $ENV{ARGON_CASES_RAN};    # what is looked at is the second call
    $OUTCOME = $ROLE eq 'here' ? call($code, @arguments) : offer($code, @arguments);
    return;
}

# What a call gives: values or error, and the warnings on the way, as text.
sub call {
    my ($code, @arguments) = @_;
    my @warnings;
    my @values = do {
        local $SIG{__WARN__} = sub { push @warnings, $_[0] };
        local $@;
        local $_;
        my @given = eval { ('value', $code->(@arguments)) };
        @given ? @given : ('error', $@);
    };
    require Data::Dumper;
    no warnings 'once';
    local ($Data::Dumper::Indent, $Data::Dumper::Sortkeys, $Data::Dumper::Useqq, $Data::Dumper::Terse) = (0, 1, 1, 1);
    my $text = join ' ', map { Data::Dumper::Dumper($_) } @values;
    $text .= ' warned ' . Data::Dumper::Dumper(\@warnings) if @warnings;
    $text =~ s/\(eval \d+\)/(eval N)/g;
    $text =~ s/\(0x[0-9a-f]+\)/(ADDRESS)/g;
    return $text;
}

sub offer {
    my ($code, @arguments) = @_;
    my $shipped = eval { Argon::Code::ship($code) };
    return "refused $@" unless $shipped;
    my $data = eval { Argon::Data::encode([$shipped->{captures}, @arguments]) };
    return "refused $@" unless defined $data;
    return "shipped " . pack('N/a* a*', $shipped->{text}, $data);
}

# The role "there": in another package, with nothing loaded but the receiving half.
sub arrived {
    my ($parcel) = @_;
    my ($text, $data) = unpack 'N/a* a*', $parcel;
    my $list = eval { Argon::Data::decode($data) } or return "lost $@";
    my $captures = shift @$list;
    my $code = eval { package Elsewhere; Argon::Code::receive($text)->($captures) } or return "lost $@";
    return call($code, @$list);
}

# Runs $work->($item) in a child for each item; gives their answers in order.
sub in_children {
    my ($work, @items) = @_;
    my @answers;
    for my $item (@items) {
        pipe my $read, my $write or die "pipe: $!";
        defined(my $child = fork) or die "fork: $!";
        if (!$child) {
            close $read;
            binmode $write;
            my $answer = eval { $work->($item) };
            $answer = "failed $@" unless defined $answer;
            utf8::encode($answer) if utf8::is_utf8($answer);
            print {$write} $answer;
            close $write;
            require POSIX;
            POSIX::_exit(0);
        }
        close $write;
        binmode $read;
        my $answer = do { local $/; <$read> };
        waitpid $child, 0;
        $answer = "failed: the process ended with status $?" if $? || !defined $answer;
        push @answers, $answer;
    }
    return @answers;
}

# One whole role: names of files in, one answer a file out.
sub main {
    my ($role, $folder, @files) = @_;
    $ROLE = $role;
    if ($role eq 'sender') { require Argon::Code; require Argon::Data }
    if ($role eq 'there')  { require Argon::Code::Receive; require Argon::Data }
    my @answers = in_children(sub {
        my ($file) = @_;
        if ($role eq 'there') {
            open my $in, '<:raw', $file or die "cannot read $file: $!";
            my $parcel = do { local $/; scalar <$in> };
            close $in;
            return arrived($parcel);
        }
        undef $OUTCOME;
        local $0 = $file;
        open my $null, '>', '/dev/null';
        local $SIG{__WARN__} = sub { };
        do $file;
        return defined $OUTCOME ? $OUTCOME : "does not compile: $@";
    }, @files);
    for my $index (0 .. $#files) {
        my ($name) = $files[$index] =~ m{([^/]+)\.\w+\z};
        open my $out, '>:raw', "$folder/$name.$role" or die "cannot write: $!";
        print {$out} $answers[$index];
        close $out;
    }
    return;
}

1;
