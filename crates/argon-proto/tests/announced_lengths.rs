//! A head that announces a big payload costs no memory before the payload comes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::IoSlice;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::{Blob, Incoming, Message};
use argon_proto::frame::{Decoder, Outbox};
use argon_proto::{
    Attempt, BlobHash, Codec, Outcome, OutcomeHead, Payload, Runtime, SessionId, Status, Task, TaskHead,
    TaskId,
};
use bytes::{BufMut, Bytes};

/// Bytes that are allocated now.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
/// The most that were allocated at once since it was set.
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const GIB: u64 = 1 << 30;
const MIB: usize = 1 << 20;

/// A payload of 1 GiB that takes one.
fn huge() -> Payload {
    Payload::from_parts(vec![Bytes::from(vec![7; MIB]); 1024])
}

/// The first bytes of a message on the wire.
fn beginning<M: Message>(message: &M, mut bytes: usize) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.push(message);
    let mut wire = Vec::new();
    while bytes > 0 {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = outbox.slices(&mut slices);
        let taken: Vec<u8> =
            slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(bytes).collect();
        assert!(!taken.is_empty(), "the message is longer than that");
        bytes -= taken.len();
        outbox.advance(taken.len());
        wire.extend(taken);
    }
    wire
}

/// The most memory that reading these bytes takes.
fn cost<M: Message>(wire: &[u8]) -> usize {
    let before = ALLOCATED.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut decoder = Decoder::<M>::default();
    let mut rest = wire;
    while !rest.is_empty() {
        let mut room = decoder.room(128 << 10);
        let (read, left) = rest.split_at(room.remaining_mut().min(rest.len()));
        room.put_slice(read);
        rest = left;
        assert!(decoder.next().expect("good frames").is_none(), "it has not come as a whole");
    }
    MOST.load(Ordering::Relaxed) - before
}

/// One test: the counters belong to the process.
// kind: announced lengths | an OUTCOME, a SUBMIT or a BLOB that announces 1 GiB | right | memory grows with what comes
#[test]
fn memory_grows_with_what_comes_and_not_with_what_is_announced() {
    let id = TaskId { session: SessionId([1; 16]), sequence: 1 };
    let head = OutcomeHead {
        id,
        attempt: Attempt(1),
        status: Status::Ok,
        codec: Codec::Own,
        run_us: 1,
        leaves: false,
    };
    let outcome = ToClient::Outcome(Outcome { head, report: Bytes::new(), payload: huge() });
    let blob = ToManager::Blob(Blob { hash: BlobHash([1; 32]), payload: huge() });
    let task = Task::new(TaskHead::new(id, Runtime::Native), [], Bytes::new(), huge());
    let submit = ToManager::Submit(task);
    assert_eq!(huge().len(), GIB);
    for come in [4 << 10, MIB, 16 * MIB] {
        let costs = [
            cost::<Incoming<ToClient>>(&beginning(&outcome, come)),
            cost::<Incoming<ToManager>>(&beginning(&blob, come)),
            cost::<Incoming<ToManager>>(&beginning(&submit, come)),
        ];
        for cost in costs {
            assert!(cost <= 2 * come + 2 * MIB, "{come} bytes came and took {cost}");
        }
    }
}
