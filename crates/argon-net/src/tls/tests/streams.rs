//! Bytes that arrive and wait, and ends of connections.

use super::*;

#[test]
fn both_sides_see_the_hash_of_the_certificate() {
    run(async {
        let (dialled, admitted) = Port::pair(&key(1)).await;
        let pin = Identity::of(&key(1)).expect("one").pin().0;
        assert_eq!((dialled.channel(), admitted.channel()), (pin, pin));
        assert!(matches!((dialled, admitted), (Stream::Tls(_), Stream::Tls(_))));
    });
}

#[test]
fn bytes_arrive_in_order_in_both_directions_whatever_their_number() {
    run(async {
        let (dialled, admitted) = Port::pair(&key(1)).await;
        let ((mut from_listener, to_listener), (mut from_dialler, to_dialler)) =
            (dialled.split(), admitted.split());
        for bytes in [1, 2, 100, 16 << 10, (16 << 10) + 1, 70_000, 3 << 20] {
            let sent = pattern(bytes);
            let both = [(&to_listener, &mut from_dialler), (&to_dialler, &mut from_listener)];
            for (writer, reader) in both {
                let mut outbox = Outbox::default();
                outbox.push_raw(&sent);
                let ((), received) = tokio::join!(write_all(writer, &mut outbox), read_all(reader, bytes));
                assert!(received == sent, "{bytes} bytes");
            }
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_stops_the_writer_and_leaves_the_bytes_with_it() {
    run(async {
        let (dialled, admitted) = Port::pair(&key(1)).await;
        let ((_reader, writer), (mut peer, _)) = (dialled.split(), admitted.split());
        let all = 16 << 20;
        let sent = pattern(all);
        let mut outbox = Outbox::default();
        outbox.push_raw(&sent);
        while !writer.write(&mut outbox).expect("written") && !outbox.is_empty() {
            let left = outbox.len();
            let waiting = tokio::time::timeout(
                Duration::from_millis(300),
                poll_fn(|context| writer.poll_ready(context)),
            );
            if waiting.await.is_err() {
                assert_eq!(outbox.len(), left);
                break;
            }
        }
        assert!(outbox.len() > 1 << 20, "the kernel does not take that much: {} are left", outbox.len());
        assert!(writer.buffered() > 0 && writer.buffered() <= crate::tls::WRITE_BYTES as u64);
        // The bytes ahead are still with the caller, and are not sent twice.
        let ((), received) = tokio::join!(write_all(&writer, &mut outbox), read_all(&mut peer, all));
        assert!(received == sent);
        assert_eq!(writer.buffered(), 0);
    });
}

#[test]
fn a_side_that_stops_writing_ends_what_the_other_reads_and_goes_on_reading() {
    run(async {
        let (dialled, admitted) = Port::pair(&key(1)).await;
        let ((mut reader, writer), (mut peer_reader, peer_writer)) = (dialled.split(), admitted.split());
        drop(writer);
        let mut nothing = BytesMut::new();
        let end = poll_fn(|context| peer_reader.poll_read_buf(context, &mut nothing)).await;
        assert_eq!(end.expect("a clean end"), 0);
        let mut outbox = Outbox::default();
        outbox.push_raw(b"last words");
        write_all(&peer_writer, &mut outbox).await;
        assert_eq!(&read_all(&mut reader, 10).await[..], b"last words");
    });
}

#[test]
fn a_connection_that_breaks_ends_what_is_read() {
    run(async {
        let (dialled, admitted) = Port::pair(&key(1)).await;
        let (mut reader, _writer) = dialled.split();
        let Stream::Tls(admitted) = admitted else { panic!("it is encrypted") };
        let socket = socket2::SockRef::from(admitted.writer.socket());
        socket.shutdown(std::net::Shutdown::Both).expect("cut");
        let mut nothing = BytesMut::new();
        let end = poll_fn(|context| reader.poll_read_buf(context, &mut nothing)).await;
        assert_eq!(end.expect("an end"), 0);
    });
}

#[test]
fn bytes_that_were_changed_on_the_way_are_an_error() {
    run(async {
        let port = Port::open(&key(1)).await;
        let relay = Relay::start(&port.address, |bytes| {
            // The last record, long after the handshake.
            if bytes.len() > 20_000 {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
        })
        .await;
        let dialled = dial(&relay.address, &key(1), Role::Client, &always()).await.expect("let in").stream;
        let ((_reader, writer), (mut peer, _w)) = (dialled.split(), port.admitted().await.split());
        let mut outbox = Outbox::default();
        outbox.push_raw(&pattern(60_000));
        let mut buffer = BytesMut::new();
        let reading = async {
            loop {
                match poll_fn(|context| peer.poll_read_buf(context, &mut buffer)).await {
                    Ok(0) => panic!("it ended instead"),
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
        };
        let ((), error) = tokio::join!(write_all(&writer, &mut outbox), reading);
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
        assert!(buffer.len() < 60_000);
    });
}
