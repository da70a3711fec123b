//! The byte that names each message on the wire.

macro_rules! kinds {
    ($($name:ident = $byte:literal,)*) => {
        $(
            #[allow(missing_docs, reason = "the names are those of the specification")]
            pub const $name: u8 = $byte;
        )*

        /// Name of a kind in the specification; `None` if this version of the protocol has no such kind.
        #[must_use]
        pub fn name(kind: u8) -> Option<&'static str> {
            match kind {
                $($name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

kinds! {
    HELLO = 0x01,
    CHALLENGE = 0x02,
    PROOF = 0x03,
    WELCOME = 0x04,
    REFUSED = 0x05,
    PAIR = 0x06,
    PAIR_OPEN = 0x07,
    PING = 0x08,
    PONG = 0x09,
    GOODBYE = 0x0A,
    GRANT = 0x0B,
    OPEN = 0x10,
    SUBMIT = 0x11,
    OFFERED = 0x12,
    ACK = 0x13,
    CANCEL = 0x14,
    COLLECT = 0x15,
    REQUEST = 0x16,
    REPLY = 0x17,
    ACCEPTED = 0x18,
    CREDIT = 0x19,
    BLOB = 0x20,
    NEED_BLOB = 0x21,
    CHUNK = 0x22,
    REGISTER = 0x30,
    REGISTERED = 0x31,
    RUN = 0x32,
    OUTCOME = 0x33,
    SETTLED = 0x34,
    STOP = 0x35,
    RECALL = 0x36,
    RETURNED = 0x37,
    OUTPUT = 0x38,
    OUTPUT_CREDIT = 0x39,
    DRAIN = 0x3A,
    DRAINING = 0x3B,
    ASK = 0x3C,
    ANSWER = 0x3D,
    LENT = 0x3E,
    RUNNERS = 0x3F,
    READY = 0x40,
    OUTPUT_LEFT = 0x41,
    OUTPUT_TAKEN = 0x42,
    CHILD = 0x43,
    WAITS = 0x44,
    FORK = 0x45,
    FORKED = 0x46,
    LOG = 0x47,
    CHILD_OPEN = 0x48,
    HELD = 0x49,
}
