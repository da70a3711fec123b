//! The part of a client that its maps share: the session, and the default options of calls.

use std::sync::Arc;

use argon_session::OutputMode;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::deferred::Deferred;
use crate::options::TaskOptions;
use crate::session::Session;

/// See the module. Clones share the session.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) session: Arc<Session>,
    pub(crate) defaults: TaskOptions,
}

impl Caller {
    /// Runs a call in the background.
    pub(crate) fn defer<T: DeserializeOwned + 'static>(&self, call: Call<T>) -> Deferred<T> {
        let addition = call
            .into_request(&self.defaults)
            .and_then(|request| request.addition(false, OutputMode::Inherit));
        match addition {
            Ok(addition) => {
                let number = self.session.with(|session, out| session.add(addition, out));
                Deferred::waiting(Arc::clone(&self.session), number)
            }
            Err(error) => Deferred::refused(error),
        }
    }
}
