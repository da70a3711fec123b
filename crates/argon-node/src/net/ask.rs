//! One question to a manager, one answer: what the commands that look and steer need.

use std::time::Duration;

use argon_proto::Message;
use argon_proto::frame::Outbox;
use argon_proto::handshake::Refusal;
use argon_proto::key::{Key, Role, Scope};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::accept::write_all;
use super::dial::{Reached, dial};
use crate::exit::{Failure, Kind};

/// How long a manager may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Asks the manager at `address` and returns the body of its REPLY.
///
/// # Errors
/// If it is not reached, refuses, does not answer, or answers that it cannot.
pub async fn ask(address: &str, key: &Key, role: Role, question: &Value) -> Result<Value, Failure> {
    let mut reached = dial(address, key, role).await?;
    let mut out = Outbox::default();
    out.push(Message::Request(question.to_string().into()));
    let broken = |refusal: Refusal| Failure::new(Kind::Reach, refusal.message);
    write_all(&mut reached.stream, &mut out).await.map_err(broken)?;
    let reply = tokio::time::timeout(ANSWER_WITHIN, answer(&mut reached)).await.map_err(|_| {
        Failure::new(Kind::Reach, format!("the manager at {address} did not answer within 10 s"))
    })??;
    let reply: Value = serde_json::from_slice(&reply).map_err(|error| {
        Failure::new(Kind::Reach, format!("the manager's answer cannot be read: {error}"))
    })?;
    if reply["ok"] == true {
        return Ok(reply);
    }
    let message = reply["message"].as_str().unwrap_or("the manager could not do that");
    Err(Failure::new(Kind::Other, message))
}

/// The role in which a command asks: the one that it wants, or the client's or admin's that the key is for.
pub fn role_for(key: &Key, wanted: Role) -> Role {
    match key.scope() {
        Scope::Role(role @ (Role::Client | Role::Admin)) => role,
        Scope::Cluster | Scope::Role(Role::Worker | Role::Observer) => wanted,
    }
}

async fn answer(reached: &mut Reached) -> Result<bytes::Bytes, Failure> {
    loop {
        let message = reached.decoder.next().map_err(|error| {
            Failure::new(Kind::Reach, format!("the manager's answer cannot be read: {error}"))
        })?;
        match message {
            Some(Message::Reply(reply)) => return Ok(reply),
            Some(Message::Refused(json)) => {
                return Err(Failure::new(Kind::Reach, Refusal::from_json(&json).message));
            }
            Some(_) => {}
            None => {
                let count =
                    reached.stream.read_buf(reached.decoder.buffer()).await.map_err(|error| {
                        Failure::new(Kind::Reach, format!("the connection broke: {error}"))
                    })?;
                if count == 0 {
                    return Err(Failure::new(Kind::Reach, "the manager closed the connection"));
                }
            }
        }
    }
}
