//! Output of tasks: complete, in order, before their outcome, and never more than was granted.

use argon_proto::conversation::worker::{FromWorker, ToWorker};
use argon_proto::conversation::{OutputCredit, TaskOutput};
use argon_proto::limit;

use super::*;

#[test]
fn all_output_comes_before_the_outcome_and_none_of_it_to_another_task() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        for round in 0..50 {
            let attempt =
                worker.run(&format!("print qq{{out {round}\\n}}; warn qq{{err {round}\\n}}; {round}"));
            let outcome = worker.outcome(attempt).await;
            assert_eq!(value(&outcome), round);
            assert_eq!(worker.printed(attempt, 1), format!("out {round}\n"));
            assert_eq!(worker.printed(attempt, 2), format!("err {round}\n"));
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn output_of_short_tasks_that_are_handed_ahead_goes_to_the_one_that_wrote_it() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempts: Vec<_> = (0..1_000)
            .map(|number| {
                let capture = |head: &mut TaskHead| head.flags = Flags::CAPTURE;
                let prints =
                    format!("my $n = {number}; print $n if $n % 3 == 0; warn qq{{$n\\n}} if $n % 7 == 0;");
                let waits = "select undef, undef, undef, 0.002 if $n % 97 == 0; 1";
                worker.run_as(&format!("{prints} {waits}"), capture)
            })
            .collect();
        for (number, attempt) in attempts.into_iter().enumerate() {
            let outcome = worker.outcome(attempt).await;
            let printed = if number % 3 == 0 { number.to_string() } else { String::new() };
            let warned = if number % 7 == 0 { format!("{number}\n") } else { String::new() };
            let output = report(&outcome).output.unwrap_or_default();
            assert!(
                [format!("{printed}{warned}"), format!("{warned}{printed}")].contains(&output),
                "{number}: {output:?}"
            );
        }
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn a_flood_stops_at_the_window_and_goes_on_with_credit() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let attempt = worker.run("print 'x' x 1000 for 1 .. 4000; 'over'");
        let mut received = 0;
        while received < limit::OUTPUT_WINDOW_BYTES {
            received += worker.output_of(attempt).await.len() as u64;
        }
        // Another round trip through the worker: nothing more has come meanwhile.
        worker.say(ToWorker::Recall(1));
        worker.hear("RETURNED", |message| matches!(message, FromWorker::Returned(_)).then_some(())).await;
        assert_eq!(worker.printed(attempt, 1).len(), 0);
        assert_eq!(received, limit::OUTPUT_WINDOW_BYTES);
        worker.say(ToWorker::OutputCredit(OutputCredit { to: attempt, bytes: u64::MAX }));
        let outcome = worker.outcome(attempt).await;
        assert_eq!(value(&outcome), "over");
        received += worker.printed(attempt, 1).len() as u64;
        assert_eq!(received, 4_000_000);
        worker.end(StopLevel::Drain).await;
    });
}

#[test]
fn captured_output_comes_with_the_outcome_only_and_is_bounded() {
    on_one_thread(async {
        let mut worker = Worker::start(config()).await;
        let capture = |head: &mut TaskHead| head.flags = Flags::CAPTURE;
        let attempt = worker.run_as("print qq{quiet\\n}; 1", capture);
        let outcome = worker.outcome(attempt).await;
        assert_eq!((outcome.head.status, report(&outcome).output.as_deref()), (Status::Ok, Some("quiet\n")));
        let attempt = worker.run_as("print qq{line $_\\n} for 1 .. 1_000_000; 1", capture);
        let output = report(&worker.outcome(attempt).await).output.expect("the end of it");
        assert_eq!(output.len(), 32 << 10);
        assert!(output.ends_with("line 1000000\n"));
        assert!(
            !worker.unread.iter().any(|message| matches!(message, FromWorker::Output(TaskOutput { .. })))
        );
        worker.end(StopLevel::Drain).await;
    });
}
