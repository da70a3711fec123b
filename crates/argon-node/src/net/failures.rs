//! Exit statuses and advice for the errors of `argon-net`.

use argon_net::DialError;
use argon_net::key_file::KeyError;
use argon_net::listen::ListenError;
use argon_net::random::NoRandomness;
use argon_net::trust::TrustError;
use argon_proto::handshake::RefusalCode;

use crate::exit::{Failure, FailureKind};

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        let (kind, advice) = match &error {
            DialError::Unreachable { .. } => (
                FailureKind::Reach,
                "; is it running ('argon up' starts one here), and is the address right (--manager or ARGON_MANAGER)?",
            ),
            DialError::Refused { refusal, .. }
                if matches!(refusal.code, RefusalCode::Key | RefusalCode::Token | RefusalCode::Pairing) =>
            {
                (FailureKind::Key, "")
            }
            DialError::Refused { .. } => (FailureKind::Reach, ""),
            DialError::Role(_) => {
                (FailureKind::Key, "; use the cluster key, or that role's ('argon key --role NAME')")
            }
        };
        Self::new(kind, format!("{error}{advice}"))
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(FailureKind::Key, error.to_string())
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::new(FailureKind::Usage, error.to_string())
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        Self::new(FailureKind::Listen, error.to_string())
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        Self::new(FailureKind::Other, error.to_string())
    }
}
