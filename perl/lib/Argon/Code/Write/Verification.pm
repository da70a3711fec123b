package Argon::Code::Write::Verification;

# The proof of a shipment: its text is compiled again at the client, and every sub in it compared with its original.
# A difference is refused before anything is sent.

use strict;
use warnings;

use B ();
use Argon::Code::Write::Frame ();
use Argon::Code::Write::Layout ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();
use Argon::Code::Analyse::Fingerprint ();
use Argon::Code::Write::SourceFromFile ();

# Compiles the text here, before it is sent, and compares every sub in it with its original.
sub verify {
    my ($self, $body) = @_;
    my @compiled;
    local $Argon::Code::Receive::CHECKING = \@compiled;
    my $factory = eval { Argon::Code::Receive::compile($body) };
    if (!$factory) {
        my $why = $@;
        $why =~ s/\s+\z//;
        _blame($self, $why);
    }
    # The text of a sub that ends it too early would bring statements into the frame.
    my $empty = do {
        my @units = map { $_->{unverified} ? $_ : { %{$_}, text => 'sub {}' } } @{ $self->{units} };
        Argon::Code::Receive::compile(Argon::Code::Write::Layout::body({ %{$self}, units => \@units }));
    };
    Argon::Code::Write::Frame::is_same($factory, $empty)
        or Argon::Code::Refusal->throw('perl gives back more than its source', 'put it in a module, or use Argon::Code->from_source');
    $factory->(undef);
    for my $unit (@{ $self->{units} }) {
        next if $unit->{unverified};
        my ($ours, $theirs, $place) = Argon::Code::Analyse::Fingerprint::difference($unit->{cv}, B::svref_2object($compiled[ $unit->{index} ]), $unit->{constants});
        next unless defined $ours;
        for ($ours, $theirs) {
            s/\A\s+//;
            s/ package .*//s if /\Astatement /;
            $_ = substr($_, 0, 57) . '...' if length > 60;
        }
        _refuse($unit,
            "perl cannot give back the source of this sub faithfully" . (length $place ? " near $place" : '') . " ($ours became $theirs)",
            'simplify that statement, put the sub in a module, or use Argon::Code->from_source'
        );
    }
    return;
}

sub _blame {
    my ($self, $why) = @_;
    my ($unit) = grep { !$_->{unverified} && !Argon::Code::Write::SourceFromFile::compiles($self, $_) } @{ $self->{units} };
    return _refuse($unit || $self->{units}[0], "its text does not compile again: $why", 'simplify it, put it in a module, or use Argon::Code->from_source');
}

sub _refuse {
    my ($unit, @sentence) = @_;
    my $refusal = eval { Argon::Code::Refusal->throw(@sentence) } || $@;
    die $refusal->at(place($unit->{cv}))->of_text(${ $unit->{cv} });
}

# Describes a sub and its place, for a refusal.
sub place {
    my ($cv) = @_;
    my $start = ${ $cv->ROOT } ? Argon::Code::Analyse::Optree::first_statement($cv) : undef;
    my ($package, $name) = Argon::Code::Analyse::Origin::full_name($cv);
    my $what = defined $name && $name ne '__ANON__' ? "the sub ${package}::$name" : 'the sub';
    return $start ? "$what at " . $start->file . ' line ' . $start->line : $what;
}

1;
