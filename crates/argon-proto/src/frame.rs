//! Frames without IO: bytes in, messages out ([`Decoder`]); messages in, bytes out ([`Outbox`]).
//!
//! Both sides of every connection of this project, worker and runner included, use these types. A decoder is for one
//! direction of one conversation, and its messages are that direction's. A handshake reads raw [`Frames`] first. A reader
//! calls [`Decoder::buffer`] to read into, then [`Decoder::next`] until it returns `None`. A writer calls
//! [`Outbox::push`], then writes what [`Outbox::slices`] shows and reports to [`Outbox::advance`] how
//! much went out.

mod arrival;
mod check;
mod collected;
mod decoder;
mod fence;
mod outbox;

pub use arrival::{Arrival, Room};
pub use check::CHECKED_AT_ONCE;
pub use decoder::{Decoder, Frames};
pub use outbox::Outbox;

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::{BufMut, Bytes};

    use super::*;
    use crate::conversation::client::{ToClient, ToManager};
    use crate::conversation::{Blob, Control, Credit, Incoming, Message};
    use crate::error::DecodeError;
    use crate::id::{BlobHash, SessionId, TaskId};
    use crate::limit;
    use crate::payload::Payload;
    use crate::{Attempt, Codec, Flags, Outcome, OutcomeHead, Priority, Runtime, Status, Task, TaskHead};

    fn task(payload: Payload) -> Task {
        let head = TaskHead {
            flags: Flags::LIST.with(Flags::CAPTURE),
            priority: Priority::Low,
            timeout_ms: 1500,
            retries: 2,
            backoff_ms: 100,
            memory_mib: 64,
            ..TaskHead::new(TaskId { session: SessionId([1; 16]), sequence: 9 }, Runtime::Perl)
        };
        Task::new(head, [BlobHash([3; 32]); 2], Bytes::from_static(b"{}"), payload)
    }

    fn outcome(payload: Payload) -> Outcome {
        Outcome {
            head: OutcomeHead {
                id: task(Payload::default()).head.id,
                attempt: Attempt(1),
                status: Status::Ok,
                codec: Codec::Own,
                run_us: 77,
                leaves: false,
            },
            report: Bytes::new(),
            payload,
        }
    }

    fn drain(outbox: &mut Outbox, at_most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = outbox.slices(&mut slices);
            let mut took = 0;
            for slice in &slices[..count] {
                let part = &slice[..slice.len().min(at_most - took)];
                all.extend_from_slice(part);
                took += part.len();
            }
            outbox.advance(took);
        }
        all
    }

    fn feed<M: Message>(decoder: &mut Decoder<M>, bytes: &[u8], step: usize) -> Vec<M> {
        let mut messages = Vec::new();
        for part in bytes.chunks(step) {
            decoder.buffer().extend_from_slice(part);
            while let Some(message) = decoder.next().expect("good frames") {
                messages.push(message);
            }
        }
        messages
    }

    mod bounds;

    #[test]
    fn offered_comes_after_tasks_whose_payloads_it_overtakes() {
        let big = || Payload::from(vec![7; 4 * limit::INLINE_BYTES]);
        let blob = Blob { hash: BlobHash::of(big().parts()), payload: big() };
        let mut outbox = Outbox::default();
        outbox.push(&ToManager::Submit(task(big())));
        outbox.push(&ToManager::Submit(task(big())));
        outbox.push(&ToManager::Offered);
        outbox.push(&ToManager::Ack(Vec::new()));
        let messages = feed(&mut Decoder::default(), &drain(&mut outbox, 10_000), 10_000);
        use ToManager::{Ack, Offered, Submit};
        assert!(matches!(messages[..], [Ack(_), Submit(_), Submit(_), Offered]), "{}", messages.len());
        // A task that waits for a blob was offered before it.
        outbox.push(&ToManager::Blob(blob));
        outbox.push(&ToManager::Offered);
        let messages = feed(&mut Decoder::default(), &drain(&mut outbox, 10_000), 10_000);
        assert!(matches!(messages[..], [Offered, ToManager::Blob(_)]), "{}", messages.len());
    }

    #[test]
    fn messages_survive_any_cut_of_the_stream() {
        any_cut(&[
            ToManager::Submit(task(Bytes::from_static(b"abc").into())),
            ToManager::Offered,
            ToManager::Ack(vec![task(Payload::default()).head.id; 3]),
        ]);
        any_cut(&[
            ToClient::Credit(Credit { tasks: 1, bytes: 2 }),
            ToClient::Outcome(outcome(Bytes::from(vec![5; 5000]).into())),
        ]);
    }

    fn any_cut<M: Message + PartialEq + std::fmt::Debug>(sent: &[M]) {
        for step in [1, 2, 3, 7, 64, 100_000] {
            let mut outbox = Outbox::default();
            sent.iter().for_each(|message| outbox.push(message));
            let bytes = drain(&mut outbox, step);
            assert_eq!(feed::<M>(&mut Decoder::default(), &bytes, step), sent);
        }
    }

    #[test]
    fn a_small_message_passes_a_big_payload() {
        let big = Payload::from(vec![7; 3 << 20]);
        let mut outbox = Outbox::default();
        outbox.push(&ToManager::Submit(task(big.clone())));
        outbox.push(&Control::Ping(1));
        let bytes = drain(&mut outbox, usize::MAX);
        let messages: Vec<Incoming<ToManager>> = feed(&mut Decoder::default(), &bytes, 10_000);
        assert_eq!(messages[0], Incoming::Control(Control::Ping(1)));
        let Incoming::Message(ToManager::Submit(arrived)) = &messages[1] else {
            panic!("expected the task, got {messages:?}");
        };
        assert_eq!(arrived.payload.to_contiguous(), big.to_contiguous());
        assert!(arrived.payload.parts().len() > 1);
    }

    #[test]
    #[allow(clippy::wildcard_enum_match_arm, reason = "the small ones differ in their credit")]
    fn nothing_passes_a_big_payload_where_messages_stay_in_order() {
        let mut outbox = Outbox::in_order();
        let big = || ToClient::Outcome(outcome(vec![7; 1 << 20].into()));
        let small = |tasks| ToClient::Credit(Credit { tasks, bytes: 0 });
        let middling = ToClient::Outcome(outcome(vec![7; 9000].into()));
        let sent = [small(1), big(), small(2), big(), small(3), middling, small(4)];
        sent.iter().for_each(|message| outbox.push(message));
        let bytes = drain(&mut outbox, 100_000);
        let arrived: Vec<ToClient> = feed(&mut Decoder::default(), &bytes, usize::MAX);
        let contents = |messages: &[ToClient]| -> Vec<(u64, Vec<u8>)> {
            let tasks = |message: &ToClient| match message {
                ToClient::Credit(credit) => credit.tasks,
                other => other.payload().map_or(0, Payload::len),
            };
            let bytes =
                |message: &ToClient| message.payload().map(|payload| payload.to_contiguous().to_vec());
            messages.iter().map(|message| (tasks(message), bytes(message).unwrap_or_default())).collect()
        };
        assert!(
            contents(&arrived) == contents(&sent),
            "{} of {} came, or in another order",
            arrived.len(),
            sent.len()
        );
    }

    #[test]
    fn a_blob_is_arriving_until_its_last_byte_and_its_hash_is_checked() {
        let payload = Payload::from(vec![9; 1 << 20]);
        let hash = BlobHash::of(payload.parts());
        let mut outbox = Outbox::default();
        outbox.push(&ToManager::Blob(Blob { hash, payload: payload.clone() }));
        let bytes = drain(&mut outbox, usize::MAX);
        let mut decoder = Decoder::<ToManager>::default();
        assert_eq!(feed(&mut decoder, &bytes[..600_000], 50_000), vec![]);
        assert_eq!(decoder.arriving_blobs().collect::<Vec<_>>(), [hash]);
        let messages = feed(&mut decoder, &bytes[600_000..], 50_000);
        assert!(matches!(&messages[..], [ToManager::Blob(_)]));
        assert_eq!(decoder.arriving_blobs().count(), 0);

        let mut outbox = Outbox::default();
        let wrong = BlobHash([0; 32]);
        outbox.push(&ToManager::Blob(Blob { hash: wrong, payload }));
        let mut decoder = Decoder::<ToManager>::default();
        decoder.buffer().extend_from_slice(&drain(&mut outbox, usize::MAX));
        assert_eq!(decoder.next(), Err(DecodeError::BlobHash(wrong)));
    }

    #[test]
    fn big_payloads_of_one_length_follow_one_another_and_a_short_one_does_not_wait_for_a_long_one() {
        let outcome_of = |length: usize| ToClient::Outcome(outcome(vec![1; length].into()));
        let arrivals = |lengths: &[usize]| {
            let mut outbox = Outbox::default();
            lengths.iter().for_each(|length| outbox.push(&outcome_of(*length)));
            let bytes = drain(&mut outbox, usize::MAX);
            // How many bytes had come when each was whole, and how long it was.
            let mut decoder = Decoder::<ToClient>::default();
            let mut arrivals = Vec::new();
            for (count, part) in (1..).zip(bytes.chunks(64 << 10)) {
                decoder.buffer().extend_from_slice(part);
                while let Some(message) = decoder.next().expect("good frames") {
                    arrivals.push(((count * 64) >> 10, message.payload().map_or(0, Payload::len) >> 20));
                }
            }
            arrivals
        };
        assert_eq!(arrivals(&[4 << 20, 4 << 20, 4 << 20]), [(4, 4), (8, 4), (12, 4)]);
        assert_eq!(arrivals(&[16 << 20, 1 << 20, 1 << 20]), [(2, 1), (4, 1), (18, 16)]);
    }

    #[test]
    fn small_parts_of_a_big_payload_travel_together() {
        let parts = vec![Bytes::from_static(b"head"), vec![1; 300 << 10].into(), vec![2; 300 << 10].into()];
        let payload = Payload::from_parts(parts);
        let mut outbox = Outbox::default();
        outbox.push(&ToClient::Outcome(outcome(payload.clone())));
        let bytes = drain(&mut outbox, usize::MAX);
        let messages = feed(&mut Decoder::<ToClient>::default(), &bytes, usize::MAX);
        let [ToClient::Outcome(outcome)] = &messages[..] else {
            panic!("expected an outcome, got {messages:?}");
        };
        assert_eq!(outcome.payload.to_contiguous(), payload.to_contiguous());
        let lengths: Vec<usize> = outcome.payload.parts().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [256 << 10, 256 << 10, (88 << 10) + 4]);
    }

    #[test]
    fn a_long_frame_is_read_to_where_it_stays() {
        let payload = Payload::from(vec![9; 3 * limit::INLINE_BYTES]);
        let mut outbox = Outbox::default();
        outbox.push(&ToClient::Outcome(outcome(payload)));
        outbox.push(&ToClient::Credit(Credit { tasks: 1, bytes: 1 }));
        let bytes = drain(&mut outbox, usize::MAX);
        let (mut decoder, mut messages, mut rest) = (Decoder::<ToClient>::default(), Vec::new(), &bytes[..]);
        let mut reads = 0;
        while !rest.is_empty() {
            let mut room = decoder.room(64 << 10);
            let (read, left) = rest.split_at(room.remaining_mut().min(rest.len()));
            room.put_slice(read);
            rest = left;
            reads += 1;
            while let Some(message) = decoder.next().expect("good frames") {
                messages.push(message);
            }
        }
        let ([.., ToClient::Outcome(outcome)] | [ToClient::Outcome(outcome), ..]) = &messages[..] else {
            panic!("expected an outcome, got {messages:?}");
        };
        assert_eq!((messages.len(), outcome.payload.parts().len(), reads), (2, 3, 4));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_their_bytes_arrive() {
        let mut decoder = Decoder::<ToClient>::default();
        decoder.buffer().extend_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(decoder.next(), Err(DecodeError::Frame(0xffff_ffff, _))));
        let mut decoder = Decoder::<ToClient>::default();
        decoder.buffer().extend_from_slice(&[0, 0, 0, 0]);
        assert!(matches!(decoder.next(), Err(DecodeError::Frame(0, _))));
    }

    #[test]
    fn a_message_of_another_conversation_is_known_as_such_and_an_unknown_one_too() {
        let mut outbox = Outbox::default();
        outbox.push(&ToClient::Credit(Credit { tasks: 1, bytes: 1 }));
        let mut decoder = Decoder::<Incoming<ToManager>>::default();
        decoder.buffer().extend_from_slice(&drain(&mut outbox, usize::MAX));
        let error = decoder.next().expect_err("a client grants no credit");
        assert_eq!(error, DecodeError::Misplaced(crate::kind::CREDIT));
        assert_eq!(error.to_string(), "the peer may not send CREDIT here");
        let mut decoder = Decoder::<Incoming<ToManager>>::default();
        decoder.buffer().extend_from_slice(&[0, 0, 0, 1, 0x7f]);
        assert_eq!(decoder.next(), Err(DecodeError::Kind(0x7f)));
    }
}
