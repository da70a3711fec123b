//! Output of an attempt: how much may be on the way to its client, and its end for reports.

use argon_proto::limit;

/// Bytes and lines that a report shows of an attempt that died.
const TAIL_BYTES: usize = 8 << 10;
const TAIL_LINES: usize = 50;
/// Bytes that come with the outcome of a task whose output is not sent live.
const CAPTURE_BYTES: usize = 32 << 10;

/// Bytes that have been sent, and that may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Window {
    sent: u64,
    granted: u64,
}

/// The last bytes of output of any length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    bytes_max: usize,
    lines_max: usize,
}

impl Window {
    /// Bytes that may be sent now.
    pub(crate) fn room(self) -> u64 {
        self.granted.saturating_add(limit::OUTPUT_WINDOW_BYTES).saturating_sub(self.sent)
    }

    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// The client has taken `bytes` bytes in total.
    pub(crate) fn on_granted(&mut self, bytes: u64) {
        self.granted = self.granted.max(bytes);
    }

    /// The connection was lost: bytes on the way will never be granted, and the next connection counts anew.
    pub(crate) fn write_off(&mut self) {
        *self = Self::default();
    }
}

impl Tail {
    /// The tail that a death report shows.
    pub(crate) fn for_report() -> Self {
        Self { bytes: Vec::new(), bytes_max: TAIL_BYTES, lines_max: TAIL_LINES }
    }

    /// The tail that comes with every outcome of a task that asked for it.
    pub(crate) fn for_capture() -> Self {
        Self { bytes: Vec::new(), bytes_max: CAPTURE_BYTES, lines_max: usize::MAX }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        if self.bytes.len() + kept.len() > 2 * self.bytes_max {
            let surplus = (self.bytes.len() + kept.len()).saturating_sub(self.bytes_max);
            self.bytes.drain(..surplus.min(self.bytes.len()));
        }
        self.bytes.extend_from_slice(kept);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The last lines. Bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        let bytes = &self.bytes[self.bytes.len().saturating_sub(self.bytes_max)..];
        let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let newlines = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        let start = newlines.map(|(at, _)| at + 1).nth(self.lines_max.saturating_sub(1)).unwrap_or(0);
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_and_a_grant_opens_it() {
        let mut window = Window::default();
        assert_eq!(window.room(), limit::OUTPUT_WINDOW_BYTES);
        window.on_sent(1 << 20);
        assert_eq!(window.room(), 0);
        window.on_granted(1000);
        assert_eq!(window.room(), 1000);
        window.on_granted(u64::MAX);
        assert!(window.room() > 1 << 60);
    }

    #[test]
    fn what_was_lost_with_the_connection_does_not_close_the_window() {
        let mut window = Window::default();
        window.on_granted(100);
        window.on_sent(1 << 20);
        window.write_off();
        assert_eq!(window.room(), limit::OUTPUT_WINDOW_BYTES);
    }

    #[test]
    fn a_tail_keeps_the_last_lines_and_bytes() {
        let mut tail = Tail::for_report();
        (0..1000).for_each(|line| tail.push(format!("line {line}\n").as_bytes()));
        let text = tail.text();
        assert_eq!(text.lines().count(), TAIL_LINES);
        assert!(text.starts_with("line 950\n") && text.ends_with("line 999\n"), "{text}");

        let mut tail = Tail::for_report();
        (0..1000).for_each(|_| tail.push(&[b'x'; 1000]));
        tail.push(&[0xff; 100_000]);
        assert_eq!(tail.text().chars().count(), TAIL_BYTES);
        assert!(tail.bytes.len() <= 2 * TAIL_BYTES);
    }
}
