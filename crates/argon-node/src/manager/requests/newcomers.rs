//! Requests about machines without a key. Only an admin makes them: they give keys away.

use std::time::Duration;

use argon_proto::conversation::admin::{Invite, Invited, Newcomer};
use argon_proto::key::Role;

use crate::manager::event_loop::ManagerLoop;
use crate::manager::newcomers::TOKEN_FOR;

pub(super) const ADMINS_ONLY: &str = "only an admin lets machines in; use the cluster key or an admin's";

impl ManagerLoop {
    pub(super) fn decide(&self, code: &str, let_in: bool) -> Result<Newcomer, String> {
        let code = code.parse().map_err(|error| format!("{error}"))?;
        self.newcomers.decide(code, let_in)
    }

    pub(super) fn invite(&self, invite: Invite) -> Result<Invited, String> {
        let role = Role::from_name(&invite.role)
            .ok_or("the roles of join tokens are worker, client and observer")?;
        let (uses, within) =
            (invite.uses.unwrap_or(1), invite.for_ms.map_or(TOKEN_FOR, Duration::from_millis));
        let token = self.newcomers.invite(role, uses, within, invite.address)?;
        let for_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        Ok(Invited { token: token.to_string(), for_ms, uses })
    }
}
