//! Seeded mutation of valid inputs. Owns the random numbers of this crate: the same seed gives the same inputs on
//! every machine and in every release.

/// A small generator of random numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

/// Bytes that decide something in one of the formats: lengths at their limits, quotes, braces, line ends.
const TELLING: &[&[u8]] = &[
    &[0, 0, 0, 0],
    &[0, 0, 0, 1],
    &[0, 0x10, 0, 0],
    &[0, 0x10, 0, 1],
    &[0xFF, 0xFF, 0xFF, 0xFF],
    &[0x7F, 0xFF, 0xFF, 0xFF],
    &[0x22],
    &[0x80],
    &[0xFF],
    b"\"",
    b"'",
    b"`",
    b"\\",
    b"{}",
    b"{1}",
    b"{1/.}",
    b"{",
    b"}",
    b"$(",
    b"$((",
    b"${",
    b"$'",
    b"<<E\n",
    b"<<-'E'\n",
    b"\nE\n",
    b"case x in ",
    b"esac",
    b";;",
    b"eval ",
    b"sh -c ",
    b"#",
    b"\n",
    b"\r\n",
    b"\0",
    b",",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    "ß→😀".as_bytes(),
    b"[[[[[[[[",
    b"{\"a\":{\"a\":",
    b"1e999",
    b"null",
];

/// Bytes of one input at most.
const INPUT_BYTES_MAX: usize = 8 << 10;

impl Chance {
    /// A generator that this seed determines.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % (limit.max(1) as u64)) as usize
    }
}

/// One to six changes of an input; parts of `others` may be spliced in.
#[must_use]
pub fn mutated(input: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + 1 + chance.below(16)).min(bytes.len());
        match chance.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = chance.number() as u8,
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => bytes.truncate(at),
            4 => {
                let copy = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 if !others.is_empty() => {
                let other = &others[chance.below(others.len())];
                bytes.splice(at.., other[chance.below(other.len())..].iter().copied());
            }
            6 => overwrite(&mut bytes, at, TELLING[chance.below(TELLING.len())]),
            _ => drop(bytes.splice(at..at, TELLING[chance.below(TELLING.len())].iter().copied())),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn overwrite(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    let end = (at + with.len()).min(bytes.len());
    bytes.splice(at..end, with.iter().copied());
}
