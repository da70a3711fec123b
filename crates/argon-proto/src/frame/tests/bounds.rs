//! Bounds of memory: of a reader whose peer announces much, and of a writer whose peer takes nothing.

use super::*;
use crate::frame::{Arrival, CHECKED_AT_ONCE, Room};
use crate::kind;

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_u32(body.len() as u32 + 1);
    frame.put_u8(kind);
    frame.put_slice(body);
    frame
}

fn chunk(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(kind::CHUNK, &[&stream.to_be_bytes(), bytes].concat())
}

/// The frame with which a blob of `length` bytes begins.
fn beginning_of_blob(hash: BlobHash, stream: u32, length: u64) -> Vec<u8> {
    frame(kind::BLOB, &[&hash.0[..], &stream.to_be_bytes(), &length.to_be_bytes()].concat())
}

#[test]
fn a_chunk_without_bytes_is_an_error() {
    let mut decoder = Decoder::<ToManager>::default();
    let bytes = [beginning_of_blob(BlobHash([1; 32]), 7, 10), chunk(7, b"")].concat();
    decoder.buffer().extend_from_slice(&bytes);
    let error = decoder.next().expect_err("it could go on for ever");
    assert_eq!(error.to_string(), "a chunk for stream 7 has no bytes");
}

#[test]
fn a_payload_in_pieces_of_one_byte_takes_no_more_memory_than_its_bytes() {
    let payload = Payload::from((0..300_000_u32).map(|number| number as u8).collect::<Vec<_>>());
    let hash = BlobHash::of(payload.parts());
    let mut decoder = Decoder::<ToManager>::default();
    decoder.buffer().extend_from_slice(&beginning_of_blob(hash, 1, payload.len()));
    assert_eq!(decoder.next(), Ok(None));
    let bytes = payload.to_contiguous();
    for (count, byte) in (1..).zip(bytes.iter().copied()) {
        decoder.buffer().extend_from_slice(&chunk(1, &[byte]));
        let arrived = decoder.next().expect("a good frame");
        if count < payload.len() {
            assert_eq!(arrived, None);
            assert!(decoder.unfinished_bytes() < count + 1024);
        } else {
            let Some(ToManager::Blob(blob)) = arrived else { panic!("not a blob: {arrived:?}") };
            assert_eq!((blob.payload.to_contiguous(), blob.payload.parts().len()), (bytes.clone(), 2));
        }
    }
    assert_eq!((decoder.unfinished_bytes(), decoder.is_unfinished()), (0, false));
}

#[test]
fn payloads_that_never_end_are_limited_in_number() {
    let mut decoder = Decoder::<ToManager>::default();
    for stream in 1..=limit::STREAMS_AT_ONCE as u32 + 1 {
        decoder.buffer().extend_from_slice(&beginning_of_blob(BlobHash([1; 32]), stream, 1 << 20));
    }
    let error = decoder.next().expect_err("too many");
    assert_eq!(error, DecodeError::Streams(limit::STREAMS_AT_ONCE + 1, limit::STREAMS_AT_ONCE));
}

#[test]
fn a_payload_without_room_is_read_and_not_kept() {
    let big = task(vec![7; 3 << 20].into());
    let mut outbox = Outbox::default();
    outbox.push(&ToManager::Submit(big.clone()));
    outbox.push(&ToManager::Submit(task(Payload::default())));
    let bytes = drain(&mut outbox, usize::MAX);
    let mut decoder = Decoder::<ToManager>::default();
    let (mut asked, mut arrived, mut most) = (Vec::new(), Vec::new(), 0);
    for part in bytes.chunks(10_000) {
        decoder.buffer().extend_from_slice(part);
        let mut room = |message: &ToManager, bytes| {
            asked.push((message.payload().map(Payload::len), bytes));
            Room::Nowhere
        };
        while let Some(arrival) = decoder.next_arrival(&mut room).expect("good frames") {
            arrived.push(arrival);
        }
        most = most.max(decoder.unfinished_bytes());
    }
    assert_eq!(asked, [(Some(0), 3 << 20)]);
    let mut without = big;
    without.payload = Payload::default();
    let without = ToManager::Submit(without);
    let small = ToManager::Submit(task(Payload::default()));
    assert_eq!(
        arrived,
        [Arrival::Whole(small), Arrival::WithoutPayload { message: without, payload_bytes: 3 << 20 },]
    );
    // One chunk lies in the buffer until it is whole.
    assert!(most < 300 << 10, "{most} bytes");
}

#[test]
fn a_payload_waits_for_room_with_everything_behind_it() {
    let big = task(vec![7; 3 << 20].into());
    let mut outbox = Outbox::default();
    outbox.push(&ToManager::Submit(big.clone()));
    outbox.push(&ToManager::Submit(task(Payload::default())));
    let mut decoder = Decoder::<ToManager>::default();
    decoder.buffer().extend_from_slice(&drain(&mut outbox, usize::MAX));
    for _ in 0..3 {
        assert_eq!(decoder.next_arrival(|_, _| Room::Later), Ok(None));
        assert!(decoder.is_waiting());
    }
    let mut arrived = Vec::new();
    while let Some(message) = decoder.next().expect("good frames") {
        arrived.push(message);
    }
    assert_eq!(arrived.len(), 2);
    let ToManager::Submit(last) = &arrived[1] else { panic!("not a task: {arrived:?}") };
    assert_eq!(last.payload.to_contiguous(), big.payload.to_contiguous());
    assert_eq!((decoder.is_waiting(), decoder.expected_bytes()), (false, 0));
}

#[test]
fn the_head_of_an_unfinished_message_does_not_keep_what_was_read_with_it() {
    let mut outbox = Outbox::default();
    outbox.push(&ToManager::Submit(task(vec![7; 3 << 20].into())));
    let bytes = drain(&mut outbox, usize::MAX);
    let mut decoder = Decoder::<ToManager>::default();
    decoder.buffer().extend_from_slice(&bytes[..200]);
    assert_eq!(decoder.next(), Ok(None));
    // What is left of the buffer has its memory for itself again.
    let rest = std::mem::take(decoder.buffer()).freeze();
    assert!(rest.is_unique(), "the task's blobs and meta data are slices of the buffer");
}

#[test]
fn small_payloads_are_not_copied_while_much_waits() {
    let mut outbox = Outbox::default();
    let shared = Bytes::from(vec![1; 4000]);
    for _ in 0..10_000 {
        outbox.push(&ToClient::Outcome(outcome(shared.clone().into())));
    }
    assert!(outbox.len() > 40_000_000 && outbox.memory() < 4_000_000, "{} bytes", outbox.memory());
    let bytes = drain(&mut outbox, usize::MAX);
    assert_eq!(outbox.memory(), 0);
    assert_eq!(feed::<ToClient>(&mut Decoder::default(), &bytes, 1 << 20).len(), 10_000);
}

#[test]
fn tens_of_thousands_of_big_payloads_wait_for_their_turns_at_no_cost() {
    let mut outbox = Outbox::default();
    let big = Payload::from(vec![1; limit::INLINE_BYTES + 1]);
    for _ in 0..40_000 {
        outbox.push(&ToClient::Outcome(outcome(big.clone())));
    }
    let mut written = 0;
    // With a look at all of them for each chunk this takes minutes.
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbox.slices(&mut slices);
        let taken = slices[..count].iter().map(|slice| slice.len()).sum::<usize>();
        outbox.advance(taken);
        written += taken as u64;
    }
    assert!(written > 40_000 * big.len());
}

#[test]
fn a_big_blob_is_hashed_in_steps_and_a_wrong_one_is_found_at_the_end() {
    // In one frame, and in chunks.
    for bytes in [CHECKED_AT_ONCE, 200_000, 3 * limit::INLINE_BYTES + 1] {
        let payload = Payload::from(vec![9; bytes]);
        let hash = BlobHash::of(payload.parts());
        for named in [hash, BlobHash([0; 32])] {
            let mut outbox = Outbox::default();
            outbox.push(&ToManager::Blob(Blob { hash: named, payload: payload.clone() }));
            let mut decoder = Decoder::<ToManager>::default();
            decoder.buffer().extend_from_slice(&drain(&mut outbox, usize::MAX));
            let mut steps = 1;
            let end = loop {
                match decoder.next_step(|_, _| Room::Here) {
                    Ok(None) if decoder.is_checking() => steps += 1,
                    end => break end,
                }
            };
            assert!(steps >= bytes.div_ceil(CHECKED_AT_ONCE), "{bytes} bytes in {steps} steps");
            if named == hash {
                assert!(matches!(end, Ok(Some(Arrival::Whole(ToManager::Blob(_))))), "{end:?}");
            } else {
                assert_eq!(end, Err(DecodeError::BlobHash(named)));
            }
        }
    }
}
