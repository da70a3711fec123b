//! Runners that are forked from templates.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use argon_core::pool::{Program, RunnerId, RunnerKind, TemplateKey};
use argon_proto::conversation::runner::FromRunner;
use argon_proto::conversation::template::FromTemplate;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::worker::process::mark::Mark;
use crate::worker::processes::{ProcessEvent, Processes};
use crate::worker::runners::runner::{Runner, RunnerEvent};
use crate::worker::templates::{EndedTemplate, TemplateEvent};

const KEY: TemplateKey = TemplateKey { runtime: Runtime::Perl, version: None, environment: None };
const KIND: RunnerKind = RunnerKind { runtime: Runtime::Perl, program: Program::Only, memory_mib: 0 };

async fn next_event(processes: &mut Processes) -> TemplateEvent {
    let next = poll_fn(|cx| {
        let mut event = None;
        processes.poll(cx, |found| {
            if let ProcessEvent::Template(KEY, found) = found {
                event = Some(found);
            }
        });
        event.map_or(Poll::Pending, Poll::Ready)
    });
    within("something of the template", next).await
}

/// Starts a template; returns its pid.
async fn ready_template(processes: &mut Processes) -> Pid {
    processes.start_template(KEY).expect("started");
    let event = next_event(processes).await;
    let TemplateEvent::Sent(FromTemplate::Ready(ready)) = event else {
        panic!("READY was due, not {event:?}");
    };
    assert!(processes.templates.on_ready(KEY));
    Pid::from_raw(ready.pid.cast_signed())
}

async fn forked(processes: &mut Processes, id: u64, kind: RunnerKind) -> Runner {
    processes.fork_runner(KEY, RunnerId(id), kind).map_err(|error| error.why).expect("asked for");
    let event = next_event(processes).await;
    let TemplateEvent::Sent(FromTemplate::Forked(forked)) = event else {
        panic!("FORKED was due, not {event:?}");
    };
    let (forking, pid) = processes.templates.on_forked(KEY, forked).expect("asked for");
    processes.on_forked(forking, pid).map_err(|error| error.why).expect("a runner")
}

async fn ready(runner: &mut Runner) {
    let mut scratch = vec![0; 1 << 16];
    let received = poll_fn(|cx| {
        let mut has_received = false;
        runner.poll(cx, &mut scratch, |event| has_received |= matches!(event, RunnerEvent::Received));
        if has_received { Poll::Ready(()) } else { Poll::Pending }
    });
    within("READY", received).await;
    let message = runner.next_message().expect("a message");
    assert!(matches!(message, Some(FromRunner::Ready(_))), "{message:?}");
}

#[test]
fn a_runner_is_forked_with_a_mark_and_a_limit_of_its_own() {
    on_one_thread(async {
        let mut processes = Processes::new(&config(), None, None).expect("processes");
        ready_template(&mut processes).await;
        let mut marks = Vec::new();
        for (id, memory_mib) in [(1, 0), (2, 100)] {
            let begun = Instant::now();
            let mut runner = forked(&mut processes, id, RunnerKind { memory_mib, ..KIND }).await;
            ready(&mut runner).await;
            println!("forked and ready after {:?}", begun.elapsed());
            assert_eq!(Mark::of(runner.pid), Some(runner.identity.mark));
            marks.push(runner.identity.mark.0);
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", runner.pid)).expect("limits");
            let data = limits.lines().find(|line| line.starts_with("Max data size")).expect("a line");
            assert_eq!(data.contains(&(100_u64 << 20).to_string()), memory_mib > 0, "{data}");
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", runner.pid)).expect("stat");
            assert!(stat.contains(&format!(" {} ", Pid::this())), "it is a child of the worker: {stat}");
            runner.signal(Signal::SIGKILL);
            gone(runner.pid.as_raw().into()).await;
        }
        assert_ne!(marks[0], marks[1]);
        processes.templates.clear();
    });
}

#[test]
fn a_template_that_dies_says_why_and_which_runners_it_has_not_forked() {
    on_one_thread(async {
        let mut processes = Processes::new(&config(), None, None).expect("processes");
        let template = ready_template(&mut processes).await;
        kill(template, Signal::SIGSTOP).expect("stopped");
        processes.fork_runner(KEY, RunnerId(7), KIND).map_err(|error| error.why).expect("asked for");
        kill(template, Signal::SIGKILL).expect("killed");
        assert!(matches!(next_event(&mut processes).await, TemplateEvent::Exited));
        let EndedTemplate { why, forking, .. } = processes.templates.on_exited(KEY).expect("collected");
        assert_eq!(why, "it was killed by signal 9");
        assert_eq!(forking.iter().map(|forking| forking.id).collect::<Vec<_>>(), [RunnerId(7)]);
        assert!(processes.fork_runner(KEY, RunnerId(8), KIND).is_err());
    });
}
