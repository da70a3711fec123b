//! SIGTERM and SIGINT as stop levels: the first asks to finish, the second to end at once. The end of standard input ends the
//! pool of another program at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

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
    watch(std::future::pending())
}

/// As [`watch_stop`], for a pool of another program, which ends when its standard input is closed. It leaves the terminal's
/// session, so that Ctrl-C reaches its owner alone.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn watch_stop_and_input() -> Result<StopSignal, Failure> {
    // Fails if a shell has made this process the leader of a group: then it has a session of its own already, or a user who
    // wants the keys to reach it.
    let _ = nix::unistd::setsid();
    let (closed, at_end) = oneshot::channel();
    let reading = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    };
    let named = std::thread::Builder::new().name("input".to_owned()).spawn(reading);
    named.map_err(|error| {
        Failure::new(
            FailureKind::Other,
            format!("the thread that reads standard input cannot start: {error}"),
        )
    })?;
    watch(async move {
        let _ = at_end.await;
    })
}

fn watch(closed: impl Future<Output = ()> + 'static) -> Result<StopSignal, Failure> {
    let install = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(FailureKind::Other, format!("signals cannot be watched: {error}")))
    };
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    let (level, stop) = watch::channel(StopLevel::Run);
    tokio::task::spawn_local(async move {
        let mut closed = std::pin::pin!(closed);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = &mut closed => {
                    let _ = level.send(StopLevel::End);
                    return level.closed().await;
                }
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
