package Argon::Data::Locked;

# Owns restricted hashes (Hash::Util, "use fields") in data: which keys one allows, and which of its values are read-only.
# Both ends run this file.

use strict;
use warnings;
no overloading;

# Returns what Hash::Util has locked, such as an object of "use fields"; nothing for a hash that takes any key.
sub lock_of {
    my ($hash) = @_;
    return if !&Internals::SvREADONLY($hash);
    require Hash::Util;
    return [[Hash::Util::hidden_ref_keys($hash)], [grep { &Internals::SvREADONLY(\$hash->{$_}) } keys %$hash]];
}

# Makes a hash what lock_of saw.
sub lock {
    my ($hash, $absent, $read_only) = @_;
    # A key that is deleted from a restricted hash stays allowed.
    @{$hash}{@$absent} = ();
    &Internals::SvREADONLY($hash, 1);
    delete @{$hash}{@$absent};
    &Internals::SvREADONLY(\$hash->{$_}, 1) for @$read_only;
    return;
}

1;
