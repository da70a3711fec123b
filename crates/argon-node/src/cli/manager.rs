//! `argon manager`: the entry point of a cluster.

use argon_net::listen;
use clap::Args;

use super::options::{DoorOptions, KeyOption, LogOption, cluster_key, start_log};
use crate::exit::Failure;
use crate::key_file;
use crate::local_managers;
use crate::manager;
use crate::manager::ingress::inbox::Inbox;
use crate::manager::ingress::serve::LinkNumbers;
use crate::memory;
use crate::net::socket;
use crate::ready;
use crate::signals;

/// Accept tasks from clients, route them to workers, deliver the outcomes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  argon manager                                    on 127.0.0.1:8000
  argon manager --host 127.0.0.1 --port 0          on any free port; the ready line tells which
  argon manager --host mgrhost                     for other machines, which must encrypt

When it is ready it prints one line:
  argon-ready role=manager addr=HOST:PORT pid=N version=V tls=required pin=PIN key=FILE
tls=optional if --insecure-plaintext is given; PIN has the first digits of 'argon key --pin'.
Then it prints a line 'argon join TOKEN' on standard error. Pasted on another machine within ten
minutes, it starts a worker there; 'argon key --join worker' prints another. A machine without a key
can also be let in with 'argon approve'.
SIGTERM or Ctrl-C ends it; workers and clients wait for it to come back.")]
pub(super) struct ManagerArguments {
    #[command(flatten)]
    door: DoorOptions,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    log: LogOption,
}

pub(super) fn run(arguments: ManagerArguments) -> Result<(), Failure> {
    memory::close_to_others();
    start_log(&arguments.log);
    socket::allow_many();
    memory::keep_some();
    // Payloads are read from the store on threads of their own.
    memory::share_heap();
    super::block_on(async move {
        // A peer that reaches the port finds the key, and a signal that ends this process is handled.
        let stop = signals::watch_stop()?;
        let door = &arguments.door;
        let bound = listen::bind(door.address(), door.port).await?;
        let found = key_file::find_or_make(arguments.key.key.as_deref())?;
        if found.is_new {
            tracing::info!("made the cluster key: {}", found.source);
        }
        let address = bound.address();
        let source = found.source.clone();
        let (key, store) = (cluster_key(found)?, door.open_store()?);
        let config = door.config(bound, (key, &source), store)?;
        let encryption = config.encryption();
        let _note = local_managers::note(address);
        ready::announce(&[
            ("role", "manager"),
            ("addr", &address.to_string()),
            ("pid", &std::process::id().to_string()),
            ("version", env!("CARGO_PKG_VERSION")),
            ("tls", encryption.word()),
            ("pin", &encryption.pin.short()),
            ("key", &source),
        ]);
        config.newcomers.show_invitation();
        manager::serve(config, Inbox::default(), LinkNumbers::default(), stop).await
    })
}
