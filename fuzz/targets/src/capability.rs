//! Target: texts that grant rights (tickets, secrets), and texts of peers for people.
//!
//! Promises: no text makes a reader panic; what was read is written as the same text; an error shows no token; a forged
//! token opens nothing; a cleaned line is short, harmless, and stays as it is when it is cleaned again.

use argon_proto::key::Key;
use argon_proto::{Capabilities, Line, Secret, Ticket, line};

/// Checks one text.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Ticket>() {
        Ok(ticket) => {
            assert_eq!(ticket.to_string(), text, "one task has one text");
            assert!(!shows(&format!("{ticket:?}"), token_of(&text)), "a token stands in a log");
            // That of the vectors is known.
            let other = Capabilities::new(&Key::cluster([3; 32]));
            assert!(!other.verifies(&ticket), "a token of another cluster opens a task");
        }
        Err(error) => {
            assert!(!shows(&error.to_string(), token_of(&text)), "the text may hold a token: {error}")
        }
    }
    if let Ok(secret) = text.parse::<Secret>() {
        let json = serde_json::to_string(&secret).unwrap_or_default();
        assert!(json.eq_ignore_ascii_case(&format!("\"{text}\"")), "a secret changes when it is written");
        assert!(!shows(&format!("{secret:?}"), &text), "a secret stands in a log");
    }
    let clean = Line::clean(&text);
    assert!(clean.chars().count() <= Line::CHARS && !clean.chars().any(line::is_unsafe), "{clean:?}");
    assert_eq!(Line::clean(&clean), clean, "cleaning goes on");
}

/// The tickets and secrets of the shared vectors, good and broken, and texts that try to control a terminal.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    let vectors = crate::vectors(include_str!("../../../spec/vectors/secrets.json"));
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let broken = list(&vectors["broken_tickets"]).into_iter();
    let tickets = list(&vectors["capabilities"]["tickets"]).into_iter();
    let secrets = list(&vectors["sessions"]).into_iter().map(|row| row["secret"].clone());
    let texts = broken.chain(tickets).chain(secrets);
    let texts = texts.filter_map(|text| Some(text.as_str()?.as_bytes().to_vec()));
    let rude = ["\u{1b}]0;title\u{7}\r\n\u{9b}2J", "gnp.\u{202e}exe\u{2066}\u{feff}", "a\u{2028}b\u{e0041}"];
    texts.chain(rude.map(|text| text.as_bytes().to_vec())).collect()
}

/// Text at the place of a token.
fn token_of(text: &str) -> &str {
    text.split_once('-').map_or("", |(_, token)| token)
}

/// True if a message repeats a part that is long enough to be secret.
fn shows(message: &str, part: &str) -> bool {
    part.len() > 8 && message.contains(part)
}
