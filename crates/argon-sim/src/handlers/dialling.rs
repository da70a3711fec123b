//! Diallers give their connection up, and dial again.

use argon_proto::backoff::REDIAL;
use argon_session::Input as SessionInput;

use crate::event::{Dialler, Event};
use crate::world::World;

impl World {
    /// The connection of a dialler is over: it has ended, or the dialler gives it up.
    pub(crate) fn lose_connection(&mut self, dialler: Dialler) {
        if let Some(id) = self.dial_state_of(dialler).any() {
            self.close_end(id, true);
        }
        match dialler {
            Dialler::Worker(worker) => self.dial_again(worker),
            // It dials when it acts next.
            Dialler::Rogue(rogue) => {
                self.rogues[rogue].dial.lose();
            }
            Dialler::Client(client) => {
                let state = &mut self.clients[client].dial;
                let was_open = state.open().is_some();
                state.lose();
                let input = if was_open {
                    SessionInput::ConnectionLost
                } else {
                    let (why, advice) = ("no manager".to_owned(), String::new());
                    SessionInput::DialFailed { why, advice, is_final: false }
                };
                self.step_client(client, [input]);
            }
        }
    }

    fn dial_again(&mut self, worker: usize) {
        self.worker_loses_manager(worker);
        let chance = self.random.next() as u16;
        let place = &mut self.workers[worker];
        let pause = REDIAL.pause(place.dial.lose(), chance);
        let (incarnation, dial) = (place.incarnation, place.dial.number);
        let at = self.now + pause.as_micros() as u64;
        self.queue.push(at, Event::Dial { worker, incarnation, dial });
    }
}
