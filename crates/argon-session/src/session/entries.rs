//! Entries by number, in pages of neighbours. Numbers are given in a row, and tasks end in about that order, so the next
//! entry that is wanted mostly lies next to the last one. A hash table would walk through memory for each, and move a
//! million entries again and again as it grows.

use rustc_hash::FxHashMap;

use super::entry::Entry;

/// Entries of a page. One that stays alone for long holds its page's memory, so there are not many.
const PAGE: usize = 16;

/// Entries by their number.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pages: FxHashMap<u64, Box<Page>>,
    /// An empty page, kept for the next entry: one lone task after another need not allocate.
    spare: Option<Box<Page>>,
}

#[derive(Debug, Default)]
struct Page {
    entries: [Option<Entry>; PAGE],
    count: usize,
}

impl Entries {
    /// Adds an entry under a number that has none.
    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        let (page, place) = place_of(number);
        let spare = &mut self.spare;
        let page = self.pages.entry(page).or_insert_with(|| spare.take().unwrap_or_default());
        let place = &mut page.entries[place];
        page.count += usize::from(place.is_none());
        *place = Some(entry);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        let (page, place) = place_of(number);
        self.pages.get(&page)?.entries[place].as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let (page, place) = place_of(number);
        self.pages.get_mut(&page)?.entries[place].as_mut()
    }

    /// Drops an entry where it is: it is too large to be moved for nothing.
    pub(super) fn remove(&mut self, number: u64) {
        let (at, place) = place_of(number);
        let Some(page) = self.pages.get_mut(&at).filter(|page| page.entries[place].is_some()) else {
            return;
        };
        page.entries[place] = None;
        page.count -= 1;
        if page.count == 0 {
            self.spare = self.pages.remove(&at);
        }
    }

    /// All of them with their numbers, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.pages.iter().flat_map(|(page, kept)| {
            let numbers = page * PAGE as u64..;
            numbers.zip(&kept.entries).filter_map(|(number, entry)| Some((number, entry.as_ref()?)))
        })
    }

    /// All of them, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.pages.values_mut().flat_map(|page| page.entries.iter_mut().flatten())
    }
}

/// The page of a number, and the place in it.
fn place_of(number: u64) -> (u64, usize) {
    (number / PAGE as u64, (number % PAGE as u64) as usize)
}
