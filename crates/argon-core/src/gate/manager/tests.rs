//! Tasks that pass the manager's gate, and blobs that stay.

use argon_proto::{Runtime, SessionId, TaskHead};
use bytes::Bytes;

use super::*;

const CLIENT: ConnId = ConnId(1);
const OTHER: ConnId = ConnId(2);
const WORKER: ConnId = ConnId(9);

fn hash(number: u8) -> BlobHash {
    BlobHash([number; 32])
}

fn blob(length: usize) -> Payload {
    Payload::from(vec![0; length])
}

fn task(sequence: u64, hashes: &[BlobHash]) -> Task {
    let head = TaskHead::new(TaskId { session: SessionId([1; 16]), sequence }, Runtime::Perl);
    Task::new(head, hashes.iter().copied(), Bytes::new(), Payload::default())
}

/// A gate, and what it wants.
#[derive(Default)]
struct Bench {
    gate: ManagerGate,
    out: Vec<GateEffect>,
}

impl Bench {
    fn submit(&mut self, link: ConnId, task: Task) {
        self.gate.on_submit(link, task, |_| false, |_, _| true, &mut self.out);
        self.gate.assert_invariants();
    }

    fn arrives(&mut self, hash: BlobHash, length: usize) {
        self.gate.on_blob(hash, blob(length), &mut self.out);
        self.gate.assert_invariants();
    }

    fn release(&mut self, task: &Task) {
        self.gate.release(&task.blobs());
        self.gate.assert_invariants();
    }

    /// Sequence numbers of the tasks that were admitted.
    fn admitted(&mut self) -> Vec<u64> {
        let admitted = self.out.drain(..).filter_map(|effect| match effect {
            GateEffect::Admit { task, .. } => Some(task.head.id.sequence),
            GateEffect::Ask { .. }
            | GateEffect::Send { .. }
            | GateEffect::Missing { .. }
            | GateEffect::Refuse { .. } => None,
        });
        admitted.collect()
    }
}

#[test]
fn tasks_pass_when_all_their_blobs_are_here_in_the_order_in_which_they_came() {
    let mut bench = Bench::default();
    bench.submit(CLIENT, task(1, &[]));
    assert_eq!(bench.admitted(), [1]);
    bench.submit(CLIENT, task(2, &[hash(1), hash(2)]));
    bench.submit(OTHER, task(3, &[hash(2)]));
    bench.submit(CLIENT, task(4, &[hash(2)]));
    assert_eq!(
        std::mem::take(&mut bench.out)[0],
        GateEffect::Ask { link: CLIENT, hashes: vec![hash(1), hash(2)] }
    );
    bench.arrives(hash(2), 10);
    assert_eq!(bench.admitted(), [3, 4]);
    assert_eq!((bench.gate.parked().len(), bench.gate.parked_of(CLIENT)), (1, 1));
    bench.arrives(hash(1), 10);
    bench.arrives(hash(1), 10);
    assert_eq!(bench.admitted(), [2]);
}

#[test]
fn what_is_arriving_is_not_asked_for() {
    let mut bench = Bench::default();
    bench.gate.on_submit(
        CLIENT,
        task(1, &[hash(1), hash(2)]),
        |blob| blob == hash(1),
        |_, _| true,
        &mut bench.out,
    );
    assert_eq!(bench.out, [GateEffect::Ask { link: CLIENT, hashes: vec![hash(2)] }]);
    bench.out.clear();
    bench.gate.on_submit(CLIENT, task(2, &[hash(1)]), |blob| blob == hash(1), |_, _| true, &mut bench.out);
    assert_eq!(bench.out, []);
}

#[test]
fn a_task_that_names_a_blob_many_times_needs_it_once() {
    let mut bench = Bench { gate: ManagerGate::new(0), out: Vec::new() };
    let (greedy, neighbour) = (task(1, &[hash(1); 16]), task(2, &[hash(1)]));
    bench.submit(CLIENT, greedy.clone());
    bench.submit(OTHER, neighbour.clone());
    bench.arrives(hash(1), 10);
    assert_eq!(bench.admitted(), [1, 2]);
    bench.release(&greedy);
    // Another blob would drive out what nobody needs.
    bench.arrives(hash(2), 10);
    bench.arrives(hash(3), 10);
    assert!(bench.gate.payload(hash(1)).is_some(), "the neighbour needs it");
    bench.release(&neighbour);
    bench.arrives(hash(4), 10);
    assert!(bench.gate.payload(hash(1)).is_none());
    assert!(bench.gate.is_bare());
}

#[test]
fn a_client_that_goes_takes_its_waiting_tasks_along_and_nothing_else() {
    let mut bench = Bench::default();
    bench.submit(CLIENT, task(1, &[hash(1), hash(2)]));
    bench.submit(OTHER, task(2, &[hash(1)]));
    bench.gate.on_client_lost(CLIENT);
    bench.gate.assert_invariants();
    bench.out.clear();
    bench.arrives(hash(1), 10);
    assert_eq!(bench.admitted(), [2]);
    bench.release(&task(2, &[hash(1)]));
    assert!(bench.gate.is_bare());
}

#[test]
fn a_task_that_is_withdrawn_needs_its_blobs_until_they_are_released() {
    let mut bench = Bench::default();
    let parked = task(1, &[hash(1), hash(2)]);
    bench.arrives(hash(1), 10);
    bench.submit(CLIENT, parked.clone());
    assert_eq!(bench.gate.owner_of(parked.head.id), Some(CLIENT));
    assert_eq!(bench.gate.withdraw(parked.head.id), Some((CLIENT, parked.clone())));
    assert_eq!(bench.gate.withdraw(parked.head.id), None);
    assert!(!bench.gate.is_bare());
    bench.release(&parked);
    assert!(bench.gate.is_bare());
    bench.out.clear();
    bench.arrives(hash(2), 10);
    assert!(bench.admitted().is_empty());
}

#[test]
fn a_worker_is_sent_each_blob_once_on_a_connection() {
    let mut bench = Bench::default();
    bench.arrives(hash(1), 10);
    let run = task(1, &[hash(1), hash(1), hash(2)]);
    let sent = |gate: &mut ManagerGate| {
        let mut sent = Vec::new();
        gate.before_run(WORKER, &run, |blob| sent.push(blob.hash));
        sent
    };
    assert_eq!(sent(&mut bench.gate), [hash(1)]);
    assert_eq!(sent(&mut bench.gate), []);
    bench.gate.on_worker_lost(WORKER);
    assert_eq!(sent(&mut bench.gate), [hash(1)]);
}

#[test]
fn a_worker_that_asks_before_a_blob_is_here_gets_it_when_it_comes() {
    let mut bench = Bench::default();
    bench.arrives(hash(1), 10);
    bench.gate.on_need_blob(WORKER, &[hash(1), hash(2)], &mut bench.out);
    let sent = |bench: &mut Bench| {
        let sent = bench.out.drain(..).filter_map(|effect| match effect {
            GateEffect::Send { link, blob } => Some((link, blob.hash)),
            GateEffect::Ask { .. }
            | GateEffect::Admit { .. }
            | GateEffect::Missing { .. }
            | GateEffect::Refuse { .. } => None,
        });
        sent.collect::<Vec<_>>()
    };
    assert_eq!(sent(&mut bench), [(WORKER, hash(1))]);
    bench.arrives(hash(2), 10);
    assert_eq!(sent(&mut bench), [(WORKER, hash(2))]);
    bench.gate.on_need_blob(WORKER, &[hash(3)], &mut bench.out);
    bench.gate.on_worker_lost(WORKER);
    bench.arrives(hash(3), 10);
    assert_eq!(sent(&mut bench), []);
}

#[test]
fn a_worker_that_wants_what_nobody_was_asked_for_is_reported() {
    let mut bench = Bench::default();
    bench.arrives(hash(1), 10);
    bench.submit(CLIENT, task(1, &[hash(2)]));
    bench.out.clear();
    bench.gate.on_need_blob(WORKER, &[hash(1), hash(2), hash(3)], &mut bench.out);
    let missing = bench.out.drain(..).filter_map(|effect| match effect {
        GateEffect::Missing { link, hashes } => Some((link, hashes)),
        GateEffect::Ask { .. }
        | GateEffect::Admit { .. }
        | GateEffect::Send { .. }
        | GateEffect::Refuse { .. } => None,
    });
    assert_eq!(
        missing.collect::<Vec<_>>(),
        [(WORKER, vec![hash(3)])],
        "the client of task 1 was asked for the second"
    );
}

#[test]
fn a_task_that_names_a_blob_many_times_and_goes_takes_nothing_from_its_neighbour() {
    for comes_before in [true, false] {
        let mut bench = Bench { gate: ManagerGate::new(0), out: Vec::new() };
        let (greedy, modest) = (task(1, &[hash(1); 16]), task(2, &[hash(1)]));
        bench.submit(CLIENT, greedy.clone());
        bench.submit(CLIENT, modest.clone());
        if comes_before {
            bench.arrives(hash(1), 10);
            assert_eq!(bench.admitted(), [1, 2]);
        } else {
            assert!(bench.gate.withdraw(greedy.head.id).is_some());
        }
        bench.release(&greedy);
        // Others come, for which there is no room.
        bench.arrives(hash(2), 10);
        if !comes_before {
            bench.arrives(hash(1), 10);
            assert_eq!(bench.admitted(), [2]);
        }
        assert!(bench.gate.payload(hash(1)).is_some(), "the neighbour needs it");
        bench.release(&modest);
        assert!(bench.gate.is_bare());
    }
}

#[test]
fn a_store_brings_blobs_that_its_tasks_need() {
    let mut bench = Bench { gate: ManagerGate::new(0), out: Vec::new() };
    let kept = task(1, &[hash(1), hash(1)]);
    bench.gate.recover([&kept].into_iter());
    for number in 1..5 {
        bench.arrives(hash(number), 10);
    }
    assert!(bench.gate.payload(hash(1)).is_some() && bench.gate.payload(hash(2)).is_none());
    bench.release(&kept);
    assert!(bench.gate.is_bare());
}

#[test]
fn a_needed_blob_stays_however_much_comes_after_it() {
    let mut bench = Bench { gate: ManagerGate::new(100), out: Vec::new() };
    let needing = task(1, &[hash(1)]);
    bench.arrives(hash(1), 51);
    bench.submit(CLIENT, needing.clone());
    (2..5).for_each(|number| bench.arrives(hash(number), 51));
    let has = |bench: &Bench, number| bench.gate.payload(hash(number)).is_some();
    assert!(has(&bench, 1) && !has(&bench, 2) && has(&bench, 4), "the oldest spare blob went");
    bench.release(&needing);
    bench.arrives(hash(5), 51);
    assert!(!has(&bench, 4));
}

#[test]
fn a_blob_beyond_the_limit_stays_until_the_next_one_comes() {
    let mut bench = Bench { gate: ManagerGate::new(100), out: Vec::new() };
    let needing = task(1, &[hash(1)]);
    bench.arrives(hash(1), 101);
    bench.submit(CLIENT, needing.clone());
    bench.release(&needing);
    assert!(bench.gate.payload(hash(1)).is_some());
    bench.arrives(hash(2), 1);
    assert!(bench.gate.payload(hash(1)).is_none() && bench.gate.payload(hash(2)).is_some());
}

#[test]
fn a_blob_used_by_many_tasks_leaves_no_trail() {
    let mut bench = Bench::default();
    bench.arrives(hash(1), 1);
    let needing = task(1, &[hash(1)]);
    for _ in 0..100_000 {
        bench.gate.on_submit(CLIENT, needing.clone(), |_| false, |_, _| true, &mut bench.out);
        bench.out.clear();
        bench.gate.release(&needing.blobs());
    }
    assert!(bench.gate.payload(hash(1)).is_some());
    assert!(bench.gate.spare.len() < 100, "{} entries", bench.gate.spare.len());
}

#[test]
fn tens_of_thousands_of_waiting_tasks_and_thousands_of_blobs_leave_nothing_behind() {
    let mut bench = Bench::default();
    let (tasks, blobs) = (40_000_u64, 3_000_u32);
    let numbered = |number: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        BlobHash(hash)
    };
    let never = hash(255);
    for sequence in 0..tasks {
        let theirs = [numbered(sequence as u32 % blobs), never];
        bench.gate.on_submit(CLIENT, task(sequence, &theirs), |_| true, |_, _| true, &mut bench.out);
    }
    for number in 0..blobs {
        bench.gate.on_blob(numbered(number), blob(1), &mut bench.out);
    }
    bench.gate.on_client_lost(CLIENT);
    let mut steps = 1;
    while bench.gate.go_on(&mut bench.out) {
        steps += 1;
    }
    assert!(bench.gate.is_bare() && bench.out.is_empty());
    assert!(steps > tasks / 1000, "{steps} steps: one took long");
    assert_eq!(bench.gate.memory(), u64::from(blobs) * 201);
}

#[test]
fn a_blob_that_completes_tens_of_thousands_of_tasks_lets_them_pass_in_parts_and_in_order() {
    let mut bench = Bench::default();
    for sequence in 0..40_000 {
        bench.gate.on_submit(CLIENT, task(sequence, &[hash(1)]), |_| true, |_, _| true, &mut bench.out);
    }
    bench.gate.on_blob(hash(1), blob(1), &mut bench.out);
    let (mut admitted, mut most) = (Vec::new(), 0);
    bench.submit(CLIENT, task(40_000, &[hash(1)]));
    bench.submit(OTHER, task(40_001, &[hash(1)]));
    loop {
        let more = bench.gate.go_on(&mut bench.out);
        let part = bench.admitted();
        most = most.max(part.len());
        admitted.extend(part);
        if !more {
            break;
        }
    }
    bench.gate.assert_invariants();
    assert!(most < 1000, "{most} tasks passed in one step");
    let other = admitted.iter().position(|sequence| *sequence == 40_001).expect("it passes");
    assert!(other < 1000, "another client's task waited for them");
    admitted.remove(other);
    assert!(admitted.is_sorted() && admitted.len() == 40_001);
}

#[test]
fn a_task_without_room_to_wait_in_is_refused_with_those_that_wait_for_a_blob_without_room() {
    let mut bench = Bench::default();
    let refused = |bench: &mut Bench| {
        let refused = bench.out.drain(..).filter_map(|effect| match effect {
            GateEffect::Refuse { link, task } => Some((link, task.head.id.sequence)),
            GateEffect::Ask { .. }
            | GateEffect::Send { .. }
            | GateEffect::Missing { .. }
            | GateEffect::Admit { .. } => None,
        });
        refused.collect::<Vec<_>>()
    };
    let (first, second) = (task(1, &[hash(1)]), task(2, &[hash(1), hash(2)]));
    let may_wait = |bytes: u64, before: u64| before == 0 && bytes > MISSING_BYTES;
    bench.gate.on_submit(CLIENT, first.clone(), |_| true, may_wait, &mut bench.out);
    bench.gate.on_submit(CLIENT, second.clone(), |_| true, may_wait, &mut bench.out);
    assert_eq!(refused(&mut bench), [(CLIENT, 2)]);
    bench.release(&second);
    bench.submit(OTHER, task(3, &[hash(1)]));
    bench.gate.on_blob_without_room(CLIENT, hash(1), &mut bench.out);
    assert_eq!(refused(&mut bench), [(CLIENT, 1)]);
    bench.release(&first);
    bench.arrives(hash(1), 10);
    assert_eq!(bench.admitted(), [3]);
    bench.release(&task(3, &[hash(1)]));
    assert!(bench.gate.is_bare());
}
