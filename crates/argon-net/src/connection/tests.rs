//! Last writes of a connection, refusals, and blobs under way.

use std::rc::Rc;

use argon_proto::conversation::client::{ToClient, ToManager};
use argon_proto::conversation::{Blob, Credit};
use argon_proto::handshake::RefusalCode;
use argon_proto::{Payload, limit};
use tokio::net::UnixStream;
use tokio::task::LocalSet;

use super::*;

fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bounded = async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("in time") };
    LocalSet::new().block_on(&runtime, bounded);
}

/// A client's side and a manager's side of one connection.
type Pair =
    ((Rc<Connection<ToManager>>, Receiver<ToClient>), (Rc<Connection<ToClient>>, Receiver<ToManager>));

fn pair() -> Pair {
    let (client, manager) = UnixStream::pair().expect("a pair");
    (
        Connection::new(client.into(), Frames::default(), "manager", Silence::Ends),
        Connection::new(manager.into(), Frames::default(), "client", Silence::Allowed),
    )
}

fn blob(bytes: usize) -> Blob {
    let payload = Payload::from(vec![7; bytes]);
    Blob { hash: BlobHash::of(payload.parts()), payload }
}

#[test]
fn a_connection_that_is_closed_writes_what_is_queued_first() {
    on_one_thread(async {
        let ((client, to_client), (manager, to_manager)) = pair();
        let big = blob(16 << 20);
        client.send(&ToManager::Blob(big.clone()));
        client.flush();
        assert!(client.backlog() > 0, "the socket took all at once");
        client.close();
        let mut received = Vec::new();
        let inbox = |message: ToManager| received.push(message);
        let closing = async move {
            let end = run(&client, to_client, |_: ToClient| {}).await;
            drop(client);
            end
        };
        let (closed, lost) = tokio::join!(closing, run(&manager, to_manager, inbox));
        assert!(matches!(closed, ConnectionEnd::Closed), "{closed:?}");
        assert!(matches!(lost, ConnectionEnd::Lost(_)), "{lost:?}");
        let [ToManager::Blob(whole)] = &received[..] else {
            panic!("{} messages came", received.len());
        };
        assert!(whole.payload.to_contiguous() == big.payload.to_contiguous());
    });
}

#[test]
fn a_peer_that_sends_a_message_of_another_role_is_refused_by_its_name() {
    on_one_thread(async {
        let ((client, to_client), (manager, to_manager)) = pair();
        client.outbox.borrow_mut().push(&ToClient::Credit(Credit { tasks: 1, bytes: 1 }));
        client.flush();
        let (refused, refusing) = tokio::join!(
            run(&client, to_client, |_: ToClient| {}),
            run(&manager, to_manager, |_: ToManager| {}),
        );
        assert!(matches!(refused, ConnectionEnd::Refused(why) if why == "a client may not send CREDIT"));
        assert!(matches!(refusing, ConnectionEnd::Lost(why) if why.ends_with("may not send CREDIT")));
        assert_eq!(DecodeError::Misplaced(kind::CREDIT).refusal_code(), RefusalCode::Role);
    });
}

#[test]
fn a_blob_is_arriving_until_its_owner_has_taken_it() {
    on_one_thread(async {
        let ((client, _to_client), (manager, to_manager)) = pair();
        let big = blob(limit::INLINE_BYTES * 8);
        let hash = big.hash;
        let has_come = std::cell::Cell::new(false);
        client.send(&ToManager::Blob(big));
        client.flush();
        let arrives = async {
            while !manager.is_arriving(hash) {
                tokio::task::yield_now().await;
            }
            assert!(client.backlog() > 0, "only a part has arrived");
            while !has_come.get() {
                client.write().expect("the connection is there");
                tokio::task::yield_now().await;
            }
        };
        let inbox = |_: ToManager| has_come.set(true);
        tokio::select! {
            end = run(&manager, to_manager, inbox) => panic!("{end:?}"),
            () = arrives => {}
        }
        assert!(manager.is_arriving(hash), "nobody has taken it");
        manager.forget_arrival(hash);
        assert!(!manager.is_arriving(hash));
    });
}
