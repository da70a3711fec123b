//! The runner's loop: frames in, one task after another, outcomes out.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use argon_proto::conversation::Blob;
use argon_proto::conversation::runner::{FromRunner, Ready, ToRunner};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{AttemptId, BlobHash, Codec, Flags, Outcome, OutcomeHead, Payload, Runtime, Status, Task};
use bytes::{BufMut, Bytes};
use serde::Deserialize;

use super::arguments::{Arguments, Failure};
use super::folder::{Folder, with_folder};
use super::leases::LeasePipe;
use super::panic;
use super::registry::{Registered, Registry};
use super::values::Values;
use crate::{program, shared, task_client, task_identity};

/// Most bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// Serves until the worker closes the socket.
pub(super) fn serve(socket: UnixStream, claims: Option<LeasePipe>) -> io::Result<()> {
    panic::install();
    let values = Arc::new(Values::default());
    shared::set_keeper(Arc::clone(&values) as Arc<dyn shared::Keeper>);
    let mut runner = Runner {
        socket,
        claims,
        scratch: vec![0; READ_BYTES],
        decoder: Decoder::default(),
        outbox: Outbox::default(),
        registry: Registry::of_this_program(),
        values,
        tasks: VecDeque::new(),
        is_first_ours: false,
        is_output_left: false,
        folder: Folder::present(),
        last: None,
    };
    let ready = Ready {
        claims: runner.claims.is_some(),
        pid: std::process::id(),
        runtime: Runtime::Native.name().to_owned(),
        template: false,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    runner.outbox.push(&FromRunner::Ready(ready));
    runner.flush()?;
    while let Some(task) = runner.next_task()? {
        let outcome = runner.run(task);
        runner.report(outcome)?;
    }
    Ok(())
}

struct Runner {
    socket: UnixStream,
    /// Nothing if the worker hands no tasks ahead.
    claims: Option<LeasePipe>,
    scratch: Vec<u8>,
    decoder: Decoder<ToRunner>,
    outbox: Outbox,
    registry: Registry,
    values: Arc<Values>,
    /// Tasks that wait for their turn. Those that the worker takes back meanwhile stay until then.
    tasks: VecDeque<Task>,
    /// The first of them is this runner's, and waits for its blobs.
    is_first_ours: bool,
    /// The worker has yet to take what the last task printed.
    is_output_left: bool,
    folder: Folder,
    /// Meta data of the last task, and its function.
    last: Option<(Bytes, &'static Registered)>,
}

/// `meta` of a native task.
#[derive(Deserialize)]
struct NativeMeta<'a> {
    #[serde(borrow)]
    call: Cow<'a, str>,
    /// That of the caller.
    #[serde(borrow, default)]
    folder: Option<Cow<'a, str>>,
}

impl Runner {
    /// The next task that is this runner's, when all its blobs are here. Nothing when the worker has closed the socket.
    fn next_task(&mut self) -> io::Result<Option<Task>> {
        loop {
            if self.has_first()? && self.missing_of_first().is_empty() {
                self.is_first_ours = false;
                return Ok(self.tasks.pop_front());
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// True if the first task is this runner's. Drops those before it that are not.
    fn has_first(&mut self) -> io::Result<bool> {
        while !self.is_first_ours
            && !self.is_output_left
            && let Some(task) = self.tasks.front()
        {
            let is_ahead = task.head.flags.contains(Flags::AHEAD);
            if is_ahead && !self.claims.as_mut().is_some_and(LeasePipe::claim) {
                self.tasks.pop_front();
                continue;
            }
            self.is_first_ours = true;
            let missing = self.missing_of_first();
            if !missing.is_empty() {
                self.outbox.push(&FromRunner::NeedBlob(missing));
                self.flush()?;
            }
        }
        Ok(self.is_first_ours)
    }

    /// Reads what is there and takes it in. `false` when the worker has closed the socket.
    fn read(&mut self) -> io::Result<bool> {
        match self.read_once() {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        }
        while let Some(message) = self.decoder.next().map_err(io::Error::other)? {
            self.take(message);
        }
        Ok(true)
    }

    /// A long frame goes to where it stays: to clear that room costs less than to copy what comes.
    fn read_once(&mut self) -> io::Result<usize> {
        if self.decoder.missing_of_long() == 0 {
            let count = self.socket.read(&mut self.scratch)?;
            self.decoder.buffer().extend_from_slice(&self.scratch[..count]);
            return Ok(count);
        }
        let room = self.decoder.room(READ_BYTES).remaining_mut();
        let buffer = self.decoder.buffer();
        let have = buffer.len();
        buffer.resize(have + room, 0);
        let read = self.socket.read(&mut buffer[have..]);
        buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        read
    }

    fn take(&mut self, message: ToRunner) {
        match message {
            ToRunner::Run(task) => self.tasks.push_back(task),
            ToRunner::OutputTaken => self.is_output_left = false,
            ToRunner::Blob(Blob { hash, payload }) => {
                let wanted: Vec<BlobHash> = self.tasks.iter().flat_map(Task::blob_hashes).collect();
                self.values.insert(hash, payload, &wanted);
            }
            // This runner asks nothing.
            ToRunner::Answer(_) => {}
        }
    }

    /// The first blob of a task is this program itself.
    fn missing_of_first(&self) -> Vec<BlobHash> {
        let hashes = self.tasks.front().into_iter().flat_map(|task| task.blob_hashes().skip(1));
        hashes.filter(|hash| !self.values.has(*hash)).collect()
    }

    /// Writes the outcome at once: the next task may take for ever.
    fn report(&mut self, outcome: Outcome) -> io::Result<()> {
        if self.claims.as_ref().is_some_and(LeasePipe::is_output_left) {
            self.is_output_left = true;
            self.outbox.push(&FromRunner::OutputLeft);
        }
        self.outbox.push(&FromRunner::Outcome(outcome));
        self.flush()
    }

    fn run(&mut self, mut task: Task) -> Outcome {
        let codec = task.head.codec;
        // Big arguments are not in memory twice while the task runs.
        let bytes = std::mem::take(&mut task.payload).to_contiguous();
        task_identity::set(Some(AttemptId { task: task.head.id, attempt: task.head.attempt }));
        task.blob_hashes().next().into_iter().for_each(program::know);
        let started = Instant::now();
        let registered = self.registered(task.meta());
        let arguments = Arguments { codec, bytes: &bytes };
        let ended = panic::catching(|| registered.and_then(|registered| (registered.run)(&arguments)));
        // Where the task is now is where its relative paths begin.
        let ended = ended.map(|ended| ended.map_err(|failure| failure.with_text(with_folder)));
        let ended = ended.map_err(|facts| panic::with_message(facts, with_folder));
        let run_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        task_identity::set(None);
        task_client::close();
        self.clean_up();
        let (status, payload) = match ended {
            Ok(Ok(value)) => (Status::Ok, value),
            Ok(Err(failure)) => (Status::Error, failure.into_bytes(codec)),
            Err(facts) => match codec {
                Codec::Own => (Status::Error, panic::payload(&facts)),
                Codec::Json => (Status::Error, facts.to_string().into_bytes()),
            },
        };
        let head = OutcomeHead {
            id: task.head.id,
            attempt: task.head.attempt,
            status,
            codec,
            run_us,
            leaves: false,
        };
        Outcome { head, report: Bytes::new(), payload: Payload::from(payload) }
    }

    /// The function of a task, which starts in the folder of its caller.
    fn registered(&mut self, meta: &[u8]) -> Result<&'static Registered, Failure> {
        if let Some((last, registered)) = &self.last
            && *last == meta
        {
            return Ok(registered);
        }
        let read: NativeMeta<'_> = serde_json::from_slice(meta)
            .map_err(|error| Failure::refusal(format!("the task names no function to call: {error}")))?;
        self.folder.start_in(read.folder.as_deref());
        let registered = self.registry.find(&read.call).map_err(Failure::refusal)?;
        self.last = Some((Bytes::copy_from_slice(meta), registered));
        Ok(registered)
    }

    /// Writes the task's output before its outcome, and returns to the folder in which it began.
    fn clean_up(&self) {
        let _ = io::stdout().flush();
        let _ = io::stderr().flush();
        self.folder.enter();
    }

    fn flush(&mut self) -> io::Result<()> {
        // Most often it is one piece, for which the kernel has a shorter way.
        self.outbox.write_with(|slices| match slices {
            [slice] => self.socket.write(slice),
            slices => self.socket.write_vectored(slices),
        })?;
        Ok(())
    }
}
