//! Siblings: the live blocks of one output, cut by name.
//!
//! Blocks with one content, resolution and class of retention are siblings. They have one order and
//! level, and each its own span of names. Neighbours may share the name where one ends and the next
//! begins, because a single metric may be too large for one block.
//!
//! An edit that removes blocks and adds others of their kind is a merge. It takes all siblings of
//! an input, or puts blocks of the same content in their place. So the sum of the distinct contents
//! of the live blocks stays the same. An edit that only removes may take one sibling alone: it
//! gives up what this sibling has, by retention or because the block is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId, Content};

use crate::state::{State, Violation};

/// What blocks of one kind share: resolution and class of retention.
type Kind<'a> = (Option<i64>, &'a str);

fn kind(entry: &BlockEntry) -> Kind<'_> {
    (entry.resolution_ms, &entry.retention)
}

/// What an edit does to the blocks of one kind.
#[derive(Default)]
struct Turnover<'a> {
    removed: BTreeSet<Content>,
    /// The blocks that it adds, by content.
    added: BTreeMap<Content, Vec<&'a BlockEntry>>,
}

/// Checks an edit that adds `add` and removes `remove`. All of `remove` are live.
pub(crate) fn check_edit(
    state: &State,
    add: &[Arc<BlockEntry>],
    remove: &BTreeSet<BlockId>,
) -> Result<(), Violation> {
    let mut kinds: BTreeMap<Kind<'_>, Turnover<'_>> = BTreeMap::new();

    for entry in add {
        let turnover = kinds.entry(kind(entry)).or_default();
        turnover.added.entry(entry.content).or_default().push(entry);
    }

    let removed = remove.iter().filter_map(|id| state.blocks.get(id));
    for entry in removed {
        let turnover = kinds.entry(kind(entry)).or_default();
        turnover.removed.insert(entry.content);
    }

    for (of_kind, Turnover { removed, added }) in kinds {
        check_sum(of_kind, &removed, &added)?;

        let stays = |content: Content| {
            let live = state.with_content(content).map(AsRef::as_ref);
            live.filter(move |entry: &&BlockEntry| {
                kind(entry) == of_kind && !remove.contains(&entry.id)
            })
        };

        if !added.is_empty() {
            let gone = removed
                .iter()
                .filter(|content| !added.contains_key(content));
            gone.flat_map(|content| stays(*content))
                .try_for_each(left)?;
        }

        for (content, new) in added {
            check_group(stays(content).chain(new).collect())?;
        }
    }

    Ok(())
}

/// Checks that a merge of raw blocks stands for the flushes of its inputs. A rollup may be made
/// again from more blocks, so its content may change.
fn check_sum(
    (resolution_ms, _): Kind<'_>,
    removed: &BTreeSet<Content>,
    added: &BTreeMap<Content, Vec<&BlockEntry>>,
) -> Result<(), Violation> {
    if resolution_ms.is_some() || removed.is_empty() || added.is_empty() {
        return Ok(());
    }

    let removed = Content::of_merge(removed.iter().copied());
    let added = Content::of_merge(added.keys().copied());

    if removed == added {
        Ok(())
    } else {
        Err(Violation::ContentChanged { removed, added })
    }
}

/// Refuses a merge of which a sibling would stay.
const fn left(entry: &BlockEntry) -> Result<(), Violation> {
    Err(Violation::SiblingLeft { block: entry.id })
}

/// Checks all blocks of a state.
pub(crate) fn check_all(state: &State) -> Result<(), Violation> {
    let mut groups: BTreeMap<(Content, Kind<'_>), Vec<&BlockEntry>> = BTreeMap::new();

    for entry in state.blocks.values() {
        let group = groups.entry((entry.content, kind(entry))).or_default();
        group.push(entry);
    }

    groups.into_values().try_for_each(check_group)
}

/// Checks the blocks of one content and kind against each other.
fn check_group(mut group: Vec<&BlockEntry>) -> Result<(), Violation> {
    let broken = |entry: &BlockEntry, fault| {
        Err(Violation::Siblings {
            block: entry.id,
            fault,
        })
    };

    let [first, others @ ..] = &*group else {
        return Ok(());
    };

    if others.is_empty() {
        return Ok(());
    }

    let differs = |entry: &&&BlockEntry| (entry.order, entry.level) != (first.order, first.level);
    if let Some(entry) = others.iter().find(differs) {
        return broken(entry, "its siblings have another order or level");
    }

    if let Some(entry) = group.iter().find(|entry| entry.stats.names.is_none()) {
        return broken(entry, "it has siblings and does not say its names");
    }

    group.sort_unstable_by_key(|entry| ends(entry));

    let overlaps =
        |pair: &&[&BlockEntry]| ends(pair[0]).map(|it| it.1) > ends(pair[1]).map(|it| it.0);
    match group.windows(2).find(overlaps) {
        Some(pair) => broken(pair[1], "its names overlap with those of a sibling"),
        None => Ok(()),
    }
}

/// The first and the last name of a block.
fn ends(entry: &BlockEntry) -> Option<(&str, &str)> {
    let names = entry.stats.names.as_ref()?;
    Some((&names.first, &names.last))
}
