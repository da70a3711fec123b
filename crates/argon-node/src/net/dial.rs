//! Calling a manager as every client does, with an exit code for each way in which that fails.

pub use argon::dial::{DialError, Reached, dial};

use crate::exit::{Failure, FailureKind};
use argon_proto::handshake::RefusalCode;

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        let (kind, advice) = match &error {
            DialError::Unreachable { .. } => (
                FailureKind::Reach,
                "; is it running ('argon up' starts one here), and is the address right (--manager or ARGON_MANAGER)?",
            ),
            DialError::Refused { refusal, .. } if refusal.code == RefusalCode::Key => (FailureKind::Key, ""),
            DialError::Refused { .. } => (FailureKind::Reach, ""),
            DialError::Role(_) => {
                (FailureKind::Key, "; use the cluster key, or that role's ('argon key --role NAME')")
            }
        };
        Self::new(kind, format!("{error}{advice}"))
    }
}
