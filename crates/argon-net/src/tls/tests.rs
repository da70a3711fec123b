//! TLS over loopback, as the option `Always` demands it.

mod newcomers;
mod organisation;
mod recorded;
mod streams;
mod trusted;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use argon_proto::frame::Outbox;
use argon_proto::handshake::{Dialler, RefusalCode, Welcome};
use argon_proto::key::{Key, Role};
use bytes::{Bytes, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::accept::{Certificates, accept};
use crate::accept::{Admission, Admitted, Closed, DoorCounts, Entrance, InForce, NoPages, OpenKeys, serve};
use crate::dial::{open_on, reach};
use crate::handshake::OpeningError;
use crate::identity::{Identity, expected_pin, role_key};
use crate::trust::{Encryption, Trust};
use crate::{Connected, DialError, ReadHalf, Stream, WriteHalf, dial};

const PATIENCE: Duration = Duration::from_secs(60);

fn key(byte: u8) -> Key {
    Key::cluster([byte; 32])
}

fn always() -> Trust {
    Trust::new(Encryption::Always, None).expect("no file is read")
}

/// Runs a test on one thread, as a manager does.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(PATIENCE, test).await.expect("it ends") })
}

/// A manager's port, and those who were let in.
struct Port {
    address: String,
    admitted: Rc<RefCell<Vec<Admitted>>>,
}

impl Port {
    async fn open(key: &Key) -> Self {
        let certificates = Certificates::of_key(key).expect("a cluster key");
        Self::open_with(key, certificates, false).await
    }

    async fn open_with(key: &Key, certificates: Certificates, allows_plaintext: bool) -> Self {
        Self::open_for(key, certificates, allows_plaintext, Rc::new(Closed)).await
    }

    async fn open_for(
        key: &Key,
        certificates: Certificates,
        allows_plaintext: bool,
        entrance: Rc<dyn Entrance>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let admitted = Rc::new(RefCell::new(Vec::new()));
        let admission = Admission {
            keys: Rc::new(RefCell::new(OpenKeys::new(key.clone(), certificates))),
            welcome: Welcome::default(),
            allows_plaintext,
            in_force: InForce::own_keys_only(),
            entrance,
            pages: Rc::new(NoPages),
            counts: Rc::new(DoorCounts::default()),
        };
        let all = Rc::clone(&admitted);
        tokio::task::spawn_local(serve(listener, admission, move |one| all.borrow_mut().push(one)));
        Self { address, admitted }
    }

    async fn dial(&self, key: &Key) -> Result<Stream, DialError> {
        dial(&self.address, key, Role::Client, &always()).await.map(|connected| connected.stream)
    }

    async fn admitted(&self) -> Stream {
        loop {
            if let Some(admitted) = self.admitted.borrow_mut().pop() {
                return admitted.stream;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Both ends of an encrypted connection.
    async fn pair(key: &Key) -> (Stream, Stream) {
        let port = Self::open(key).await;
        let dialled = port.dial(key).await.expect("let in");
        (dialled, port.admitted().await)
    }
}

async fn read_all(reader: &mut ReadHalf, until: usize) -> BytesMut {
    let mut buffer = BytesMut::new();
    while buffer.len() < until {
        let count = poll_fn(|context| reader.poll_read_buf(context, &mut buffer)).await.expect("read");
        assert_ne!(count, 0, "it ended after {} of {until} bytes", buffer.len());
    }
    buffer
}

fn pattern(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect::<Vec<u8>>().into()
}

async fn write_all(writer: &WriteHalf, outbox: &mut Outbox) {
    while !writer.write(outbox).expect("written") {
        poll_fn(|context| writer.poll_ready(context)).await.expect("writable");
    }
}

/// Carries bytes between a dialler and a listener. What the dialler sends is changed on its way, and all is recorded.
struct Relay {
    address: String,
    /// Bytes of both directions.
    seen: Rc<RefCell<Vec<u8>>>,
    /// Bytes of diallers.
    sent: Rc<RefCell<Vec<u8>>>,
}

impl Relay {
    async fn start(to: &str, change: impl Fn(&mut [u8]) + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let to = to.to_owned();
        let [seen, sent] = [(); 2].map(|()| Rc::new(RefCell::new(Vec::new())));
        let (all, out, change) = (Rc::clone(&seen), Rc::clone(&sent), Rc::new(change));
        tokio::task::spawn_local(async move {
            loop {
                let (ours, _) = listener.accept().await.expect("accepted");
                let theirs = TcpStream::connect(&to).await.expect("connected");
                let ((mut a, mut b), (mut c, mut d)) = (ours.into_split(), theirs.into_split());
                let (there, back, change) = (Rc::clone(&all), Rc::clone(&all), Rc::clone(&change));
                let out = Rc::clone(&out);
                tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(count @ 1..) = a.read(&mut buffer).await {
                        change(&mut buffer[..count]);
                        there.borrow_mut().extend_from_slice(&buffer[..count]);
                        out.borrow_mut().extend_from_slice(&buffer[..count]);
                        if d.write_all(&buffer[..count]).await.is_err() {
                            return;
                        }
                    }
                });
                tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(count @ 1..) = c.read(&mut buffer).await {
                        back.borrow_mut().extend_from_slice(&buffer[..count]);
                        if b.write_all(&buffer[..count]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, sent }
    }
}
