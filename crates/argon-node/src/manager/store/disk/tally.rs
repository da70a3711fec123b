//! Numbers of records in a store, and the sum of their checksums: what a reader must find.

use super::value::{Table, checksum, sum_of};

/// Bytes of an encoded tally.
pub(super) const TALLY_BYTES: usize = 64;

/// Counts of one state of the store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RecordTally {
    /// Number of the commit, from 1.
    pub(super) sequence: u64,
    counts: [u64; Table::ALL.len()],
    /// Sum of the checksums of all records. A record that is missing, or an older version of it, changes the sum.
    fold: u64,
}

impl RecordTally {
    /// The tally of the next commit, before its changes.
    pub(super) fn next(&self) -> Self {
        Self { sequence: self.sequence + 1, ..self.clone() }
    }

    /// Counts a record that is added. `value` is sealed.
    pub(super) fn add(&mut self, table: Table, value: &[u8]) {
        self.counts[table.index()] += 1;
        self.fold = self.fold.wrapping_add(sum_of(value));
    }

    /// Counts a record that is removed.
    pub(super) fn remove(&mut self, table: Table, value: &[u8]) {
        self.counts[table.index()] = self.counts[table.index()].saturating_sub(1);
        self.fold = self.fold.wrapping_sub(sum_of(value));
    }

    /// Number of records in a table.
    pub(super) fn count(&self, table: Table) -> u64 {
        self.counts[table.index()]
    }

    /// True if both count the same records.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.counts, self.fold) == (other.counts, other.fold)
    }

    pub(super) fn encode(&self) -> [u8; TALLY_BYTES] {
        let mut bytes = [0; TALLY_BYTES];
        let numbers = [self.sequence].into_iter().chain(self.counts).chain([self.fold]);
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(&[&bytes[..TALLY_BYTES - 8]]);
        bytes[TALLY_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a tally; `None` if the bytes are damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.get(..TALLY_BYTES)?.split_at(TALLY_BYTES - 8);
        if checksum(&[bytes]).to_le_bytes() != sum {
            return None;
        }
        let mut numbers =
            bytes.chunks_exact(8).filter_map(|number| Some(u64::from_le_bytes(number.try_into().ok()?)));
        let mut next = || numbers.next().unwrap_or(0);
        let sequence = next();
        let counts = std::array::from_fn(|_| next());
        Some(Self { sequence, counts, fold: next() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Kept, seal};
    use super::*;

    #[test]
    fn a_tally_survives_its_encoding_and_notices_damage() {
        let mut tally = RecordTally { sequence: 7, ..RecordTally::default() };
        tally.add(Table::Tasks, &seal(Table::Tasks, b"key", Kept::Inline, b"body"));
        let bytes = tally.encode();
        assert_eq!(RecordTally::decode(&bytes), Some(tally));
        for at in 0..TALLY_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(RecordTally::decode(&damaged), None, "byte {at}");
        }
        assert_eq!(RecordTally::decode(&[0; TALLY_BYTES]), None);
    }

    #[test]
    fn an_older_version_of_a_record_does_not_agree() {
        let older = seal(Table::Tasks, b"key", Kept::Inline, b"older");
        let newer = seal(Table::Tasks, b"key", Kept::Inline, b"newer");
        let (mut expected, mut found) = (RecordTally::default(), RecordTally::default());
        expected.add(Table::Tasks, &older);
        expected.remove(Table::Tasks, &older);
        expected.add(Table::Tasks, &newer);
        found.add(Table::Tasks, &older);
        assert_eq!(found.count(Table::Tasks), expected.count(Table::Tasks));
        assert!(!expected.agrees(&found));
    }
}
