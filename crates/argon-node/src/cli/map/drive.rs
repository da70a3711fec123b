//! The loop of `argon map`: hands out commands as long as there is room, and takes back their ends.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use argon::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::super::pool::slots;
use super::carried::CommandLaunch;
use super::follow::{FinishedItem, FollowedCommand, Sink, follow};
use super::report::{Reporter, Trouble};
use super::settings::Settings;
use crate::command::end::CommandEnd;
use crate::command::invocation::Invocation;
use crate::exit::{self, Failure, FailureKind};
use crate::interrupt;
use crate::map::halt::{Halt, HaltUrgency, Tally};
use crate::map::jobs::Jobs;
use crate::map::live::Live;
use crate::map::printer::PrintedOutput;
use crate::map::progress::{Progress, ProgressSnapshot};
use crate::map::reader::InputBatch;
use crate::map::slots::SlotNumbers;
use crate::map::summary;
use crate::map::work_item::{Built, InputItem, WorkItem, WorkItemBuilder};
use crate::output::complain;

/// Unfinished commands for each slot of the pool, so that a slot with short ones never waits.
const AHEAD_PER_SLOT: u64 = 4;
/// Least limit of unfinished commands, until the number of slots is known, and while it is small.
const AHEAD_LEAST: u64 = 32;
/// Commands that ended and wait for their turn in the order of inputs, at most.
const HELD_MAX: usize = 10_000;
/// Bytes of blocks under way, beyond which every slot gets one block and no more wait.
const BLOCKS_BYTES: u64 = 64 << 20;
/// Interval of questions for the number of slots: machines join and leave.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Interval of drawing the progress line.
const DRAW_EVERY: Duration = Duration::from_millis(150);

/// Reason to start no more commands.
enum StopCause {
    /// The rules of `--halt`.
    Halted,
    /// Ctrl-C and its like: the number of the signal.
    Interrupted(u8),
    /// No one reads the output.
    Unread,
    /// The run cannot continue.
    Failed(Failure),
}

struct MapRun {
    client: Client,
    invocation: Invocation,
    builder: WorkItemBuilder,
    batches: mpsc::Receiver<InputBatch>,
    items: VecDeque<InputItem>,
    are_inputs_over: bool,
    /// A source could not be read to its end.
    is_input_broken: bool,
    under_way: JoinSet<FinishedItem>,
    /// Bytes of the blocks that commands under way read.
    block_bytes: u64,
    next_place: u64,
    tally: Tally,
    halt: Halt,
    jobs: Option<Jobs>,
    numbers: SlotNumbers,
    /// True if the command asks for the number of its slot: then there are no more numbers than slots.
    uses_slots: bool,
    delay: Option<Duration>,
    /// Time before which no command starts.
    rest_until: Option<tokio::time::Instant>,
    sink: Sink,
    /// True if output is tagged with the input.
    tag: bool,
    /// True if each command is printed on standard error when it starts.
    is_verbose: bool,
    log: Option<PathBuf>,
    /// Reason why nothing goes on, until something does.
    waits: Option<String>,
    slots: watch::Receiver<Option<u64>>,
    cancel: watch::Sender<bool>,
    reporter: Reporter,
    stop: Option<StopCause>,
    /// Number of inputs, once it is known.
    total: Option<u64>,
    /// Inputs that need not be run.
    done_before: u64,
    begun: Instant,
}

pub(super) async fn run(settings: Settings) -> Result<u8, Failure> {
    let mut interrupt = interrupt::watch()?;
    let (give_reason, mut reasons) = mpsc::unbounded_channel();
    let client = {
        let tell = move |why| drop(give_reason.send(why));
        interrupt.or(settings.pool.connect_with("argon map", tell)).await?
    };
    interrupt.close_at_last(&client);
    let (mut asked_to_end, manager) = (interrupt.clone(), client.clone());
    let left_alone = asked_to_end.wait_without(&manager);
    tokio::pin!(left_alone);
    let mut run = MapRun::new(client, settings);
    let mut draw = tokio::time::interval(DRAW_EVERY);
    while !run.is_over() {
        let may_start = run.may_start();
        let is_seen = run.reporter.progress.is_seen();
        tokio::select! {
            biased;
            Some(done) = run.under_way.join_next() => run.on_joined(done),
            batch = run.batches.recv(), if may_start && run.items.is_empty() => run.on_batch(batch),
            number = interrupt.wait(), if run.stop.is_none() => run.stop_now(StopCause::Interrupted(number)),
            _ = &mut left_alone => {
                run.reporter.progress.tell("the manager does not answer; it cancels what is under way when this session is given up there");
                break;
            }
            Some(why) = reasons.recv() => run.on_waiting(why),
            Ok(()) = run.slots.changed() => {}
            () = rest(run.rest_until), if run.rest_until.is_some() => run.rest_until = None,
            _ = draw.tick(), if is_seen => run.reporter.progress.show(&run.standing()),
        }
        run.hand_out();
    }
    run.reporter.progress.clear();
    run.client.close();
    run.finish()
}

impl MapRun {
    fn new(client: Client, settings: Settings) -> Self {
        let (tell, slots) = watch::channel(None);
        tokio::task::spawn_local(watch_slots(client.clone(), tell));
        let Settings { keep_order, tag, joblog, results, progress, show, log, .. } = settings;
        let keeps = results.is_some();
        let progress = Progress::new(progress || show.is_progress_wanted);
        // Output in the order of the inputs cannot come at once.
        let is_live = !keep_order && (show.line_buffer || show.ungroup);
        let live = is_live.then(|| Live { is_by_lines: show.line_buffer || tag, progress: progress.clone() });
        let reporter = Reporter::new(keep_order, show.shown > 0, joblog, results, progress);
        let sink = Sink { spill: Rc::clone(&reporter.spill), live, keeps };
        Self {
            client,
            invocation: settings.invocation,
            builder: settings.builder,
            batches: settings.batches,
            items: VecDeque::new(),
            are_inputs_over: false,
            is_input_broken: false,
            under_way: JoinSet::new(),
            block_bytes: 0,
            next_place: 0,
            tally: Tally::default(),
            halt: settings.halt,
            jobs: settings.jobs,
            numbers: SlotNumbers::default(),
            uses_slots: settings.uses_slots,
            delay: settings.delay,
            rest_until: None,
            sink,
            tag,
            is_verbose: show.verbose,
            log,
            waits: None,
            slots,
            cancel: watch::channel(false).0,
            reporter,
            stop: None,
            total: settings.total,
            done_before: 0,
            begun: Instant::now(),
        }
    }

    fn is_over(&self) -> bool {
        let is_nothing_left = self.are_inputs_over && self.items.is_empty();
        self.under_way.is_empty() && (self.stop.is_some() || is_nothing_left)
    }

    /// Limit of unfinished commands.
    fn room(&self) -> u64 {
        let slots = *self.slots.borrow();
        let ahead = || slots.unwrap_or(0).saturating_mul(AHEAD_PER_SLOT).max(AHEAD_LEAST);
        let given = self.jobs.as_ref().and_then(|jobs| jobs.limit(slots));
        given.unwrap_or_else(|| if self.uses_slots { slots.unwrap_or(1).max(1) } else { ahead() })
    }

    /// False if as many long blocks are under way as there are slots: this process holds them.
    fn has_memory(&self) -> bool {
        let slots = self.slots.borrow().unwrap_or(1);
        self.block_bytes < BLOCKS_BYTES || (self.under_way.len() as u64) < slots
    }

    fn may_start(&self) -> bool {
        self.stop.is_none()
            && self.rest_until.is_none()
            && (!self.are_inputs_over || !self.items.is_empty())
            && (self.under_way.len() as u64) < self.room()
            && self.has_memory()
            && self.reporter.waiting() < HELD_MAX
    }

    fn on_batch(&mut self, batch: Option<InputBatch>) {
        let Some(batch) = batch else {
            self.are_inputs_over = true;
            return;
        };
        self.items.extend(batch.items);
        if let Some(why) = batch.stopped_by {
            // What came before it is still run.
            self.are_inputs_over = true;
            self.reporter
                .progress
                .tell(&format!("{why}; the inputs before it are run, those behind it are not"));
            self.is_input_broken = true;
        }
    }

    /// Starts what there is room for.
    fn hand_out(&mut self) {
        while self.may_start()
            && let Some(item) = self.items.pop_front()
        {
            let slot = self.numbers.take();
            match self.builder.build(item, slot) {
                Ok(Built::Item(item)) => self.start(item),
                Ok(Built::Failed { sequence, why }) => {
                    self.fail(WorkItem { sequence, slot, ..WorkItem::default() }, why);
                }
                Ok(Built::Done) => {
                    self.numbers.give_back(slot);
                    self.done_before += 1;
                }
                Err(error) => {
                    self.stop_now(StopCause::Failed(Failure::new(FailureKind::Usage, error.to_string())))
                }
            }
        }
    }

    fn start(&mut self, mut item: WorkItem) {
        if self.tag && item.tag.is_none() {
            item.tag = Some(item.row.join(" "));
        }
        if self.is_verbose {
            self.reporter.progress.print(&item.line);
        }
        self.rest_until = self.delay.map(|delay| tokio::time::Instant::now() + delay);
        let launch = match CommandLaunch::of(&self.invocation, &mut item) {
            Ok(launch) => launch,
            Err(why) => return self.fail(item, why),
        };
        let CommandLaunch { request, stdin, receiver, block_bytes } = launch;
        match self.client.start(request) {
            Ok(running) => {
                let sink = self.sink.clone();
                let cancel = self.cancel.subscribe();
                self.block_bytes += block_bytes;
                let command = FollowedCommand { running, stdin, receiver, block_bytes };
                self.under_way.spawn_local(follow(self.next_place, item, command, sink, cancel));
                self.next_place += 1;
            }
            Err(error) => self.fail(item, error.to_string()),
        }
    }

    /// Counts an input of which no command can be made.
    fn fail(&mut self, item: WorkItem, why: String) {
        let done = FinishedItem {
            place: self.next_place,
            item,
            printed: PrintedOutput::default(),
            ended: CommandEnd::without_command(exit::UNDONE, why),
            started: std::time::SystemTime::now(),
            block_bytes: 0,
            was_cancelled: false,
            live: 0,
            unprinted: None,
        };
        self.next_place += 1;
        self.on_done(done);
    }

    fn on_joined(&mut self, joined: Result<FinishedItem, tokio::task::JoinError>) {
        match joined {
            Ok(done) => self.on_done(done),
            Err(error) => {
                let message = format!("following a command failed: {error}");
                self.stop_now(StopCause::Failed(Failure::new(FailureKind::Other, message)));
            }
        }
    }

    /// A terminal shows the reason as long as it holds, in the line.
    fn on_waiting(&mut self, why: String) {
        let progress = &self.reporter.progress;
        if !progress.is_seen() {
            return progress.tell(&why);
        }
        self.waits = Some(why);
        self.reporter.progress.show(&self.standing());
    }

    fn on_done(&mut self, done: FinishedItem) {
        self.waits = None;
        self.numbers.give_back(done.item.slot);
        self.block_bytes = self.block_bytes.saturating_sub(done.block_bytes);
        if !done.was_cancelled {
            self.tally.add(done.ended.status);
        }
        match self.reporter.add(done) {
            Ok(()) => {}
            Err(Trouble::Unread) => self.stop_now(StopCause::Unread),
            Err(Trouble::Failure(failure)) => self.stop_now(StopCause::Failed(failure)),
        }
        self.reporter.progress.show(&self.standing());
        match self.halt.reached(&self.tally) {
            Some(HaltUrgency::Now) => self.stop_now(StopCause::Halted),
            Some(HaltUrgency::Soon) => {
                self.stop.get_or_insert(StopCause::Halted);
            }
            None => {}
        }
    }

    /// Hands out no more and cancels what is under way.
    fn stop_now(&mut self, why: StopCause) {
        self.stop.get_or_insert(why);
        self.cancel.send_replace(true);
    }

    fn standing(&self) -> ProgressSnapshot {
        let total = self.total.map(|total| total.saturating_sub(self.done_before));
        ProgressSnapshot {
            tally: self.tally,
            under_way: self.under_way.len(),
            total,
            elapsed: self.begun.elapsed(),
            waits: self.waits.clone(),
        }
    }

    fn finish(self) -> Result<u8, Failure> {
        let (done, failed) = (self.tally.done(), self.tally.failed);
        let standing = match done {
            0 => "no command had ended".to_owned(),
            _ => format!("{failed} of the {done} commands that ended failed"),
        };
        match self.stop {
            Some(StopCause::Failed(failure)) => return Err(failure),
            Some(StopCause::Unread) => return Ok(exit::UNREAD),
            Some(StopCause::Interrupted(number)) => {
                complain(format_args!("stopped by signal {number}; {standing}"));
                return Ok(exit::BY_SIGNAL + number);
            }
            Some(StopCause::Halted) => complain(format_args!("stopped as --halt says; {standing}")),
            None if self.reporter.progress.is_seen() => {
                let line = summary::line(&self.tally, self.begun.elapsed(), self.log.as_deref());
                self.reporter.progress.print(&line);
            }
            None if failed > 0 && self.log.is_some() => {
                complain(format_args!("{standing}; {}", summary::again(self.log.as_deref())));
            }
            None if failed > 0 => complain(standing),
            None => {}
        }
        Ok(if self.is_input_broken { exit::UNDONE } else { self.tally.status(self.halt) })
    }
}

/// Waits until the next command may start.
async fn rest(until: Option<tokio::time::Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

async fn watch_slots(client: Client, tell: watch::Sender<Option<u64>>) {
    loop {
        let found = slots(&client).await;
        tell.send_if_modified(|known| {
            let is_news = found.is_some() && *known != found;
            if is_news {
                *known = found;
            }
            is_news
        });
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
