//! Requests of HTTP/1.1 at the port of a listener: a bounded head is read, a door answers, and the connection ends.
//!
//! The limits on peers that have proven nothing apply to them: their number, and the time of the whole exchange. Which paths
//! there are, and who may read them, is up to the owner of the door.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use argon_proto::frame::Outbox;
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::counts::TurnedAway;
use crate::handshake::Opening;
use crate::stream::{ReadHalf, Stream};

/// Bytes of a request's first line and headers.
const HEAD_BYTES: usize = 8 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Letters of a method at most; a longer upper-case word is not HTTP.
const METHOD_LETTERS: usize = 16;
/// Time for a peer to take its answer and close the connection,
const LAST_WORDS: Duration = Duration::from_secs(2);
/// and bytes that it may still send: others would make the kernel throw away the answer.
const LAST_BYTES: usize = 64 << 10;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// GET or HEAD.
    pub method: HttpMethod,
    /// Path, without the query.
    pub path: String,
    /// Text behind the question mark; may be empty.
    pub query: String,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
    /// Address of the peer.
    pub from: SocketAddr,
    /// True if no one on the way can read what is sent, or the operator accepts that.
    pub is_private: bool,
}

/// Method of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpMethod {
    /// The answer has a body.
    Get,
    /// The answer has the head that it would have for GET.
    Head,
    /// Any other.
    Other,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpAnswer {
    /// Status.
    pub status: u16,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Further headers, whole and without line ends.
    pub headers: Vec<&'static str>,
    /// Body.
    pub body: Bytes,
}

/// Answers the requests at a listener.
pub trait HttpDoor: Debug {
    /// Answers one request. The future is dropped when the time of the exchange is over.
    fn answer<'a>(&'a self, request: HttpRequest) -> Pin<Box<dyn Future<Output = HttpAnswer> + 'a>>;
}

/// A door that has no pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPages;

impl HttpDoor for NoPages {
    fn answer<'a>(&'a self, _: HttpRequest) -> Pin<Box<dyn Future<Output = HttpAnswer> + 'a>> {
        Box::pin(async { HttpAnswer::sentence(404, "there are no pages here") })
    }
}

impl HttpAnswer {
    /// An answer of plain text.
    #[must_use]
    pub fn sentence(status: u16, text: &str) -> Self {
        let body = Bytes::from(format!("{text}\n"));
        Self { status, content_type: "text/plain; charset=utf-8", headers: Vec::new(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, header: &'static str) -> Self {
        self.headers.push(header);
        self
    }

    fn write(&self, out: &mut Outbox, has_body: bool) {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len()
        );
        for header in &self.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        out.push_raw(head.as_bytes());
        if has_body {
            out.push_raw(&self.body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Answer",
    }
}

/// True if bytes can be the beginning of a request: an upper-case word and a space. `None` if more must arrive first.
pub(super) fn is_request(start: &[u8]) -> Option<bool> {
    let letters = start.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match start.get(letters) {
        Some(next) => Some(letters > 0 && letters <= METHOD_LETTERS && *next == b' '),
        None if letters > METHOD_LETTERS => Some(false),
        None => None,
    }
}

/// Reads the rest of a request and answers it. `waits` is called when it is this side's turn.
///
/// # Errors
/// If the connection broke, or the request was not understood.
pub(super) async fn serve(
    opening: Opening,
    door: &dyn HttpDoor,
    from: SocketAddr,
    is_private: bool,
    waits: impl FnOnce(),
) -> Result<(), TurnedAway> {
    let mut opening = opening.with_budget(HEAD_BYTES);
    let request = loop {
        match parse(opening.frames.buffer(), from, is_private) {
            Ok(Some(request)) => break Ok(request),
            Ok(None) if opening.frames.buffer().len() >= HEAD_BYTES => {
                break Err(HttpAnswer::sentence(431, "the head of a request has at most 8192 bytes here"));
            }
            Ok(None) => opening.read_more().await.map_err(TurnedAway::broken)?,
            Err(answer) => break Err(answer),
        }
    };
    waits();
    let (answer, has_body, ended) = match request {
        Ok(request) => {
            let has_body = request.method != HttpMethod::Head;
            (door.answer(request).await, has_body, Ok(()))
        }
        Err(answer) => {
            let why = String::from_utf8_lossy(&answer.body).trim_end().to_owned();
            let why = format!("it sent a request that is not understood: {why}");
            (answer, true, Err(TurnedAway { reason: "http", why }))
        }
    };
    let mut out = Outbox::default();
    answer.write(&mut out, has_body);
    opening.send(&mut out).await.map_err(TurnedAway::broken)?;
    end(opening.stream).await;
    ended
}

/// The request at the beginning of `head`; `None` if it is not whole.
fn parse(head: &BytesMut, from: SocketAddr, is_private: bool) -> Result<Option<HttpRequest>, HttpAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::Version) => {
            return Err(HttpAnswer::sentence(505, "this port speaks HTTP/1.1; use that version"));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(HttpAnswer::sentence(431, "a request has at most 64 headers here"));
        }
        Err(error) => {
            return Err(HttpAnswer::sentence(400, &format!("that is not a request of HTTP/1.1: {error}")));
        }
    }
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = match parsed.method {
        Some("GET") => HttpMethod::Get,
        Some("HEAD") => HttpMethod::Head,
        Some(_) | None => HttpMethod::Other,
    };
    let authorization =
        parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("authorization"));
    let authorization = authorization.map(|header| String::from_utf8_lossy(header.value).into_owned());
    Ok(Some(HttpRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        authorization,
        from,
        is_private,
    }))
}

/// Ends what the peer reads, and waits until it closes: bytes of it that no one reads would make the kernel throw away the
/// answer.
async fn end(stream: Stream) {
    let until = Instant::now() + LAST_WORDS;
    let (mut reader, writer) = stream.split();
    drop(writer);
    let (mut left, mut buffer) = (LAST_BYTES, BytesMut::new());
    while left > 0
        && let Ok(Ok(count)) = timeout_at(until, read(&mut reader, &mut buffer)).await
        && count > 0
    {
        left = left.saturating_sub(count);
        buffer.clear();
    }
}

async fn read(reader: &mut ReadHalf, buffer: &mut BytesMut) -> std::io::Result<usize> {
    buffer.reserve(1 << 10);
    std::future::poll_fn(|context| reader.poll_read_buf(context, buffer)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Result<Option<HttpRequest>, u16> {
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        parse(&BytesMut::from(text), from, true).map_err(|answer| answer.status)
    }

    #[test]
    fn a_request_begins_with_an_upper_case_word_and_a_space() {
        for (start, expected) in [
            (&b"GET /"[..], Some(true)),
            (b"OPTIONS *", Some(true)),
            (b"GET", None),
            (b"get /", Some(false)),
            (b"ARGO\x00", Some(false)),
            (b"AAAAAAAAAAAAAAAAAAAAAAAA", Some(false)),
            (b" ", Some(false)),
        ] {
            assert_eq!(is_request(start), expected, "{start:?}");
        }
    }

    #[test]
    fn the_head_of_a_request_is_read_whatever_the_letters_of_its_headers() {
        let text = b"HEAD /metrics?a=1 HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Bearer t\r\n\r\n";
        let request = parsed(text).expect("understood").expect("whole");
        assert_eq!((request.method, request.path.as_str()), (HttpMethod::Head, "/metrics"));
        assert_eq!((request.query.as_str(), request.authorization.as_deref()), ("a=1", Some("Bearer t")));
        assert!(parsed(&text[..text.len() - 1]).expect("understood").is_none());
    }

    #[test]
    fn what_is_not_http_1_is_refused_with_a_status() {
        let long = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        for (text, status) in [
            (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], 505),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET /\x01 HTTP/1.1\r\n\r\n", 400),
            (long.as_bytes(), 431),
        ] {
            assert_eq!(parsed(text).err(), Some(status), "{}", String::from_utf8_lossy(text));
        }
    }
}
