//! This process's standard input for a command elsewhere: sent with it if it is a small file, otherwise read piece by
//! piece as the command asks for it.
//!
//! A file can be read again from any place, so a command that is started again gets it whole. What came through a pipe
//! or from a terminal is kept up to a bound; a second start that asks for dropped input is refused.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};

use argon::Payload;
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::files::archive::Archive;
use super::invocation::Input;

/// A file up to this size travels with the command.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a stream that are kept for a second start.
const KEPT_BYTES: usize = 1 << 20;
/// Bytes of one answer at most.
const ANSWER_BYTES_MAX: u64 = 256 << 10;

/// Answers a command's questions for input.
#[derive(Debug)]
pub struct StdinProvider {
    source: StdinSource,
}

#[derive(Debug)]
enum StdinSource {
    File {
        file: File,
        begin: u64,
    },
    Block(Bytes),
    /// Files, and then something else.
    Archive(Archive, Option<Box<StdinProvider>>),
    Stream(StdinStream),
}

/// A pipe or a terminal, read by its own thread, because a read may wait and must not delay the exit of this process.
#[derive(Debug)]
struct StdinStream {
    wanted: std::sync::mpsc::Sender<()>,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    kept: BytesMut,
    /// The place of the first byte that is kept.
    begin: u64,
    is_over: bool,
}

/// A question of a command.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct StdinQuestion {
    kind: String,
    offset: u64,
    bytes: u64,
}

/// Looks at standard input: what goes with the command, and where more comes from.
///
/// # Errors
/// If it cannot be read.
pub fn open() -> io::Result<(Input, Option<StdinProvider>)> {
    let stdin = io::stdin();
    let mut file = File::from(stdin.as_fd().try_clone_to_owned()?);
    let facts = file.metadata()?;
    if facts.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if facts.file_type().is_char_device() && !stdin.is_terminal() && is_null(&facts) {
        return Ok((Input::Empty, None));
    }
    if facts.is_file() {
        let begin = file.stream_position()?;
        let length = facts.len().saturating_sub(begin);
        if length > WHOLE_BYTES_MAX {
            return Ok((Input::Asked, Some(StdinProvider { source: StdinSource::File { file, begin } })));
        }
        let mut bytes = Vec::new();
        file.take(WHOLE_BYTES_MAX).read_to_end(&mut bytes)?;
        let input = if bytes.is_empty() { Input::Empty } else { Input::Whole(Payload::from(bytes)) };
        return Ok((input, None));
    }
    Ok((
        Input::Asked,
        Some(StdinProvider { source: StdinSource::Stream(StdinStream::start(Box::new(file))?) }),
    ))
}

fn is_null(facts: &std::fs::Metadata) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == facts.rdev())
}

impl StdinProvider {
    /// The bytes of a block. A command that is started again gets it whole.
    #[must_use]
    pub fn of_block(block: Bytes) -> Self {
        Self { source: StdinSource::Block(block) }
    }

    /// Puts an archive before an input.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn behind(
        mut archive: Archive,
        input: Input,
        rest: Option<Self>,
    ) -> io::Result<(Input, Option<Self>)> {
        archive.end();
        if archive.length() > WHOLE_BYTES_MAX {
            let rest = match input {
                Input::Whole(payload) => Some(Self::of_block(payload.to_contiguous())),
                Input::Empty | Input::Asked | Input::Begun(_) => rest,
            };
            let source = StdinSource::Archive(archive, rest.map(Box::new));
            return Ok((Input::Asked, Some(Self { source })));
        }
        let whole = archive.whole()?;
        Ok(match input {
            Input::Empty => (Input::Whole(whole.into()), None),
            Input::Whole(payload) => {
                let parts = std::iter::once(whole).chain(payload.parts().iter().cloned()).collect();
                (Input::Whole(Payload::from_parts(parts)), None)
            }
            Input::Asked | Input::Begun(_) => (Input::Begun(whole.into()), rest),
        })
    }

    /// Answers a question; `None` is no.
    ///
    /// # Errors
    /// If standard input cannot be read.
    pub async fn answer(&mut self, question: &[u8]) -> io::Result<Option<Bytes>> {
        let Ok(question) = serde_json::from_slice::<StdinQuestion>(question) else { return Ok(None) };
        if question.kind != "stdin" {
            return Ok(None);
        }
        let length = question.bytes.min(ANSWER_BYTES_MAX) as usize;
        self.read(question.offset, length).await
    }

    async fn read(&mut self, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
        match &mut self.source {
            StdinSource::Archive(archive, rest) => {
                let (here, rest) = match (offset.checked_sub(archive.length()), rest) {
                    (None, _) => (Some(archive.read_at(offset, length)?), None),
                    (Some(_), None) => (Some(Bytes::new()), None),
                    (Some(behind), Some(rest)) => (None, Some((rest, behind))),
                };
                match rest {
                    Some((rest, behind)) => Box::pin(rest.read(behind, length)).await,
                    None => Ok(here),
                }
            }
            StdinSource::File { file, begin } => {
                let mut bytes = vec![0; length];
                let count = file.read_at(&mut bytes, *begin + offset)?;
                bytes.truncate(count);
                Ok(Some(bytes.into()))
            }
            StdinSource::Block(block) => {
                let begin = usize::try_from(offset).map_or(block.len(), |at| at.min(block.len()));
                Ok(Some(block.slice(begin..(begin + length).min(block.len()))))
            }
            StdinSource::Stream(stream) => stream.read(offset, length).await,
        }
    }
}

impl StdinStream {
    /// Fails if the system gives no thread, as under a limit of processes.
    fn start(mut from: Box<dyn Read + Send>) -> io::Result<Self> {
        let (wanted, wishes) = std::sync::mpsc::channel();
        let (give, pieces) = mpsc::channel(1);
        std::thread::Builder::new().name("argon stdin".to_owned()).spawn(move || {
            let mut buffer = vec![0; ANSWER_BYTES_MAX as usize];
            while wishes.recv().is_ok() {
                let piece = loop {
                    match from.read(&mut buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => break other.map(|count| Bytes::copy_from_slice(&buffer[..count])),
                    }
                };
                if give.blocking_send(piece).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { wanted, pieces, kept: BytesMut::new(), begin: 0, is_over: false })
    }

    async fn read(&mut self, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
        let Some(place) = offset.checked_sub(self.begin).map(|place| place as usize) else { return Ok(None) };
        if place > self.kept.len() {
            return Ok(None);
        }
        if place == self.kept.len() && !self.is_over {
            self.fetch().await?;
        }
        let end = self.kept.len().min(place + length);
        let answer = Bytes::copy_from_slice(&self.kept[place..end]);
        if self.kept.len() > KEPT_BYTES {
            // The command has got everything up to `offset`: only a second start could ask for it.
            self.begin += place as u64;
            let _ = self.kept.split_to(place);
        }
        Ok(Some(answer))
    }

    async fn fetch(&mut self) -> io::Result<()> {
        // The thread lives until its end of the channel is dropped. Without it there is no more input.
        if self.wanted.send(()).is_err() {
            self.is_over = true;
            return Ok(());
        }
        match self.pieces.recv().await {
            Some(Ok(piece)) if !piece.is_empty() => self.kept.extend_from_slice(&piece),
            Some(Ok(_)) | None => self.is_over = true,
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn streamed(bytes: Vec<u8>) -> StdinProvider {
        StdinProvider {
            source: StdinSource::Stream(
                StdinStream::start(Box::new(io::Cursor::new(bytes))).expect("a thread"),
            ),
        }
    }

    async fn ask(stdin: &mut StdinProvider, offset: u64, bytes: u64) -> Option<Bytes> {
        let question = format!(r#"{{"kind":"stdin","offset":{offset},"bytes":{bytes}}}"#);
        stdin.answer(question.as_bytes()).await.expect("it can be read")
    }

    #[tokio::test]
    async fn a_stream_is_read_as_it_is_asked_for_and_ends() {
        let mut stdin = streamed(b"hello there".to_vec());
        assert_eq!(ask(&mut stdin, 0, 5).await.as_deref(), Some(&b"hello"[..]));
        assert_eq!(ask(&mut stdin, 5, 100).await.as_deref(), Some(&b" there"[..]));
        assert_eq!(ask(&mut stdin, 11, 100).await.as_deref(), Some(&b""[..]));
        assert_eq!(ask(&mut stdin, 12, 100).await, None, "a place that was never reached");
    }

    #[tokio::test]
    async fn a_second_start_gets_what_is_kept_and_no_to_what_is_gone() {
        let mut stdin = streamed(vec![7; 2 << 20]);
        assert_eq!(ask(&mut stdin, 0, 1 << 18).await.map(|bytes| bytes.len()), Some(1 << 18));
        assert!(ask(&mut stdin, 0, 1 << 18).await.is_some(), "it is kept");
        let mut offset = 0;
        while let Some(bytes) = ask(&mut stdin, offset, 1 << 18).await.filter(|bytes| !bytes.is_empty()) {
            offset += bytes.len() as u64;
        }
        assert_eq!(offset, 2 << 20);
        assert_eq!(ask(&mut stdin, 0, 1 << 18).await, None, "it is gone");
    }

    #[tokio::test]
    async fn a_file_can_be_read_again_from_where_it_stood() {
        let mut file = tempfile::tempfile().expect("made");
        file.write_all(b"skipped kept").expect("written");
        let mut stdin = StdinProvider { source: StdinSource::File { file, begin: 8 } };
        for _ in 0..2 {
            assert_eq!(ask(&mut stdin, 0, 100).await.as_deref(), Some(&b"kept"[..]));
            assert_eq!(ask(&mut stdin, 4, 100).await.as_deref(), Some(&b""[..]));
        }
    }

    #[tokio::test]
    async fn a_block_is_read_from_any_place() {
        let mut stdin = StdinProvider::of_block(Bytes::from_static(b"a block"));
        assert_eq!(ask(&mut stdin, 2, 100).await.as_deref(), Some(&b"block"[..]));
        assert_eq!(ask(&mut stdin, 0, 1).await.as_deref(), Some(&b"a"[..]));
        assert_eq!(ask(&mut stdin, 99, 1).await.as_deref(), Some(&b""[..]));
    }

    #[tokio::test]
    async fn other_questions_are_answered_with_no() {
        let mut stdin = streamed(Vec::new());
        for question in [&br#"{"kind":"perl-module","name":"X.pm"}"#[..], b"?"] {
            assert_eq!(stdin.answer(question).await.expect("no is an answer"), None);
        }
    }
}
