//! Machines without a key: those that wait for a person's decision, and the tokens with which others come in.
//!
//! Like the scheduler, these machines read no clock and draw no number: the shell brings the time, the codes and the
//! secrets. They bound what strangers can occupy, and how often somebody between a machine and its manager may try to get
//! a code that fits.

mod invitations;
mod waiting_room;

pub use invitations::{Invitation, InvitationError, Invitations};
pub use waiting_room::{Arrival, Guest, NotLetIn, Waiting, WaitingRoom};
