//! SIGTERM and SIGINT as stop levels: the first asks to finish, the second to end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{Failure, FailureKind};

/// Urgency of a request to end the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum StopLevel {
    /// Not at all.
    #[default]
    Run,
    /// Finish what runs, take nothing new.
    Drain,
    /// End at once.
    End,
}

/// The present stop level. It only rises.
pub type StopSignal = watch::Receiver<StopLevel>;

impl StopLevel {
    /// The level after one more signal.
    fn next(self) -> Self {
        match self {
            Self::Run => Self::Drain,
            Self::Drain | Self::End => Self::End,
        }
    }
}

/// Starts to watch; must be called within the runtime.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn watch_stop() -> Result<StopSignal, Failure> {
    let install = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(FailureKind::Other, format!("signals cannot be watched: {error}")))
    };
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    let (level, stop) = watch::channel(StopLevel::Run);
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            level.send_modify(|level| *level = level.next());
        }
    });
    Ok(stop)
}

/// Waits until the process is asked to end at least as urgently as `level`.
pub async fn stopped(stop: &mut StopSignal, level: StopLevel) {
    // The sender lives as long as the process.
    if stop.wait_for(|reached| *reached >= level).await.is_err() {
        std::future::pending::<()>().await;
    }
}
