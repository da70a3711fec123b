//! The requests `tasks`, `task` and `clients`: what there is, as far as the asker may see it.

use std::time::{SystemTime, UNIX_EPOCH};

use argon_core::Time;
use argon_core::scheduler::{ConnId, Moment, NamedTasks, is_selected};
use argon_proto::conversation::admin::{ClientList, Rendered, Reply, TaskFacts, TaskFilter, TaskList};
use argon_proto::holder::OwnerName;
use argon_proto::key::Role;
use argon_proto::{TaskId, TaskName};

use super::status::STATUS_BYTES;
use crate::manager::event_loop::ManagerLoop;

/// Tasks of one answer.
const TASKS_AT_MOST: usize = 1000;
/// Clients of one answer.
const CLIENTS_AT_MOST: usize = 2000;

/// Answer about a task that the asker may not see, or that is not known.
pub(super) const UNKNOWN_TASK: &str = "this manager knows no such task: it was never submitted, it ended long ago, or the \
                                       manager has been started since then";

impl ManagerLoop {
    /// The present, on both clocks.
    pub(super) fn moment(&self, now: Time) -> Moment {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        Moment { now, unix_ms: u64::try_from(unix_ms).unwrap_or(0) }
    }

    /// Answers with the tasks that a filter selects, the oldest left out if there are too many.
    pub(super) fn list_tasks(
        &self,
        now: Time,
        link: ConnId,
        role: Role,
        number: u64,
        filter: &TaskFilter,
    ) -> Result<Reply, String> {
        for name in &filter.tasks {
            name.parse::<TaskName>().map_err(|error| format!("'{name}': {error}"))?;
        }
        let sees = self.sees(link, role);
        let at_most = match filter.limit {
            0 => TASKS_AT_MOST,
            limit => limit.min(TASKS_AT_MOST),
        };
        let moment = self.moment(now);
        let mut list = self.scheduler.select_tasks(moment, filter, sees.as_ref(), at_most);
        self.add_parked(moment, filter, sees.as_ref(), at_most, &mut list);
        loop {
            let rendered = Rendered::of(&list);
            if rendered.len() <= STATUS_BYTES || list.tasks.is_empty() {
                return Ok(Reply::rendered(number, rendered));
            }
            let cut = list.tasks.len().div_ceil(8);
            list.tasks.drain(..cut);
            list.more += cut;
        }
    }

    /// Adds tasks that wait for their blobs: the scheduler does not know them yet.
    fn add_parked(
        &self,
        moment: Moment,
        filter: &TaskFilter,
        sees: Option<&OwnerName>,
        at_most: usize,
        list: &mut TaskList,
    ) {
        let parked = self.gate.parked_tasks().take(TASKS_AT_MOST);
        let facts = parked.filter_map(|(link, task)| self.scheduler.facts_of_parked(moment, link, task));
        let is_seen = |facts: &TaskFacts| sees.is_none_or(|owner| facts.owner == owner.as_str());
        list.tasks.extend(facts.filter(is_seen).filter(|facts| is_selected(filter, facts)));
        let cut = list.tasks.len().saturating_sub(at_most);
        list.tasks.drain(..cut);
        list.more += cut;
    }

    /// All facts of one task.
    pub(super) fn one_task(
        &self,
        now: Time,
        link: ConnId,
        role: Role,
        name: &str,
    ) -> Result<TaskFacts, String> {
        let id = self.named_task(link, role, name)?;
        let moment = self.moment(now);
        if let Some(facts) = self.scheduler.task_facts(moment, id) {
            return Ok(facts);
        }
        let mut parked = self.gate.parked_tasks();
        let parked = parked.find(|(_, task)| task.head.id == id);
        let facts = parked.and_then(|(link, task)| self.scheduler.facts_of_parked(moment, link, task));
        facts.ok_or_else(|| UNKNOWN_TASK.to_owned())
    }

    /// The task that a text names, of those that the asker may see.
    pub(super) fn named_task(&self, link: ConnId, role: Role, name: &str) -> Result<TaskId, String> {
        let parsed: TaskName = name.parse().map_err(|error| format!("'{name}': {error}"))?;
        let sees = self.sees(link, role);
        match self.scheduler.task_named(&parsed, sees.as_ref()) {
            NamedTasks::One(id) => Ok(id),
            NamedTasks::Several(count) => Err(format!(
                "'{name}' names {count} tasks: give more digits, or the task's number as in ee5b8a.12"
            )),
            NamedTasks::Unknown => {
                let owner = |id: &TaskId| self.scheduler.owner_of_session(id.session);
                let is_seen = |id: &TaskId| sees.is_none() || owner(id) == sees.as_ref();
                let mut parked = self.gate.parked().filter(|id| parsed.fits(*id) && is_seen(id));
                parked.next().ok_or_else(|| UNKNOWN_TASK.to_owned())
            }
        }
    }

    /// The clients that the asker may see.
    pub(super) fn list_clients(&self, now: Time, link: ConnId, role: Role) -> ClientList {
        let mut clients = self.scheduler.client_views(now, self.sees(link, role).as_ref());
        let more = clients.len().saturating_sub(CLIENTS_AT_MOST);
        clients.truncate(CLIENTS_AT_MOST);
        ClientList { clients, more }
    }
}
