//! Options of a worker about what it leaves of its machine to others.

use clap::Args;

use super::quantity::{size, whole};
use crate::worker::MachineLimits;

/// What tasks leave of the machine.
#[derive(Debug, Args)]
pub(super) struct MachineOptions {
    /// Start no further task while less memory than this is free; what runs goes on
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memfree: Option<u64>,
    /// Start no further task while the load of the last minute is this or more; 80% is 0.8 for each CPU
    #[arg(long, value_name = "LOAD", value_parser = load)]
    load: Option<f64>,
    /// Nice value of tasks: they yield to other processes of the machine
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, value_parser = whole::<u8>(0, 19))]
    pub(super) nice: u8,
}

impl MachineOptions {
    /// Limits beyond which nothing further starts.
    pub(super) fn limits(&self) -> MachineLimits {
        MachineLimits { free_memory: self.memfree, load: self.load }
    }
}

/// Reads a load average: a number, or a share of the CPUs that this process may use.
fn load(text: &str) -> Result<f64, String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    load_on(text, cpus)
}

fn load_on(text: &str, cpus: usize) -> Result<f64, String> {
    let (number, factor) = match text.trim().strip_suffix('%') {
        Some(share) => (share, cpus as f64 / 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number * factor),
        Ok(0.0) => {
            Err("with a limit of 0 no task would ever start; write 1 or more, or leave the option away"
                .to_owned())
        }
        _ => Err("a load is a number above 0, as 4 or 1.5, or a share of the CPUs, as 80%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_number_or_a_share_of_the_cpus() {
        assert_eq!(load_on("4", 8), Ok(4.0));
        assert_eq!(load_on("1.5", 8), Ok(1.5));
        assert_eq!(load_on("50%", 8), Ok(4.0));
        assert_eq!(load_on("100 %", 2), Ok(2.0));
        for wrong in ["-1", "", "%", "high", "NaN", "inf", "1%%"] {
            assert!(load_on(wrong, 8).is_err_and(|why| why.contains("as 80%")), "{wrong}");
        }
        assert!(load_on("0", 8).is_err_and(|why| why.contains("no task would ever start")));
    }
}
