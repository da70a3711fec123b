//! One who may look: asks without end, and reads no answer.

use argon_fuzz::mutate::Chance;
use argon_proto::TaskId;

use super::{Act, client};

pub(crate) fn lies(seen: &[TaskId], chance: &mut Chance) -> Vec<Act> {
    let most = if chance.below(4) == 0 { 400 } else { 12 };
    let asks = 1 + chance.below(most);
    (0..asks).map(|_| client::question(seen, chance)).collect()
}
