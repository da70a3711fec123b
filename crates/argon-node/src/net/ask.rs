//! One question to a manager, one answer: what the commands that look and steer need.

use std::time::Duration;

use argon_net::{Connected, Connection, ConnectionEnd, Inbox, Silence, Trust, connection, dial};
use argon_proto::conversation::admin::{FromAdmin, Question, Reply, ToAdmin};
use argon_proto::key::{Key, Role, Scope};

use crate::exit::{Failure, FailureKind};
use crate::output::complain;

/// Time within which a manager must answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// After this people learn what is waited for.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// Asks the manager at `address` and returns its reply.
///
/// # Errors
/// If it is not reached, refuses, does not answer, or answers that it cannot.
pub async fn ask(
    address: &str,
    key: &Key,
    trust: &Trust,
    role: Role,
    question: &Question,
) -> Result<Reply, Failure> {
    let asking = ask_now(address, key, trust, role, question);
    not_in_silence(&format!("the manager at {address}"), complain, asking).await
}

/// Waits for what the manager is asked for; if that takes more than two seconds, `tell` is given a line that says so.
pub async fn not_in_silence<T>(peer: &str, tell: impl Fn(String), asking: impl Future<Output = T>) -> T {
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => return answer,
        () = tokio::time::sleep(SILENT_FOR) => {}
    }
    tell(format!("waiting: {peer} does not answer yet"));
    asking.await
}

async fn ask_now(
    address: &str,
    key: &Key,
    trust: &Trust,
    role: Role,
    question: &Question,
) -> Result<Reply, Failure> {
    let Connected { stream, frames, .. } = dial(address, key, role, trust).await?;
    let (connection, receiver) = Connection::new(stream, frames, "manager", Silence::Ends);
    connection.send(&FromAdmin::Request(question.numbered(1)));
    connection.flush();
    let mut answer = Answer(None);
    let answering = connection::run(&connection, receiver, &mut answer);
    let within = ANSWER_WITHIN.as_secs();
    let end = tokio::time::timeout(ANSWER_WITHIN, answering).await.map_err(|_| {
        Failure::new(FailureKind::Reach, format!("the manager at {address} did not answer within {within} s"))
    })?;
    match (answer.0, end) {
        (Some(reply), _) if reply.ok => Ok(reply),
        (Some(reply), _) => Err(Failure::new(FailureKind::Other, reply.message())),
        (None, ConnectionEnd::Refused(why)) => Err(Failure::new(FailureKind::Reach, why)),
        (None, ConnectionEnd::Lost(why)) => {
            Err(Failure::new(FailureKind::Reach, format!("the connection to the manager ended: {why}")))
        }
        (None, ConnectionEnd::Silent | ConnectionEnd::Closed) => {
            Err(Failure::new(FailureKind::Reach, "the manager closed the connection"))
        }
    }
}

/// The reply, which ends the connection.
struct Answer(Option<Reply>);

impl Inbox<ToAdmin> for &mut Answer {
    fn take(&mut self, message: ToAdmin) -> Result<(), ConnectionEnd> {
        match message {
            ToAdmin::Reply(reply) => {
                self.0 = Some(reply);
                Err(ConnectionEnd::Closed)
            }
            // When it leaves, it closes the connection.
            ToAdmin::Goodbye(_) => Ok(()),
        }
    }
}

/// A reply, or one of its values, that is not what was asked for.
pub fn unreadable(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureKind::Reach, format!("the manager's answer cannot be read: {error}"))
}

/// The role in which a command asks: the one that it wants, or the client's or admin's that the key is for.
pub fn role_for(key: &Key, wanted: Role) -> Role {
    match key.scope() {
        Scope::Role(role @ (Role::Client | Role::Admin)) => role,
        Scope::Cluster | Scope::Role(Role::Worker | Role::Observer) => wanted,
    }
}
