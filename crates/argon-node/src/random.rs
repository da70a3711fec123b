//! Random bytes from the operating system.

use crate::exit::{Failure, FailureKind};

/// `N` random bytes.
///
/// # Errors
/// If the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(FailureKind::Other, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}
