//! Batches of all shapes end near the shortest possible time on large fleets, and nothing short waits behind
//! something long. Without faults: the subject is prefetching and retracting.

mod batch;

use argon_sim::Random;
use batch::Batch;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// Lengths between two bounds, of which a few are very long: one in ten is at least ten times as long as the shortest.
fn heavy_tailed(count: usize, shortest: u64, longest: u64) -> Vec<u64> {
    let mut random = Random::new(5);
    let length = |random: &mut Random| {
        let share = (random.below(1_000_000) + 1) as f64 / 1e6;
        ((shortest as f64 / share) as u64).min(longest)
    };
    (0..count).map(|_| length(&mut random)).collect()
}

/// Runs batches of tasks of one length each, and prints how much of the slots' time was work.
fn efficiency_of(length_us: u64) -> f64 {
    let tasks = usize::try_from(64 * 3 * SECOND / length_us).unwrap_or(1).clamp(6_400, 40_000);
    Batch { workers: 16, slots: 4, lengths: vec![length_us; tasks], ..Batch::default() }.efficiency()
}

#[test]
fn equal_tasks_of_a_millisecond_and_more_leave_no_slot_idle() {
    for length_us in [1, 10, 100] {
        println!("tasks of {length_us} µs: {:.1} % of the slots' time", efficiency_of(length_us) * 100.0);
    }
    for length_us in [1_000, 10_000, 100_000] {
        let efficiency = efficiency_of(length_us);
        println!("tasks of {length_us} µs: {:.1} % of the slots' time", efficiency * 100.0);
        assert!(efficiency >= 0.97, "{efficiency} for {length_us} µs");
    }
}

#[test]
fn a_third_worker_adds_half_of_the_throughput_of_two() {
    let seconds = |workers: usize| {
        let batch = Batch { workers, slots: 2, lengths: vec![25_000; 2_400], ..Batch::default() };
        let work_us: u64 = batch.lengths.iter().sum();
        work_us as f64 / batch.efficiency() / (workers * 2) as f64 / 1e6
    };
    let boost = seconds(2) / seconds(3) - 1.0;
    println!("a third worker: throughput +{:.1} %", boost * 100.0);
    assert!(boost >= 0.49, "{boost}");
}

#[test]
fn lengths_from_a_microsecond_to_an_hour_end_near_the_shortest_possible_time() {
    // Most tasks are short, and most of the work is in those that take between a minute and an hour.
    let mut lengths = heavy_tailed(24_000, 1, SECOND);
    lengths.extend(heavy_tailed(16_000, 60 * SECOND, HOUR));
    let mut random = Random::new(7);
    (1..lengths.len()).for_each(|place| lengths.swap(place, random.index(place + 1)));
    let efficiency = Batch { workers: 8, slots: 4, lengths, ..Batch::default() }.efficiency();
    println!("1 µs to 1 h: {:.1} % of the slots' time", efficiency * 100.0);
    assert!(efficiency >= 0.97, "{efficiency}");
}

#[test]
fn thousands_of_workers_end_within_one_task_of_each_other() {
    let lengths = heavy_tailed(60_000, 50_000, SECOND);
    let batch = Batch { workers: 2_000, slots: 2, lengths, ..Batch::default() };
    let excess_us = batch.excess_us();
    println!(
        "2,000 workers: {excess_us} µs beyond the equal share of each; the longest task takes {SECOND} µs"
    );
    assert!(excess_us < SECOND + SECOND / 10, "{excess_us} µs");
}

#[test]
fn workers_whose_speed_changes_get_what_they_can_do() {
    let batch =
        Batch { workers: 30, slots: 2, lengths: vec![5_000; 60_000], slowness: 4, ..Batch::default() };
    let efficiency = batch.efficiency();
    println!("speeds that change: {:.1} % of what the workers could do", efficiency * 100.0);
    assert!(efficiency >= 0.97, "{efficiency}");
}

#[test]
fn nothing_short_waits_behind_something_long_while_a_slot_is_free() {
    // 40 of 64 slots are taken for a minute; a thousand short tasks come each second.
    let mut lengths = vec![60 * SECOND; 40];
    lengths.extend(vec![300; 20_000]);
    let batch = Batch { workers: 16, slots: 4, lengths, spread_us: 20 * SECOND, ..Batch::default() };
    let waits = batch.waits_of_short(SECOND);
    let longest = waits.iter().max().copied().unwrap_or(0);
    println!("{} short tasks waited {} µs at most", waits.len(), longest);
    assert!(longest < 20_000, "a short task waited {longest} µs");
}
