//! The seed's promise: a third equal worker adds half of the throughput of two.

use std::time::Instant;

use argon_tests::Cluster;

const TASKS: u32 = 240;

fn seconds_for(workers: usize) -> f64 {
    let mut cluster = Cluster::with_workers(&vec![2; workers]);
    // Warm: code sent and compiled everywhere, mean run time known.
    let program = |count: u32| {
        format!(
            "my @d = map {{ $client->defer(sub {{ select undef, undef, undef, 0.025; 1 }}) }} 1..{count}; $_->() for @d; print 'done'"
        )
    };
    cluster.perl(&program(20));
    let begun = Instant::now();
    assert_eq!(cluster.perl(&program(TASKS)), "done");
    begun.elapsed().as_secs_f64()
}

#[test]
fn a_third_worker_adds_half() {
    let (two, three) = (seconds_for(2), seconds_for(3));
    let boost = two / three - 1.0;
    println!("two workers {two:.2} s, three {three:.2} s: throughput +{:.0} %", boost * 100.0);
    assert!(boost > 0.3, "a third worker added only {:.0} %", boost * 100.0);
}
