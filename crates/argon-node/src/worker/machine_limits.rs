//! What must be left of the machine for a worker to start further tasks.

use super::machine;

/// The limits; none by default.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct MachineLimits {
    /// Bytes of memory that must be free.
    pub free_memory: Option<u64>,
    /// The load average of the last minute must be below this.
    pub load: Option<f64>,
}

impl MachineLimits {
    /// True if there is something to look at.
    pub(crate) fn is_any(&self) -> bool {
        self.free_memory.is_some() || self.load.is_some()
    }

    /// Why nothing further may start now; `None` if it may.
    pub(crate) fn exceeded(&self) -> Option<String> {
        let free = self.free_memory.and_then(|_| machine::free_bytes());
        let load = self.load.and_then(|_| machine::load());
        self.exceeded_by(free, load)
    }

    /// A number that the system does not show exceeds nothing.
    fn exceeded_by(&self, free: Option<u64>, load: Option<f64>) -> Option<String> {
        let mib = |bytes: u64| bytes >> 20;
        if let (Some(least), Some(free)) = (self.free_memory, free)
            && free < least
        {
            let (free, least) = (mib(free), mib(least));
            return Some(format!(
                "{free} MiB of memory are free on its machine, less than --memfree {least}M"
            ));
        }
        match (self.load, load) {
            (Some(most), Some(load)) if load >= most => {
                Some(format!("the load of its machine is {load:.2}, and --load {most} is the limit"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exceeded_is_said_with_both_numbers() {
        let limits = MachineLimits { free_memory: Some(2 << 30), load: Some(4.0) };
        assert_eq!(limits.exceeded_by(Some(2 << 30), Some(3.99)), None);
        let memory = limits.exceeded_by(Some(312 << 20), Some(9.0)).expect("memory");
        assert_eq!(memory, "312 MiB of memory are free on its machine, less than --memfree 2048M");
        let load = limits.exceeded_by(Some(3 << 30), Some(4.0)).expect("load");
        assert_eq!(load, "the load of its machine is 4.00, and --load 4 is the limit");
    }

    #[test]
    fn without_limits_and_without_numbers_nothing_is_exceeded() {
        assert_eq!(MachineLimits::default().exceeded_by(Some(0), Some(99.0)), None);
        assert!(!MachineLimits::default().is_any());
        let limits = MachineLimits { free_memory: Some(1), load: Some(0.1) };
        assert_eq!(limits.exceeded_by(None, None), None);
    }

    #[test]
    fn the_numbers_of_this_machine_are_read() {
        let impossible = MachineLimits { free_memory: Some(1 << 60), load: None };
        assert!(impossible.exceeded().is_some_and(|why| why.contains("--memfree")));
        let easy = MachineLimits { free_memory: Some(1), load: Some(1e9) };
        assert_eq!(easy.exceeded(), None);
    }
}
