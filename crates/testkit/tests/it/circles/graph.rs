//! The shortest circle of a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Returns a shortest circle of at least two nodes. Each has an edge to the next, and the last to
/// the first. Pure.
pub(crate) fn shortest_circle(edges: &BTreeSet<(usize, usize)>) -> Option<Vec<usize>> {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(*from).or_default().push(*to);
    }

    next.keys()
        .filter_map(|start| circle_through(*start, &next))
        .min_by_key(Vec::len)
}

/// Returns a shortest circle through `start`.
fn circle_through(start: usize, next: &BTreeMap<usize, Vec<usize>>) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);

    while let Some(at) = waiting.pop_front() {
        for to in next.get(&at).into_iter().flatten() {
            if *to == start {
                let back = std::iter::successors(Some(at), |at| came_from.get(at).copied());
                let mut circle: Vec<usize> = back.collect();
                circle.reverse();
                return Some(circle);
            }

            if !came_from.contains_key(to) {
                came_from.insert(*to, at);
                waiting.push_back(*to);
            }
        }
    }

    None
}

/// Returns how many nodes are part of any circle.
pub(crate) fn in_circles(edges: &BTreeSet<(usize, usize)>) -> usize {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(*from).or_default().push(*to);
    }

    let on_circle = |place: &&usize| circle_through(**place, &next).is_some();
    next.keys().filter(on_circle).count()
}
