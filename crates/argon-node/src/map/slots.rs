//! The numbers of unfinished commands: `{%}`. The lowest that no other one has.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Numbers from 1, taken and given back.
#[derive(Debug, Default)]
pub struct SlotNumbers {
    free: BinaryHeap<Reverse<u64>>,
    highest: u64,
}

impl SlotNumbers {
    /// The lowest number that is free.
    pub fn take(&mut self) -> u64 {
        self.free.pop().map_or_else(
            || {
                self.highest += 1;
                self.highest
            },
            |Reverse(number)| number,
        )
    }

    /// Gives a number back.
    pub fn give_back(&mut self, number: u64) {
        if number > 0 {
            self.free.push(Reverse(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_taken() {
        let mut numbers = SlotNumbers::default();
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 2, 3]);
        numbers.give_back(3);
        numbers.give_back(1);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [1, 3, 4]);
    }
}
