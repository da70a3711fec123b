//! Plays rounds against a pool. Connections of liars that stay are kept open until the stage goes.

use std::time::Duration;

use argon_fuzz::mutate::Chance;

use crate::liars::{Round, worker};
use crate::peer::Peer;
use crate::pool::Pool;

/// For what a liar hears between two of its messages.
const LISTENS: Duration = Duration::from_millis(2);
const LISTENS_AT_END: Duration = Duration::from_millis(60);

/// Plays rounds while an honest command runs, and then looks at what honest clients get.
pub(crate) fn holds(pool: &mut Pool, rounds: &[Round]) -> Result<(), String> {
    let honest = pool.begin_honest()?;
    let mut stage = Stage::default();
    rounds.iter().for_each(|round| stage.play(pool, round));
    pool.end_honest(honest)?;
    pool.check()
}

/// The liars that are still there.
#[derive(Default)]
struct Stage {
    staying: Vec<Peer>,
}

impl Stage {
    fn play(&mut self, pool: &Pool, round: &Round) {
        let mut chance = Chance::new(round.seed);
        let dialled = Peer::dial(&pool.address, &pool.key, round.liar.role(), &mut chance);
        let Ok(mut peer) = dialled else { return };
        for act in &round.acts {
            if peer.send(&act.bytes).is_err() {
                return;
            }
            if round.reads {
                let heard = peer.receive(LISTENS);
                let answer = worker::answers(&heard, &mut chance);
                if peer.send(&answer).is_err() {
                    return;
                }
            }
        }
        if round.reads {
            let heard = peer.receive(LISTENS_AT_END);
            let _ = peer.send(&worker::answers(&heard, &mut chance));
        }
        if round.stays {
            self.staying.push(peer);
        }
    }
}
