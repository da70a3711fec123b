//! Ctrl-C for commands that wait for others: the first asks to end what is under way, the second leaves at once.
//!
//! A thread of its own listens, since the command's may stand in a write that nobody reads.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{BY_SIGNAL, Failure, Kind};

/// What is cancelled ends within two seconds and a bit. If it has not by now, the manager is away, or the output is not read.
const PATIENCE: Duration = Duration::from_secs(4);
const HINT: &[u8] =
    b"argon: waiting for the end of what is being cancelled; a second Ctrl-C or TERM leaves at once\n";

/// Tells when this process is asked to end.
#[derive(Debug)]
pub struct Interrupt {
    first: watch::Receiver<u8>,
}

/// Starts to listen for INT, TERM and HUP.
///
/// # Errors
/// If the system does not let us.
pub fn watch() -> Result<Interrupt, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Kind::Other, format!("signals cannot be watched: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let signals = {
        let _inside = runtime.enter();
        Signals {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            // Under nohup it stays ignored.
            hangup: if is_ignored(libc::SIGHUP) {
                None
            } else {
                Some(signal(SignalKind::hangup()).map_err(failed)?)
            },
        }
    };
    let (tell, first) = watch::channel(0);
    std::thread::spawn(move || runtime.block_on(signals.listen(&tell)));
    Ok(Interrupt { first })
}

impl Interrupt {
    /// Waits until this process is asked to end; returns the number of the signal.
    pub async fn wait(&mut self) -> u8 {
        match self.first.wait_for(|number| *number != 0).await {
            Ok(number) => *number,
            // The thread lives as long as the process.
            Err(_) => std::future::pending().await,
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    async fn listen(mut self, tell: &watch::Sender<u8>) {
        let mut is_second = false;
        let mut has_hinted = false;
        loop {
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                () = heard(self.hangup.as_mut()) => SignalKind::hangup(),
                () = tokio::time::sleep(PATIENCE), if is_second && !has_hinted => {
                    has_hinted = true;
                    let _ = std::io::stderr().write_all(HINT);
                    continue;
                }
            };
            let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
            if is_second {
                // Not through `exit`: what is buffered waits for the reader that does not read.
                let _ =
                    std::io::stderr().write_all(b"argon: left without waiting for what is being cancelled\n");
                // SAFETY: ends the process and touches nothing of it.
                unsafe { libc::_exit(i32::from(BY_SIGNAL + number)) }
            }
            is_second = true;
            let _ = tell.send(number);
        }
    }
}

async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

fn is_ignored(number: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; `action` is large enough, and all zeroes is a value of its type.
    let action = unsafe {
        libc::sigaction(number, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}
