//! Credit of clients: charged when a task arrives, given back when its outcome is taken.

use argon_proto::conversation::Credit;
use argon_proto::conversation::client::ToClient;

use super::effect::Out;
use super::input::ConnId;
use super::session::CreditAccount;
use super::{Scheduler, SessionKey, TaskKey};

impl Scheduler {
    /// A fresh account for a session's new connection.
    pub(super) fn open_credit(&self) -> CreditAccount {
        CreditAccount {
            granted_tasks: self.limits.window_tasks,
            granted_bytes: self.limits.window_bytes,
            ..CreditAccount::default()
        }
    }

    /// Charges a task; `false` if the client had no credit for it. One task alone may exceed the bytes.
    pub(super) fn charge(&mut self, session: SessionKey, bytes: u64) -> bool {
        let window = self.limits.window_bytes;
        let credit = &mut self.sessions[session].credit;
        let outstanding = credit.used_bytes + window - credit.granted_bytes - credit.freed_bytes;
        credit.used_tasks += 1;
        credit.used_bytes += bytes;
        let fits = credit.used_bytes <= credit.granted_bytes || outstanding == 0;
        fits && credit.used_tasks <= credit.granted_tasks
    }

    /// The connection whose credit a task uses, if it is still the session's.
    pub(super) fn offered_on(&self, key: TaskKey) -> Option<ConnId> {
        let entry = &self.tasks[key];
        let session = &self.sessions[entry.session];
        session.link.filter(|_| session.has_offered(entry))
    }

    /// Gives back what a task used on the session's present connection.
    pub(super) fn refund(&mut self, session: SessionKey, bytes: u64) {
        let credit = &mut self.sessions[session].credit;
        credit.freed_tasks += 1;
        credit.freed_bytes += bytes;
        let is_due = credit.freed_tasks * 4 >= self.limits.window_tasks
            || credit.freed_bytes * 4 >= self.limits.window_bytes;
        if is_due && self.credit_due.last() != Some(&session) {
            self.credit_due.push(session);
        }
    }

    /// Sends clients the credit that was given back.
    pub(super) fn flush_credit(&mut self, out: &mut Out) {
        for key in std::mem::take(&mut self.credit_due) {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let credit = &mut session.credit;
            credit.granted_tasks += std::mem::take(&mut credit.freed_tasks);
            credit.granted_bytes += std::mem::take(&mut credit.freed_bytes);
            if let Some(link) = session.link {
                let (tasks, bytes) = (credit.granted_tasks, credit.granted_bytes);
                out.send_to_client(link, ToClient::Credit(Credit { tasks, bytes }));
            }
        }
    }
}
