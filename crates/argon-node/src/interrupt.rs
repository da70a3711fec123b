//! Ctrl-C for commands that wait for others: the first asks to end what is under way, the second leaves at once. After the
//! first the process ends soon in any case.
//!
//! A thread of its own listens, because the command's thread may be blocked in a write.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{BY_SIGNAL, Failure, FailureKind};

/// Time after which a message explains how to leave at once.
const HINT_AFTER: Duration = Duration::from_secs(3);
/// A cancelled task ends within little more than two seconds. If it has not by now, the manager does not answer, or the output is
/// not read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for the manager to give a sign of life after a request to end.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const HINT: &[u8] =
    b"argon: waiting for the end of what is being cancelled; a second Ctrl-C or TERM leaves at once\n";

/// Counts the requests to end this process.
#[derive(Debug, Clone)]
pub struct Interrupt {
    first: watch::Receiver<u8>,
    client: Arc<Mutex<Option<Client>>>,
}

/// Starts to listen for INT, TERM and HUP.
///
/// # Errors
/// If the system does not let us.
pub fn watch() -> Result<Interrupt, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(FailureKind::Other, format!("signals cannot be watched: {error}"))
    };
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
    let client = Arc::default();
    let closes = Arc::clone(&client);
    let listener = Listener(Some(runtime));
    std::thread::Builder::new()
        .name("argon signals".to_owned())
        .spawn(move || {
            if let Some(runtime) = &listener.0 {
                runtime.block_on(signals.listen(&tell, &closes));
            }
        })
        .map_err(failed)?;
    Ok(Interrupt { first, client })
}

/// The runtime of the listening thread. Where the system gives no thread, it is dropped on one that may not wait.
struct Listener(Option<tokio::runtime::Runtime>);

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Interrupt {
    /// The client that says goodbye, so that what is under way is cancelled, if the process is left while the command's
    /// own thread is blocked in a write.
    pub fn close_at_last(&self, client: &Client) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
    }

    /// Waits for something, unless this process is asked to end.
    ///
    /// # Errors
    /// If it is, or with the failure of what is waited for.
    pub async fn or<T>(&mut self, wanted: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            done = wanted => done,
            number = self.wait() => Err(Failure::new(FailureKind::Signal(number), format!("ended by signal {number}"))),
        }
    }

    /// Waits until this process is asked to end and the manager does not answer, so that nothing more can come. Returns
    /// the number of the signal.
    pub async fn wait_without(&mut self, client: &Client) -> u8 {
        let number = self.wait().await;
        let question = client.request("status", serde_json::Map::new());
        if tokio::time::timeout(ANSWER_WITHIN, question).await.is_ok() {
            std::future::pending::<()>().await;
        }
        number
    }

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
    async fn listen(mut self, tell: &watch::Sender<u8>, client: &Mutex<Option<Client>>) {
        let mut first = None;
        let mut has_hinted = false;
        loop {
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                () = heard(self.hangup.as_mut()) => SignalKind::hangup(),
                () = tokio::time::sleep(HINT_AFTER), if first.is_some() && !has_hinted => {
                    has_hinted = true;
                    let _ = std::io::stderr().write_all(HINT);
                    continue;
                }
                () = tokio::time::sleep(PATIENCE - HINT_AFTER), if has_hinted => leave(first.unwrap_or(0), client),
            };
            let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
            if first.is_some() {
                leave(number, client);
            }
            first = Some(number);
            let _ = tell.send(number);
        }
    }
}

/// Ends the process, not through `exit`: what is buffered waits for the reader that does not read.
fn leave(number: u8, client: &Mutex<Option<Client>>) -> ! {
    if let Some(client) = client.lock().unwrap_or_else(PoisonError::into_inner).take() {
        client.close();
    }
    let _ = std::io::stderr().write_all(b"argon: left without waiting for what is being cancelled\n");
    // SAFETY: ends the process and touches nothing of it.
    unsafe { libc::_exit(i32::from(BY_SIGNAL + number)) }
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
