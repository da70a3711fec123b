//! Runners that have something to do: those that were woken, or touched by the worker. The idle ones cost nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use argon_core::pool::RunnerId;

/// The runners that are to be polled, and who is woken for them.
#[derive(Debug, Default)]
pub(crate) struct WokenRunners(Mutex<Woken>);

#[derive(Debug, Default)]
struct Woken {
    ids: Vec<RunnerId>,
    /// The task of the worker's loop.
    parent: Option<Waker>,
}

/// Wakes the worker for one runner.
#[derive(Debug)]
pub(crate) struct RunnerWaker {
    id: RunnerId,
    /// True if it is in the list.
    is_woken: AtomicBool,
    woken: Arc<WokenRunners>,
}

impl WokenRunners {
    /// Takes the runners that are to be polled now. Those that are woken later wake the task of `cx`.
    pub(crate) fn take(&self, cx: &Context<'_>, ids: &mut Vec<RunnerId>) {
        let mut woken = self.lock();
        if !woken.parent.as_ref().is_some_and(|parent| parent.will_wake(cx.waker())) {
            woken.parent = Some(cx.waker().clone());
        }
        std::mem::swap(&mut woken.ids, ids);
    }

    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunnerWaker {
    /// A runner that is to be polled.
    pub(crate) fn new(id: RunnerId, woken: &Arc<WokenRunners>) -> Arc<Self> {
        let waker = Self { id, is_woken: AtomicBool::new(false), woken: Arc::clone(woken) };
        waker.mark();
        Arc::new(waker)
    }

    /// The runner is polled in the next round.
    pub(crate) fn mark(&self) {
        if !self.is_woken.swap(true, Ordering::Relaxed) {
            self.woken.lock().ids.push(self.id);
        }
    }

    /// The runner is polled now.
    pub(crate) fn clear(&self) {
        self.is_woken.store(false, Ordering::Relaxed);
    }
}

impl Wake for RunnerWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::Relaxed) {
            let mut woken = self.woken.lock();
            woken.ids.push(self.id);
            if let Some(parent) = &woken.parent {
                parent.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(std::sync::atomic::AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_runner_is_listed_once_however_often_it_is_woken_and_wakes_the_worker() {
        let count = Arc::new(Count(0.into()));
        let parent = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&parent);
        let woken = Arc::new(WokenRunners::default());
        let [one, two] = [1, 2].map(|id| RunnerWaker::new(RunnerId(id), &woken));
        let take = || {
            let mut ids = Vec::new();
            woken.take(&cx, &mut ids);
            ids
        };
        assert_eq!(take(), [RunnerId(1), RunnerId(2)]);
        [&one, &two].iter().for_each(|waker| waker.clear());
        Waker::from(Arc::clone(&two)).wake();
        Waker::from(Arc::clone(&two)).wake();
        one.mark();
        two.mark();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(take(), [RunnerId(2), RunnerId(1)]);
        assert_eq!(take(), []);
    }
}
