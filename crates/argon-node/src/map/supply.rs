//! From rows to the inputs of commands: one row each, a fixed number, or as many as a command line takes.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::inputs::Inputs;
use super::records::RecordError;
use super::work_item::InputItem;

/// Rows that become one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// One.
    One,
    /// This many; fewer at the end.
    Count(usize),
    /// As many as fit.
    Line(Room),
}

/// Room of a command line that is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the values of one command.
    pub bytes: usize,
    /// How often the command holds each value.
    pub times: usize,
    /// Rows at most.
    pub most: usize,
    /// Number of commands among which the last rows are divided: those that run at once.
    pub jobs: usize,
}

/// The inputs of a run.
#[derive(Debug)]
pub struct Supply {
    inputs: Inputs,
    fill: Fill,
    /// Rows that were read, and belong to commands to come.
    rows: VecDeque<Vec<String>>,
    /// Rows of each of the last commands, once all rows are read.
    share: Option<usize>,
    /// A row that cannot be used, after the rows.
    broken: Option<RecordError>,
}

impl Supply {
    /// Takes rows in this way.
    #[must_use]
    pub fn new(inputs: Inputs, fill: Fill) -> Self {
        Self { inputs, fill, rows: VecDeque::new(), share: None, broken: None }
    }

    /// True if the next input can be read without waiting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.fill == Fill::One && self.inputs.is_ready()
    }

    /// The columns of the next input; `None` at the end.
    ///
    /// # Errors
    /// If a source cannot be read on.
    pub fn next_row(&mut self) -> Result<Option<Vec<String>>, RecordError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        match self.fill {
            Fill::One => self.inputs.next_row(),
            Fill::Count(count) => self.group(count),
            Fill::Line(room) => self.line(room),
        }
    }

    fn group(&mut self, count: usize) -> Result<Option<Vec<String>>, RecordError> {
        let mut row = Vec::new();
        for _ in 0..count {
            match self.inputs.next_row() {
                Ok(Some(columns)) => row.extend(columns),
                Ok(None) => break,
                Err(error) if row.is_empty() => return Err(error),
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
        }
        Ok((!row.is_empty()).then_some(row))
    }

    fn line(&mut self, room: Room) -> Result<Option<Vec<String>>, RecordError> {
        let size =
            |row: &Vec<String>| row.iter().map(|value| (value.len() + 1) * room.times.max(1)).sum::<usize>();
        let mut used: usize = self.rows.iter().map(size).sum();
        while self.share.is_none() && used <= room.bytes && self.rows.len() <= room.most {
            match self.inputs.next_row() {
                Ok(Some(row)) => {
                    used += size(&row);
                    self.rows.push_back(row);
                }
                Ok(None) => self.share = Some(self.rows.len().div_ceil(room.jobs.max(1)).max(1)),
                Err(error @ RecordError::NotText { .. }) => return Err(error),
                Err(error) => {
                    self.share = Some(self.rows.len().max(1));
                    self.broken = Some(error);
                }
            }
        }
        let mut taken = Vec::new();
        let (mut used, mut count) = (0, 0);
        let most = self.share.unwrap_or(usize::MAX).min(room.most);
        while count < most
            && let Some(row) = self.rows.pop_front()
        {
            used += size(&row);
            if used > room.bytes && count > 0 {
                self.rows.push_front(row);
                break;
            }
            taken.extend(row);
            count += 1;
        }
        if taken.is_empty()
            && let Some(error) = self.broken.take()
        {
            return Err(error);
        }
        Ok((!taken.is_empty()).then_some(taken))
    }
}

/// Puts items into a random order.
pub fn shuffle(items: &mut [InputItem]) {
    let state = RandomState::new();
    for last in (1..items.len()).rev() {
        let mut hasher = state.build_hasher();
        hasher.write_usize(last);
        let other = (hasher.finish() % (last as u64 + 1)) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::super::inputs::InputPlan;
    use super::super::records::Format;
    use super::*;

    fn filled(line: &str, fill: Fill) -> Vec<String> {
        let words = line.split(' ').map(str::to_owned).collect();
        let plan = InputPlan::new(words, &[]).expect("a plan");
        let mut supply = Supply::new(plan.open(Format::Lines).expect("opened"), fill);
        std::iter::from_fn(|| supply.next_row().expect("it can be read")).map(|row| row.join(" ")).collect()
    }

    #[test]
    fn a_number_of_inputs_becomes_one_and_the_last_may_be_short() {
        assert_eq!(filled("x ::: 1 2 3 4 5", Fill::Count(2)), ["1 2", "3 4", "5"]);
        assert_eq!(filled("x :::", Fill::Count(2)), [""; 0]);
    }

    #[test]
    fn a_line_takes_what_fits_and_the_rest_is_divided() {
        let room = Room { bytes: 1000, times: 1, most: usize::MAX, jobs: 2 };
        assert_eq!(filled("x ::: 1 2 3 4 5", Fill::Line(room)), ["1 2 3", "4 5"]);
        let small = Room { bytes: 4, jobs: 1, ..room };
        assert_eq!(filled("x ::: 1 2 3 4 5", Fill::Line(small)), ["1 2", "3 4", "5"]);
        let counted = Room { most: 2, jobs: 1, ..room };
        assert_eq!(filled("x ::: 1 2 3 4 5", Fill::Line(counted)), ["1 2", "3 4", "5"]);
        assert_eq!(filled("x ::: longer", Fill::Line(Room { bytes: 1, ..room })), ["longer"]);
    }

    #[test]
    fn shuffled_items_are_the_same_in_another_order() {
        let items: Vec<InputItem> = (0..1000).map(|at| InputItem::Bad(at.to_string())).collect();
        let mut shuffled = items.clone();
        shuffle(&mut shuffled);
        assert_ne!(items, shuffled);
        shuffled.sort_by_key(|item| {
            if let InputItem::Bad(text) = item { text.parse::<u32>().unwrap_or(0) } else { 0 }
        });
        assert_eq!(items, shuffled);
    }
}
