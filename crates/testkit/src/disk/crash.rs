//! What a loss of power leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::bytes::{Bytes, Change};
use super::state::State;
use super::tree::{Node, Tree};

/// How much of the un-synced data survives.
#[derive(Clone, Copy)]
enum Luck {
    None,
    Some,
    All,
}

fn luck(rng: &mut StdRng) -> Luck {
    match rng.random_range(0..4) {
        0 => Luck::None,
        1 => Luck::All,
        _ => Luck::Some,
    }
}

/// Returns the state that the next start finds. The same seed gives the same state.
pub(super) fn after_power_loss(before: &State, seed: u64) -> State {
    let mut rng = StdRng::seed_from_u64(seed);
    let names = surviving_names(&before.tree, &mut rng);
    let mut after = State::new();

    after.last_file = before.last_file;

    for (id, bytes) in &before.files {
        let survived = surviving_bytes(bytes, &mut rng);

        if names.values().any(|node| *node == Node::File(*id)) {
            after.files.insert(
                *id,
                Bytes {
                    live: survived.clone(),
                    durable: survived,
                    pending: vec![],
                },
            );
        }
    }

    after.tree = Tree {
        live: names.clone(),
        durable: names,
        pending: vec![],
    };

    after
}

/// Returns the durable names with some of the pending changes. Names below a removed directory are
/// removed.
fn surviving_names(tree: &Tree, rng: &mut StdRng) -> BTreeMap<PathBuf, Node> {
    let mut names = tree.durable.clone();
    let luck = luck(rng);

    for change in &tree.pending {
        let survives = match luck {
            Luck::None => false,
            Luck::All => true,
            Luck::Some => rng.random_bool(0.5),
        };

        if survives {
            change.apply(&mut names);
        }
    }

    // Parents sort before their children, so each parent is decided before its children.
    let mut reachable: BTreeMap<PathBuf, Node> = BTreeMap::new();
    for (path, node) in names {
        let parent = path.parent().unwrap_or_else(|| Path::new("/"));
        if parent == Path::new("/") || reachable.get(parent) == Some(&Node::Dir) {
            reachable.insert(path, node);
        }
    }

    reachable
}

/// Returns the durable bytes with a prefix of the pending changes. The last of these may be applied
/// in part, and its tail may be zeros.
fn surviving_bytes(bytes: &Bytes, rng: &mut StdRng) -> Vec<u8> {
    let mut survived = bytes.durable.clone();
    let whole = match luck(rng) {
        Luck::None => return survived,
        Luck::All => bytes.pending.len(),
        Luck::Some => rng.random_range(0..=bytes.pending.len()),
    };

    for change in bytes.pending.iter().take(whole) {
        change.apply(&mut survived);
    }

    if let Some(Change::Append(torn)) = bytes.pending.get(whole) {
        let kept = rng.random_range(0..=torn.len());
        survived.extend_from_slice(&torn[..kept]);
    }

    if rng.random_bool(0.25) {
        zero_tail(&mut survived, bytes.durable.len(), rng);
    }

    survived
}

/// Turns a part of the tail into zeros, because the size of a file may reach the disk before its
/// bytes do. Durable bytes do not change.
fn zero_tail(survived: &mut [u8], durable: usize, rng: &mut StdRng) {
    if survived.len() > durable {
        let from = rng.random_range(durable..survived.len());
        survived[from..].fill(0);
    }
}
