//! Decides when the manager receives a report on the runners: after changes, at most once a second.

use std::time::Duration;

use argon_core::Time;
use argon_proto::conversation::worker::RunnersReport;

const INTERVAL: Duration = Duration::from_secs(1);

/// The report that the manager has, and when to compare it with the runners.
#[derive(Debug, Default)]
pub(crate) struct StatusReport {
    sent: RunnersReport,
    next: Option<Time>,
}

impl StatusReport {
    /// Notes an event, after which the runners may have changed.
    pub(crate) fn touch(&mut self, now: Time) {
        self.next.get_or_insert(now + INTERVAL);
    }

    /// The manager is another one, or has forgotten the report.
    pub(crate) fn forget(&mut self, now: Time) {
        self.sent = RunnersReport::default();
        self.touch(now);
    }

    /// Time of the next comparison.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.next
    }

    /// The report to send now, if it differs from the last one.
    pub(crate) fn take_news(&mut self, current: RunnersReport) -> Option<RunnersReport> {
        self.next = None;
        (current != self.sent).then(|| {
            self.sent = current.clone();
            current
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_out_a_second_after_a_change_and_only_if_it_has_news() {
        let mut status = StatusReport::default();
        let busy = RunnersReport { templates: vec!["perl".to_owned()], ..RunnersReport::default() };
        status.touch(Time(5));
        status.touch(Time(700_000));
        assert_eq!(status.next_deadline(), Some(Time(1_000_005)));
        assert_eq!(status.take_news(busy.clone()), Some(busy.clone()));
        assert_eq!(status.next_deadline(), None, "nothing happens, and nothing wakes the worker");
        assert_eq!(status.take_news(busy.clone()), None);
        status.forget(Time(2_000_000));
        assert_eq!(status.take_news(busy.clone()), Some(busy));
    }
}
