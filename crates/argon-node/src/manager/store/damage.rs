//! Damage of a store's file, as an error. The database reports a part of it by panics.

use std::panic::{self, AssertUnwindSafe};

/// Reason why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("{0}")]
    Store(#[from] redb::Error),
    #[error("{0}")]
    Content(String),
}

impl From<redb::DatabaseError> for Damage {
    fn from(error: redb::DatabaseError) -> Self {
        Self::Store(error.into())
    }
}

impl From<redb::StorageError> for Damage {
    fn from(error: redb::StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<redb::TableError> for Damage {
    fn from(error: redb::TableError) -> Self {
        Self::Store(error.into())
    }
}

/// Runs what opens or reads a file while the manager starts; a panic about the file's content is a damage like others.
pub(super) fn without_panic<T>(step: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = panic::catch_unwind(AssertUnwindSafe(step));
    panic::set_hook(hook);
    done.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        Err(Damage::Content(format!("the database found '{words}'")))
    })
}
