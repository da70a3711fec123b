//! The status of a manager: one set of types for the manager, the commands and other Rust programs. Other languages
//! read the same JSON. All fields are optional when read, so that releases understand each other.

use serde::{Deserialize, Serialize};

use super::super::worker::{RunnersReport, SandboxView};
use super::WhyWaiting;
use crate::key::Pin;
use crate::outcome::Status;

/// The answer to [`Question::Status`](super::Question::Status).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagerStatus {
    /// Tasks, workers and clients.
    #[serde(flatten)]
    pub scheduler: SchedulerView,
    /// Rates of tasks that arrive and end.
    pub rates: Rates,
    /// Seconds since the manager started.
    pub uptime_s: u64,
    /// Release of its program.
    pub release: String,
    /// Its process id.
    pub pid: u32,
    /// Why tasks wait, the reason to look at first in front.
    pub why: Vec<WhyWaiting>,
    /// Memory that the manager uses.
    pub memory: MemoryView,
    /// Protection of connections from other machines; `None` if the manager does not report it.
    #[serde(rename = "tls", skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionView>,
    /// Numbers of entries that the lists leave out, because an answer has a limit.
    pub left_out: LeftOut,
}

/// Encryption of connections of other machines to a manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EncryptionView {
    /// The pin of the certificate that it shows.
    pub pin: Pin,
    /// False if it takes plain text from other machines, too.
    #[serde(rename = "required")]
    pub is_required: bool,
}

impl EncryptionView {
    /// `required` or `optional`, as the ready line says it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.is_required { "required" } else { "optional" }
    }
}

/// Memory of a manager by what uses it, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryView {
    /// Bytes that the manager may use. Beyond three quarters, it serves only sessions that use little.
    pub limit: u64,
    /// Bytes in use.
    pub used: u64,
    /// Tasks that have not ended.
    pub tasks: u64,
    /// Ended tasks and their outcomes that were not taken.
    pub outcomes: u64,
    /// Code and shared arguments, and tasks that wait for them.
    pub blobs: u64,
    /// Messages that have begun to arrive.
    pub incoming: u64,
    /// Messages that peers have not taken.
    pub outgoing: u64,
}

/// Entries at the end of lists that a status does not show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Of [`SchedulerView::worker_list`].
    pub workers: usize,
    /// Of [`SchedulerView::running`], of which there are 1000 at most.
    pub running: usize,
    /// Of [`SchedulerView::away`], of which there are 1000 at most.
    pub away: usize,
}

/// Tasks a second, over the last seconds in which anything happened.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Tasks that came in, a second.
    pub submitted: f64,
    /// Tasks that ended, a second.
    pub ended: f64,
    /// Seconds that this is the mean of; 0 if nothing has happened yet.
    pub seconds: f64,
}

/// Events since the scheduler was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Tasks that came in.
    pub submitted: u64,
    /// Tasks that were not let in.
    pub rejected: u64,
    /// Attempts that were given to workers.
    pub started: u64,
    /// Attempts that were found with a worker and taken over.
    pub adopted: u64,
    /// Attempts that came back before they started.
    pub recalled: u64,
    /// Attempts that were lost with their worker.
    pub lost_attempts: u64,
    /// Attempts that failed and were tried again.
    pub retried: u64,
    /// Tasks that ended as ok.
    pub ok: u64,
    /// … as error.
    pub error: u64,
    /// … as died.
    pub died: u64,
    /// … as timeout.
    pub timeout: u64,
    /// … as cancelled.
    pub cancelled: u64,
    /// … as lost.
    pub lost: u64,
    /// Outcomes that no client has collected in time.
    pub expired: u64,
    /// Claims of workers about attempts that they were not given.
    pub unproven: u64,
}

/// One worker.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerView {
    /// Its random id.
    pub worker: String,
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Release of its program.
    pub release: String,
    /// Runtimes and their versions.
    pub runtimes: Vec<(String, String)>,
    /// Tasks it can run at once.
    pub slots: u32,
    /// Attempts that it holds, those sent ahead included.
    pub held: u64,
    /// True if it is connected; if not, it may come back in a moment.
    pub connected: bool,
    /// True if it takes no more tasks.
    pub draining: bool,
    /// Attempts that ended there.
    pub finished: u64,
    /// Mean run time of its recent tasks, microseconds; 0 while unknown.
    pub mean_us: u64,
    /// Seconds since it joined.
    pub joined_s: u64,
    /// Attempts among those held that wait for tasks of their own and occupy no slot.
    pub lent: u64,
    /// Its runner processes, as it reported them last.
    pub runners: RunnersReport,
    /// True if it dials with small segments, because large packets got lost.
    pub small_segments: bool,
    /// User of its tasks; none if that is its own.
    pub run_as: Option<String>,
    /// Sandbox of its tasks; none if they are in none.
    pub sandbox: Option<SandboxView>,
    /// Why it starts no tasks at present; none if it does.
    pub paused: Option<String>,
}

/// One attempt that a worker holds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunningTask {
    /// The task.
    pub task: String,
    /// Its id in short form.
    pub short: String,
    /// Its owner.
    pub owner: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Runtime that executes it.
    pub runtime: String,
    /// Its label, or what it calls or starts, as far as its meta data shows; may be empty.
    pub what: String,
    /// The worker's name.
    pub worker: String,
    /// Milliseconds since it was handed over.
    pub age_ms: u64,
}

/// A client whose connection ended without a goodbye: it may come back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AwayClient {
    /// Owner of its tasks.
    pub owner: String,
    /// Name that the client has given itself.
    pub client: String,
    /// Its attached tasks that have not ended.
    pub tasks: usize,
    /// … of which workers have this number.
    pub running: usize,
    /// Seconds until its attached tasks are cancelled.
    pub seconds_left: u64,
}

/// An owner of tasks: the name of a person's key, or `admin` for the cluster's own keys.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerView {
    /// The name.
    pub owner: String,
    /// Its sessions, those of clients inside tasks included.
    pub sessions: u32,
    /// Its tasks that wait.
    pub waiting: u32,
    /// Its tasks at workers.
    pub running: u32,
    /// Its tasks that have ended and whose outcomes were not taken.
    pub untaken: u32,
}

/// The whole scheduler at a moment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerView {
    /// Connected workers.
    pub workers: usize,
    /// Slots of all connected workers.
    pub slots_total: u64,
    /// Slots that nothing occupies.
    pub slots_free: u64,
    /// Tasks that wait in the queue.
    pub tasks_queued: usize,
    /// … by priority: high, normal, low.
    pub queued: [usize; 3],
    /// Attempts that workers hold.
    pub tasks_running: usize,
    /// … of which this number wait for tasks of their own and occupy no slot.
    pub tasks_lent: usize,
    /// Tasks that wait for a retry, for the store, or for a worker to come back.
    pub waiting: usize,
    /// Ended tasks whose outcome was not taken yet.
    pub untaken: usize,
    /// Connected clients.
    pub clients: usize,
    /// Clients that may come back, the next to be given up first; at most 1000.
    pub away: Vec<AwayClient>,
    /// Each owner that has sessions or tasks, by name.
    pub owners: Vec<OwnerView>,
    /// Events so far.
    pub totals: Totals,
    /// Each worker.
    pub worker_list: Vec<WorkerView>,
    /// Attempts that workers hold, the oldest first; at most 1000.
    pub running: Vec<RunningTask>,
    /// The numbers by their first names.
    #[serde(flatten)]
    pub first_names: FirstNames,
}

/// Names that the first Argon gave to four numbers of [`SchedulerView`]. Programs of its users read them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FirstNames {
    /// [`SchedulerView::slots_total`].
    pub total_capacity: u64,
    /// [`SchedulerView::slots_free`].
    pub current_capacity: u64,
    /// [`SchedulerView::tasks_queued`].
    pub queue_length: usize,
    /// [`SchedulerView::tasks_running`].
    pub pending: usize,
}

impl Totals {
    /// Counts a task that ended like this.
    pub fn count(&mut self, status: Status) {
        match status {
            Status::Ok => self.ok += 1,
            Status::Error => self.error += 1,
            Status::Died => self.died += 1,
            Status::Timeout => self.timeout += 1,
            Status::Cancelled => self.cancelled += 1,
            Status::Lost => self.lost += 1,
            Status::Rejected => self.rejected += 1,
        }
    }
}
