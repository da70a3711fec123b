//! The listener's side of TLS: which certificate is shown to whom, and how a handshake that a peer has begun is ended.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;

use argon_proto::key::{Key, Pin};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage};
use rustls::{AlertDescription, Connection, Error, ServerConfig};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::authority::{TrustError, certificates};
use super::tickets::Tickets;
use super::{SHAKE_READ_BYTES, Socket, TlsError, TlsStream, provider, shake, too_much};
use crate::identity::{Identity, pin_of};

/// Bytes that a peer may send for its handshake: several times what programs send.
const SHAKE_BYTES: usize = 16 << 10;

/// The certificates that a listener can show.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The first is for peers that ask for none of the others.
    all: Vec<Shown>,
}

#[derive(Clone, Debug)]
struct Shown {
    pin: Pin,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// The certificate that follows from a cluster key; `None` if it is the key of a role.
    #[must_use]
    pub fn of_key(key: &Key) -> Option<Self> {
        let identity = Identity::of(key)?;
        let chain = vec![CertificateDer::from(identity.certificate().to_vec())];
        let private = PrivatePkcs8KeyDer::from(identity.private_key()).into();
        let shown = Shown::new(key, chain, private).ok()?;
        Some(Self { all: vec![shown] })
    }

    /// A certificate of an organisation (PEM, with those that lead to its CA) and its private key.
    ///
    /// # Errors
    /// If the files cannot be read or do not fit each other.
    pub fn of_files(key: &Key, certificate: &Path, private_key: &Path) -> Result<Self, TrustError> {
        let chain = certificates(certificate)?;
        let private = PrivateKeyDer::from_pem_file(private_key).map_err(|error| {
            TrustError(format!("the private key {} cannot be used: {error}", private_key.display()))
        })?;
        let shown = Shown::new(key, chain, private).map_err(|error| {
            TrustError(format!(
                "the certificate {} and the private key {} cannot be used: {error}",
                certificate.display(),
                private_key.display()
            ))
        })?;
        Ok(Self { all: vec![shown] })
    }

    /// These, and behind them those of an older key.
    #[must_use]
    pub fn or_older(mut self, older: &Self) -> Self {
        self.all.extend(older.all.iter().cloned());
        self
    }

    /// The pin of the certificate that is shown to peers that ask for no other.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.all[0].pin
    }

    /// The certificate whose pin begins as the peer says in its ALPN, else the first.
    fn for_peer(&self, hello: &ClientHello<'_>) -> &Shown {
        let wanted: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        let is_wanted = |shown: &&Shown| {
            wanted.iter().any(|name| *name == format!("argon/{}", shown.pin.short()).as_bytes())
        };
        self.all.iter().find(is_wanted).unwrap_or(&self.all[0])
    }
}

impl Shown {
    fn new(
        key: &Key,
        chain: Vec<CertificateDer<'static>>,
        private: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let pin = chain.first().map(|leaf| pin_of(leaf));
        let pin = pin.ok_or_else(|| Error::General("there is no certificate".to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, private)?;
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets::new(key.clone(), pin.0));
        config.send_tls13_tickets = 1;
        Ok(Self { pin, config: Arc::new(config) })
    }
}

/// Ends the handshake that a peer has begun with `start`. `turn` is awaited before the work that costs most.
pub(crate) async fn accept(
    stream: TcpStream,
    start: &[u8],
    certificates: &Certificates,
    turn: impl Future<Output = ()>,
) -> Result<TlsStream, String> {
    let mut acceptor = Acceptor::default();
    let mut budget = SHAKE_BYTES;
    let mut buffer = [0; SHAKE_READ_BYTES];
    let mut arrived = start;
    let accepted = loop {
        budget = budget.checked_sub(arrived.len()).ok_or_else(|| explain(too_much()))?;
        while !arrived.is_empty() {
            acceptor.read_tls(&mut arrived).map_err(|error| explain(TlsError::Broken(error)))?;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err((error, mut alert)) => {
                let _ = alert.write(&mut Socket(&stream));
                return Err(explain(TlsError::Tls(error)));
            }
        }
        stream.readable().await.map_err(|error| error.to_string())?;
        arrived = match stream.try_read(&mut buffer) {
            Ok(0) => return Err(explain(TlsError::Broken(ErrorKind::UnexpectedEof.into()))),
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == ErrorKind::WouldBlock => &[],
            Err(error) => return Err(error.to_string()),
        };
    };
    turn.await;
    if has_gone(&stream) {
        return Err(explain(TlsError::Broken(ErrorKind::UnexpectedEof.into())));
    }
    let shown = certificates.for_peer(&accepted.client_hello());
    let connection = match accepted.into_connection(Arc::clone(&shown.config)) {
        Ok(connection) => connection,
        Err((error, mut alert)) => {
            let _ = alert.write(&mut Socket(&stream));
            return Err(explain(TlsError::Tls(error)));
        }
    };
    let mut connection = Connection::Server(connection);
    shake(&stream, &mut connection, budget).await.map_err(explain)?;
    Ok(TlsStream::new(stream, connection, shown.pin.0))
}

/// True if the peer has closed the connection, because it waited for too long.
fn has_gone(stream: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Why a peer was not let in, for the log.
fn explain(error: TlsError) -> String {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rustls adds errors; they have words of their own")]
    match error {
        TlsError::Tls(Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired,
        )) => "it does not trust this manager's certificate: its key is of another cluster, or it was given another CA"
            .to_owned(),
        TlsError::Tls(error) => format!("its TLS handshake failed: {error}"),
        TlsError::Broken(error) if error.kind() == ErrorKind::UnexpectedEof => {
            "it closed the connection during the TLS handshake".to_owned()
        }
        TlsError::Broken(error) => format!("its TLS handshake failed: {error}"),
    }
}
