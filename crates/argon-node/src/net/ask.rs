//! One question to a manager, one answer: what the commands that look and steer need.

use std::time::Duration;

use argon_proto::conversation::admin::{FromAdmin, Question, Reply, ToAdmin};
use argon_proto::conversation::{Control, Incoming};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::handshake::Refusal;
use argon_proto::key::{Key, Role, Scope};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::accept::write_all;
use super::dial::dial;
use crate::exit::{Failure, FailureKind};
use crate::output::complain;

/// How long a manager may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// After this people learn what is waited for.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// Asks the manager at `address` and returns its reply.
///
/// # Errors
/// If it is not reached, refuses, does not answer, or answers that it cannot.
pub async fn ask(address: &str, key: &Key, role: Role, question: &Question) -> Result<Reply, Failure> {
    not_in_silence(address, complain, ask_now(address, key, role, question)).await
}

/// Waits for what the manager is asked for; if that takes more than two seconds, `tell` is given a line that says so.
pub async fn not_in_silence<T>(address: &str, tell: impl Fn(String), asking: impl Future<Output = T>) -> T {
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => return answer,
        () = tokio::time::sleep(SILENT_FOR) => {}
    }
    tell(format!("waiting: the manager at {address} does not answer yet"));
    asking.await
}

async fn ask_now(address: &str, key: &Key, role: Role, question: &Question) -> Result<Reply, Failure> {
    let mut reached = dial(address, key, role).await?;
    let mut out = Outbox::default();
    out.push(&FromAdmin::Request(question.numbered(1)));
    let broken = |refusal: Refusal| Failure::new(FailureKind::Reach, refusal.message);
    write_all(&mut reached.stream, &mut out).await.map_err(broken)?;
    let answering = answer(&mut reached.stream, reached.frames.into());
    let reply = tokio::time::timeout(ANSWER_WITHIN, answering).await.map_err(|_| {
        Failure::new(FailureKind::Reach, format!("the manager at {address} did not answer within 10 s"))
    })??;
    if reply.ok { Ok(reply) } else { Err(Failure::new(FailureKind::Other, reply.message())) }
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

async fn answer(stream: &mut TcpStream, mut decoder: Decoder<Incoming<ToAdmin>>) -> Result<Reply, Failure> {
    loop {
        match decoder.next().map_err(|error| unreadable(&error))? {
            Some(Incoming::Message(ToAdmin::Reply(reply))) => return Ok(reply),
            Some(Incoming::Control(Control::Refused(refusal))) => {
                return Err(Failure::new(FailureKind::Reach, refusal.message));
            }
            // When it leaves, it closes the connection.
            Some(
                Incoming::Message(ToAdmin::Goodbye(_))
                | Incoming::Control(Control::Ping(_) | Control::Pong(_)),
            ) => {}
            None => {
                let count = stream.read_buf(decoder.buffer()).await.map_err(|error| {
                    Failure::new(FailureKind::Reach, format!("the connection broke: {error}"))
                })?;
                if count == 0 {
                    return Err(Failure::new(FailureKind::Reach, "the manager closed the connection"));
                }
            }
        }
    }
}
