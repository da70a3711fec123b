//! Limit on the number of connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process have as many connections as the system allows it at all: programs are often started with 1024.
pub fn allow_many() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!("the limit of open descriptors stays as it is: {error}");
    }
}
