//! The setters of a client's hooks, part of [`Connect`].

use std::sync::Arc;

use argon_proto::conversation::LogRecord;
use argon_session::Waiting;

use crate::client::Connect;
use crate::hooks::OnInterrupt;

impl Connect {
    /// Calls `hook` when tasks have waited for two seconds, once for each reason that begins; the hook itself must not wait.
    /// Without a hook it is a line on standard error: `argon: waiting: MESSAGE`, unless all slots are only taken. `|_| {}`
    /// silences it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), argon::Error> {
    /// let connect = argon::Connect::to("127.0.0.1:8000").on_waiting(|waiting| eprintln!("{}: {}", waiting.code, waiting.message));
    /// let client = connect.connect().await?;
    /// # drop(client); Ok(()) }
    /// ```
    #[must_use]
    pub fn on_waiting(mut self, hook: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        self.hooks.on_waiting = Arc::new(hook);
        self
    }

    /// Calls `hook` for each log record of a task whose output is not kept back, such as one of Python's `logging`. It runs on
    /// the thread that writes the output of tasks, in its order; while it waits, no output is written. Without a hook, a
    /// record is a line on standard error: `WARNING name: message`.
    #[must_use]
    pub fn on_log(mut self, hook: impl Fn(&LogRecord) + Send + Sync + 'static) -> Self {
        self.hooks.on_log = Arc::new(hook);
        self
    }

    /// Effect of the end of this process on the tasks that it has asked for. Default: they are cancelled, when Ctrl-C, another
    /// signal, a panic or the end of `main` ends it. On another machine than the manager's, that takes until the manager's
    /// `--session-grace` if the process ends before it drops its `Client`.
    #[must_use]
    pub fn on_interrupt(mut self, effect: OnInterrupt) -> Self {
        self.hooks.on_interrupt = effect;
        self
    }
}
