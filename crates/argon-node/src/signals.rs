//! SIGTERM and SIGINT as a count: the first asks to finish, the second to end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{Failure, Kind};

/// How urgently the process is asked to end: 0 not at all, 1 finish what runs, 2 at once.
pub type StopSignal = watch::Receiver<u8>;

/// Starts to count; must be called within the runtime.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn watch_stop() -> Result<StopSignal, Failure> {
    let install = |kind| {
        signal(kind).map_err(|error| Failure::new(Kind::Other, format!("signals cannot be watched: {error}")))
    };
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    let (count, stop) = watch::channel(0_u8);
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count = count.saturating_add(1).min(2));
        }
    });
    Ok(stop)
}

/// Waits until the process is asked to end at least as urgently as `level`.
pub async fn stopped(stop: &mut StopSignal, level: u8) {
    // The sender lives as long as the process.
    if stop.wait_for(|count| *count >= level).await.is_err() {
        std::future::pending::<()>().await;
    }
}
