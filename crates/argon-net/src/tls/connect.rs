//! The dialler's side of TLS: what a manager's certificate is compared with, and sentences for what can go wrong.

use std::io;
use std::sync::Arc;

use argon_proto::handshake::{Refusal, RefusalCode};
use argon_proto::key::Pin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    OtherError, SignatureScheme,
};
use tokio::net::TcpStream;

use super::authority::Expected;
use super::{TlsError, TlsStream, provider, shake};
use crate::handshake::OpeningError;
use crate::identity::pin_of;

/// Managers of which tickets are kept.
const TICKETS_OF: usize = 4;
/// Name of a manager whose certificate is compared with a pin: names mean nothing there.
const ANY_NAME: &str = "argon";

const NOT_TLS: &str = "it does not answer in TLS; is that a manager's port? A manager that serves plain text only wants \
                       --insecure-plaintext on this side, too";

/// Encrypts a connection to `host`, or finds that its other end is not the expected manager.
pub(crate) async fn connect(
    stream: TcpStream,
    host: &str,
    expected: &Expected,
    config: Arc<ClientConfig>,
) -> Result<TlsStream, OpeningError> {
    let name = match expected {
        Expected::Pin(_) | Expected::Any => ANY_NAME,
        Expected::Authority(_) => host,
    };
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Refusal::new(RefusalCode::Key, format!("'{host}' is not a name that a certificate can be for"))
    })?;
    let connection = ClientConnection::new(config, name).map_err(|error| explain(&error, expected))?;
    let mut connection = rustls::Connection::Client(connection);
    match shake(&stream, &mut connection, usize::MAX).await {
        Ok(()) => {}
        Err(TlsError::Tls(error)) => return Err(explain(&error, expected).into()),
        Err(TlsError::Broken(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(io::Error::other(format!(
                "it closed the connection during the TLS handshake: {NOT_TLS}"
            ))
            .into());
        }
        Err(TlsError::Broken(error)) => return Err(error.into()),
    }
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let certificate =
        certificate.ok_or_else(|| Refusal::new(RefusalCode::Key, "the manager showed no certificate"))?;
    let channel = pin_of(certificate).0;
    Ok(TlsStream::new(stream, connection, channel))
}

/// The configuration for managers that show the expected certificate.
pub(crate) fn client_config(expected: &Expected) -> ClientConfig {
    let verifier: Arc<dyn ServerCertVerifier> = match expected {
        Expected::Pin(pin) => Arc::new(PinVerifier { pin: Some(*pin) }),
        Expected::Any => Arc::new(PinVerifier { pin: None }),
        Expected::Authority(authority) => {
            let roots = Arc::clone(&authority.roots);
            #[allow(
                clippy::expect_used,
                reason = "only an empty list of roots fails, and one is read from each file"
            )]
            WebPkiServerVerifier::builder_with_provider(roots, provider()).build().expect("there is a root")
        }
    };
    #[allow(clippy::expect_used, reason = "the provider has the ciphers of TLS 1.3")]
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks TLS 1.3");
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(TICKETS_OF);
    match expected {
        Expected::Pin(pin) => {
            config.enable_sni = false;
            config.alpn_protocols = vec![format!("argon/{}", pin.short()).into_bytes()];
        }
        Expected::Any => config.enable_sni = false,
        Expected::Authority(_) => {}
    }
    config
}

/// Takes the certificate with this pin and no other, or any without a pin; names and dates mean nothing.
#[derive(Debug)]
struct PinVerifier {
    pin: Option<Pin>,
}

#[derive(Debug, thiserror::Error)]
#[error("the pin is {seen}")]
struct WrongPin {
    seen: Pin,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = pin_of(certificate);
        if self.pin.is_none_or(|pin| pin.is_of(&seen.0)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(WrongPin { seen }))).into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Why a manager was not trusted, for people.
fn explain(error: &Error, expected: &Expected) -> Refusal {
    #[allow(clippy::wildcard_enum_match_arm, reason = "rustls adds errors; they have words of their own")]
    match error {
        Error::InvalidMessage(_) => Refusal::new(RefusalCode::Frame, NOT_TLS),
        Error::InvalidCertificate(error) => {
            Refusal::new(RefusalCode::Key, explain_certificate(error, expected))
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            Refusal::new(RefusalCode::Frame, "it does not speak TLS 1.3; is that a manager's port?")
        }
        Error::AlertReceived(alert) => Refusal::new(
            RefusalCode::Frame,
            format!("it ended the TLS handshake ({alert:?}); is that a manager's port?"),
        ),
        other => Refusal::new(RefusalCode::Frame, format!("the TLS handshake failed: {other}")),
    }
}

fn explain_certificate(error: &CertificateError, expected: &Expected) -> String {
    if let (CertificateError::Other(other), Expected::Pin(pin)) = (error, expected)
        && let Some(WrongPin { seen }) = other.0.downcast_ref()
    {
        return format!(
            "its certificate has the pin {} and this key trusts {} only; nothing was sent to it. Another cluster may have \
             taken the address, or somebody is in between. If the manager shows a certificate of your organisation \
             (--tls-cert), name its CA with --tls-ca",
            seen.short(),
            pin.short()
        );
    }
    let file = match expected {
        Expected::Authority(authority) => authority.file.display().to_string(),
        Expected::Pin(_) | Expected::Any => "the pin".to_owned(),
    };
    #[allow(clippy::wildcard_enum_match_arm, reason = "rustls adds errors; they have words of their own")]
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "its certificate has expired, or the clock of this machine is wrong: {error}; check the clock ('date') and \
             renew the certificate"
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "its certificate is not valid yet, or the clock of this machine is wrong: {error}; check the clock ('date')"
        ),
        CertificateError::UnknownIssuer => format!(
            "its certificate was not signed by the CA in {file}; start the manager with --tls-cert and --tls-key, or leave \
             out --tls-ca to trust the pin of the key"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "its certificate is for another name: {error}; dial it under the name that its certificate has"
        ),
        other => format!("its certificate is not trusted by {file}: {other}"),
    }
}
