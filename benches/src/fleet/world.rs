//! State shared by the virtual clients and workers of a fleet: address of the manager, counts, and the events that
//! all of them wait for.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};

use argon_net::{Encryption, Trust};
use argon_proto::key::Key;
use tokio::sync::Notify;

use super::Plan;
use crate::manager::Manager;

/// Shared by everything on the one thread of the driver.
#[derive(Debug)]
pub(super) struct World {
    pub(super) address: String,
    pub(super) key: Key,
    pub(super) plan: Plan,
    /// Workers that the manager knows at present.
    pub(super) registered: Cell<u64>,
    pub(super) submitted: Cell<u64>,
    /// Attempts that workers were given, less those given back.
    pub(super) started: Cell<u64>,
    /// Attempts that wait with workers that finish nothing.
    pub(super) running: Cell<u64>,
    /// Outcomes that clients have in hand.
    pub(super) ended: Cell<u64>,
    /// True if workers hold on to what they are given.
    pub(super) is_paused: Cell<bool>,
    /// True if clients submit no more.
    pub(super) is_closed: Cell<bool>,
    pub(super) resumed: Notify,
    interrupts: RefCell<Vec<std::rc::Rc<Notify>>>,
}

impl World {
    pub(super) fn new(manager: &Manager, plan: Plan) -> Self {
        Self {
            address: manager.address.clone(),
            key: manager.key.clone(),
            plan,
            registered: Cell::new(0),
            submitted: Cell::new(0),
            started: Cell::new(0),
            running: Cell::new(0),
            ended: Cell::new(0),
            is_paused: Cell::new(true),
            is_closed: Cell::new(false),
            resumed: Notify::new(),
            interrupts: RefCell::default(),
        }
    }

    /// Trust that a peer demands of its connections.
    pub(super) fn trust(&self) -> Trust {
        let encryption = if self.plan.tls { Encryption::Always } else { Encryption::Auto };
        Trust::new(encryption, None).unwrap_or_default()
    }

    /// Workers finish from now on what they are given.
    pub(super) fn resume(&self) {
        self.is_paused.set(false);
        self.resumed.notify_waiters();
    }

    /// Clients replace no more tasks that ended.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
    }

    /// Signal that breaks the connection of one worker.
    pub(super) fn interrupt_of_worker(&self) -> std::rc::Rc<Notify> {
        let interrupt = std::rc::Rc::new(Notify::new());
        self.interrupts.borrow_mut().push(std::rc::Rc::clone(&interrupt));
        interrupt
    }

    pub(super) fn interrupt(&self, worker: usize) {
        if let Some(interrupt) = self.interrupts.borrow().get(worker) {
            interrupt.notify_one();
        }
    }

    pub(super) fn interrupt_all(&self) {
        self.interrupts.borrow().iter().for_each(|interrupt| interrupt.notify_one());
    }

    /// Waits for a condition that the others bring about.
    pub(super) async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        condition: impl Fn() -> bool,
    ) -> io::Result<()> {
        let until = Instant::now() + patience;
        while !condition() {
            if Instant::now() > until {
                return Err(io::Error::other(format!(
                    "waited in vain for {what}: {} workers, {} submitted, {} running, {} ended",
                    self.registered.get(),
                    self.submitted.get(),
                    self.running.get(),
                    self.ended.get(),
                )));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Counts in a cell.
pub(super) fn add(cell: &Cell<u64>, count: u64) {
    cell.set(cell.get() + count);
}
