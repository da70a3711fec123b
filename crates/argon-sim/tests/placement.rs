//! A batch of mixed lengths ends near the shortest possible time, without faults.

use argon_sim::{Mode, Random, RunPlan, TaskBehaviour, run};

/// Runs a batch that is submitted at once on 4 workers of 4 slots; how long it took over how long it had to.
fn makespan_ratio(name: &str, lengths: &[u64]) -> f64 {
    let mut plan = RunPlan::of_seed(1);
    let model = plan.tasks[0].clone();
    plan.faults.clear();
    plan.rogues.clear();
    plan.shape.workers = 4;
    plan.shape.slots = 4;
    plan.shape.clients = 1;
    plan.shape.limits = argon_core::scheduler::Limits::default();
    plan.shape.delay_us = (50, 100);
    plan.shape.max_requests = 0;
    plan.shape.unsettled_bytes = 64 << 20;
    plan.shape.batch = 64;
    // Bounds as a worker has them by default, and no chance of the seed.
    (plan.shape.has_templates, plan.shape.runners_max, plan.shape.waiting_max) = (true, 32, 256);
    (plan.shape.runner_memory_mib, plan.shape.drift) = (1 << 20, 0);
    // A look at everything after each step would cost more than the run.
    plan.shape.look_every = 5_000;
    plan.tasks = (0..)
        .zip(lengths)
        .map(|(number, length)| {
            let mut task = model.clone();
            (task.number, task.client, task.at, task.run_us) = (number, 0, 1_000_000, *length);
            (task.behaviour, task.flags, task.cancel_after) =
                (TaskBehaviour::Return, argon_proto::Flags::default(), None);
            (task.priority, task.memory_mib, task.timeout_ms) = (argon_proto::Priority::Normal, 0, 0);
            (task.leaves, task.children, task.blobs) = (false, Vec::new(), Vec::new());
            task
        })
        .collect();
    let summary = run(&plan, Mode::Tail).unwrap_or_else(|failure| panic!("{failure}"));
    let shortest = (lengths.iter().sum::<u64>() / 16).max(lengths.iter().copied().max().unwrap_or(0));
    let ratio = (summary.delivered_us - 1_000_000) as f64 / shortest as f64;
    println!("{name}: {ratio:.3} of the shortest possible time ({} tasks)", lengths.len());
    ratio
}

#[test]
fn a_batch_of_mixed_lengths_ends_near_the_shortest_possible_time() {
    let mut random = Random::new(11);
    let equal = vec![5_000; 4_000];
    let tiny = vec![100; 20_000];
    let mixed: Vec<u64> = (0..4_000).map(|_| random.spread(100, 50_000)).collect();
    let mut long_among_short: Vec<u64> = (0..8_000).map(|_| random.between(200, 400)).collect();
    (0..16).for_each(|place| long_among_short[place * 100] = 100_000);
    assert!(makespan_ratio("equal lengths", &equal) < 1.10);
    assert!(makespan_ratio("tiny tasks", &tiny) < 1.35);
    assert!(makespan_ratio("mixed lengths", &mixed) < 1.10);
    assert!(makespan_ratio("long among short", &long_among_short) < 1.35);
}
