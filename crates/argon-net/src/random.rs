//! Random bytes of the operating system.

/// The operating system gives no random bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandomness(String);

/// `N` random bytes.
///
/// # Errors
/// If the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// A random number to spread pauses with; the middle if the operating system gives none.
#[must_use]
pub fn chance() -> u16 {
    bytes().map_or(u16::MAX / 2, u16::from_be_bytes)
}
