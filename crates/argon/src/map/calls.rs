//! Source of a map's calls: an iterator of the user's, which may panic and may not be asked after its end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// See the module.
pub(super) struct Calls<I> {
    /// Nothing after its end.
    calls: Option<I>,
    /// Payload of its panic. The lock lets references to a map go to other threads, and is never waited for.
    thrown: Option<Mutex<Box<dyn Any + Send>>>,
}

impl<I: Iterator> Calls<I> {
    pub(super) fn new(calls: I) -> Self {
        Self { calls: Some(calls), thrown: None }
    }

    /// The next call. A panic is an end here: what is under way comes first.
    pub(super) fn next(&mut self) -> Option<I::Item> {
        let calls = self.calls.as_mut()?;
        // Nothing of the iterator is used after its panic.
        let call = catch_unwind(AssertUnwindSafe(|| calls.next())).unwrap_or_else(|thrown| {
            self.thrown = Some(Mutex::new(thrown));
            None
        });
        if call.is_none() {
            self.calls = None;
        }
        call
    }

    /// Called when all calls under way have come.
    pub(super) fn end(&mut self) {
        if let Some(thrown) = self.thrown.take() {
            resume_unwind(thrown.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterator_is_not_asked_after_its_end() {
        let mut left = vec![None, Some(1), Some(2)];
        let mut calls = Calls::new(std::iter::from_fn(|| left.pop().expect("it is not asked again")));
        assert_eq!(
            [calls.next(), calls.next(), calls.next(), calls.next()],
            [Some(1 + 1), Some(1), None, None]
        );
        calls.end();
    }

    #[test]
    fn a_panic_comes_at_the_end_and_once() {
        let mut calls = Calls::new((0..).map(|n| if n < 2 { n } else { panic!("no {n}") }));
        assert_eq!([calls.next(), calls.next(), calls.next(), calls.next()], [Some(0), Some(1), None, None]);
        let thrown = catch_unwind(AssertUnwindSafe(|| calls.end())).expect_err("the iterator's panic");
        assert_eq!(thrown.downcast_ref::<String>().map(String::as_str), Some("no 2"));
        assert!(calls.next().is_none());
        calls.end();
    }
}
