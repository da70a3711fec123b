//! Join tokens that a manager has given out: each for some machines and some time.

use std::collections::VecDeque;
use std::time::Duration;

use argon_proto::Time;
use argon_proto::join::{JoinSecret, TokenId};
use argon_proto::key::Role;

/// Tokens that are remembered, also those that are used up: one more, and the oldest is forgotten.
const REMEMBERED_MAX: usize = 1024;

/// A token that was given out.
#[derive(Clone, Debug)]
pub struct Invitation {
    secret: JoinSecret,
    id: TokenId,
    role: Role,
    uses_left: u32,
    until: Time,
}

/// Why a token does not open the manager. The text is for the user of the machine that comes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvitationError {
    /// The token was never given out, or before the manager was started again, or more than a thousand others ago.
    #[error(
        "this manager does not know the join token: it was started again since, or another one made it; make another token \
         with 'argon key --join ROLE' on its machine"
    )]
    Unknown,
    /// Its time is over.
    #[error("the join token has expired; make another with 'argon key --join {}' on the manager's machine", .0.name())]
    Expired(Role),
    /// As many machines have come with it as it was made for.
    #[error(
        "the join token was used before, and is used up; make another with 'argon key --join {}' on the manager's machine \
         (--uses for several machines)", .0.name()
    )]
    UsedUp(Role),
}

/// The tokens, the oldest first.
#[derive(Debug, Default)]
pub struct Invitations {
    given: VecDeque<Invitation>,
}

impl Invitations {
    /// Gives out a token with this secret for `uses` machines, good until `within` from now.
    pub fn add(&mut self, now: Time, secret: JoinSecret, role: Role, uses: u32, within: Duration) {
        if self.given.len() >= REMEMBERED_MAX {
            self.given.pop_front();
        }
        let id = secret.id();
        self.given.push_back(Invitation { secret, id, role, uses_left: uses, until: now + within });
    }

    /// The secret that a machine with this token must prove.
    ///
    /// # Errors
    /// If the token does not open this manager, or not any more.
    pub fn secret(&self, now: Time, id: TokenId) -> Result<JoinSecret, InvitationError> {
        let place = self.place(now, id)?;
        Ok(self.given[place].secret.clone())
    }

    /// A machine has proven the secret: takes one use, and returns the role whose key it gets.
    ///
    /// # Errors
    /// If another machine was faster, or time is over by now.
    pub fn redeem(&mut self, now: Time, id: TokenId) -> Result<Role, InvitationError> {
        let place = self.place(now, id)?;
        let invitation = &mut self.given[place];
        invitation.uses_left -= 1;
        Ok(invitation.role)
    }

    fn place(&self, now: Time, id: TokenId) -> Result<usize, InvitationError> {
        let place = self.given.iter().position(|invitation| invitation.id == id);
        let place = place.ok_or(InvitationError::Unknown)?;
        let invitation = &self.given[place];
        if invitation.uses_left == 0 {
            return Err(InvitationError::UsedUp(invitation.role));
        }
        if now >= invitation.until {
            return Err(InvitationError::Expired(invitation.role));
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn secret(number: u16) -> JoinSecret {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        JoinSecret::new(bytes)
    }

    #[test]
    fn a_token_lets_in_as_many_machines_as_it_is_for() {
        let mut given = Invitations::default();
        given.add(at(0), secret(1), Role::Worker, 2, TEN_MINUTES);
        let id = secret(1).id();
        assert_eq!(given.secret(at(1), id), Ok(secret(1)));
        assert_eq!(given.redeem(at(1), id), Ok(Role::Worker));
        assert_eq!(given.redeem(at(1), id), Ok(Role::Worker));
        assert_eq!(given.redeem(at(1), id), Err(InvitationError::UsedUp(Role::Worker)));
        assert_eq!(given.secret(at(1), id), Err(InvitationError::UsedUp(Role::Worker)));
    }

    #[test]
    fn a_token_is_good_for_its_time() {
        let mut given = Invitations::default();
        given.add(at(0), secret(1), Role::Client, 1, TEN_MINUTES);
        let id = secret(1).id();
        assert!(given.secret(at(599), id).is_ok());
        assert_eq!(given.redeem(at(600), id), Err(InvitationError::Expired(Role::Client)));
    }

    #[test]
    fn a_token_of_nobody_is_unknown_and_old_ones_are_forgotten() {
        let mut given = Invitations::default();
        assert_eq!(given.secret(at(0), secret(1).id()), Err(InvitationError::Unknown));
        for number in 0..=1024 {
            given.add(at(0), secret(number), Role::Worker, 1, TEN_MINUTES);
        }
        assert_eq!(given.secret(at(0), secret(0).id()), Err(InvitationError::Unknown));
        assert!(given.secret(at(0), secret(1024).id()).is_ok());
        assert_eq!(given.given.len(), REMEMBERED_MAX);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_with_the_remedy() {
        for (error, words) in [
            (InvitationError::Unknown, "does not know the join token"),
            (
                InvitationError::Expired(Role::Client),
                "has expired; make another with 'argon key --join client'",
            ),
            (
                InvitationError::UsedUp(Role::Worker),
                "is used up; make another with 'argon key --join worker'",
            ),
        ] {
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
