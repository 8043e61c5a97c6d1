//! Finds patterns that need no automaton: sets of literals, and literals with `.*` or `.+` between
//! them.
//!
//! Most matchers of dashboards have these shapes.

use regex_syntax::hir::Look;

use super::glob::Glob;
use super::tree::Node;

/// The maximum number of alternatives in the product of two sets. A sum has no limit, because the
/// pattern lists its alternatives.
const PRODUCT_MAX: usize = 256;

/// The maximum number of alternatives with wildcards. With more, an automaton that tries all at
/// once is faster.
const GLOBS_MAX: usize = 16;

/// How many bytes may be written while alternatives are listed.
const WORK_BYTES_MAX: usize = 2 << 20;

/// The cost of a step that writes nothing, in bytes.
const JOIN_BYTES: usize = 16;

/// How a pattern is matched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Equal to one of these texts, which are sorted and distinct.
    Set(Vec<String>),
    /// Any of these globs matches.
    Globs(Vec<Glob>),
    Automaton,
}

impl Shape {
    /// Returns the shape of a node, and the number of bytes that were written to find it.
    pub(super) fn of(node: &Node) -> (Self, usize) {
        let mut work = Work {
            left: WORK_BYTES_MAX,
        };

        let globs = work.globs(
            node,
            Edges {
                start: true,
                end: true,
            },
        );

        let shape = globs.map_or(Self::Automaton, Self::of_globs);
        (shape, WORK_BYTES_MAX - work.left)
    }

    fn of_globs(globs: Vec<Glob>) -> Self {
        if globs.iter().all(|glob| glob.as_literal().is_some()) {
            let mut literals: Vec<String> = globs.into_iter().map(Glob::into_head).collect();
            literals.sort_unstable();
            literals.dedup();
            return Self::Set(literals);
        }

        if globs.len() > GLOBS_MAX {
            return Self::Automaton;
        }

        Self::Globs(globs)
    }
}

/// Which ends of the subject a node touches. There `^` and `$` always hold.
#[derive(Clone, Copy)]
struct Edges {
    start: bool,
    end: bool,
}

/// Lists the alternatives of a node until the allowed work is used up.
struct Work {
    left: usize,
}

impl Work {
    /// The alternatives of a node. `None` when the node has no simple shape or too many
    /// alternatives. An empty list matches nothing.
    fn globs(&mut self, node: &Node, edges: Edges) -> Option<Vec<Glob>> {
        match node {
            Node::Empty => Some(vec![Glob::empty()]),
            Node::Literal(text) => {
                self.spend(text.len())?;
                Some(vec![Glob::literal(text)])
            }
            Node::Class(set) => {
                let chars = set.chars(PRODUCT_MAX)?;
                self.spend(chars.len())?;

                Some(
                    chars
                        .into_iter()
                        .map(|single| Glob::literal(single.encode_utf8(&mut [0; 4])))
                        .collect(),
                )
            }
            Node::Look(Look::Start) if edges.start => Some(vec![Glob::empty()]),
            Node::Look(Look::End) if edges.end => Some(vec![Glob::empty()]),
            Node::Look(_) => None,
            Node::Capture { node, .. } => self.globs(node, edges),
            Node::Concat(nodes) => self.product(nodes, edges),
            Node::Alternate(nodes) => {
                let mut all = Vec::new();
                for node in nodes {
                    all.extend(self.globs(node, edges)?);
                }

                Some(all)
            }
            Node::Repeat {
                node,
                min,
                max: None,
                ..
            } => {
                let is_any = matches!(&**node, Node::Class(set) if set.is_any());
                is_any.then(|| vec![Glob::wildcard(*min as usize)])
            }
            Node::Repeat {
                node,
                min,
                max: Some(max),
                ..
            } => self.power(node, *min, *max),
        }
    }

    fn product(&mut self, nodes: &[Node], mut edges: Edges) -> Option<Vec<Glob>> {
        let is = |node: &Node, look| matches!(node, Node::Look(l) if *l == look);
        let body = nodes.len()
            - nodes
                .iter()
                .rev()
                .take_while(|node| is(node, Look::End))
                .count();

        let reaches_end = edges.end;
        let mut all = vec![Glob::empty()];

        for (at, node) in nodes.iter().enumerate() {
            edges.end = reaches_end && at + 1 >= body;

            let next = self.globs(node, edges)?;
            all = self.join(all, next)?;
            edges.start &= is(node, Look::Start);
        }

        Some(all)
    }

    fn power(&mut self, node: &Node, min: u32, max: u32) -> Option<Vec<Glob>> {
        let base = self.globs(
            node,
            Edges {
                start: false,
                end: false,
            },
        )?;

        let mut all = Vec::new();
        let mut power = vec![Glob::empty()];

        for count in 0..=max {
            if count >= min {
                self.spend(power.len())?;
                all.extend(power.iter().cloned());

                if all.len() > PRODUCT_MAX.max(base.len() + 1) {
                    return None;
                }
            }

            if count < max {
                power = self.join(power, base.clone())?;
            }
        }

        Some(all)
    }

    fn join(&mut self, left: Vec<Glob>, right: Vec<Glob>) -> Option<Vec<Glob>> {
        self.spend(JOIN_BYTES)?;
        if left.as_slice() == [Glob::empty()] {
            return Some(right);
        }

        let count = left.len() * right.len();
        if count > PRODUCT_MAX && left.len() > 1 && right.len() > 1 {
            return None;
        }

        let mut joined = Vec::with_capacity(count);
        for first in &left {
            for second in &right {
                self.spend(JOIN_BYTES + first.bytes() + second.bytes())?;
                joined.push(first.join(second));
            }
        }

        Some(joined)
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.map(drop)
    }
}

/// Whether the empty text matches. On it, every look holds except a word boundary.
pub(super) fn matches_empty(node: &Node) -> bool {
    match node {
        Node::Empty => true,
        Node::Literal(text) => text.is_empty(),
        Node::Class(_) => false,
        Node::Look(look) => *look != Look::WordAscii,
        Node::Repeat { node, min, .. } => *min == 0 || matches_empty(node),
        Node::Capture { node, .. } => matches_empty(node),
        Node::Concat(nodes) => nodes.iter().all(matches_empty),
        Node::Alternate(nodes) => nodes.iter().any(matches_empty),
    }
}

/// The text that every match begins with, and whether a match can be nothing else.
pub(super) fn prefix(node: &Node) -> (String, bool) {
    match node {
        Node::Empty | Node::Look(_) => (String::new(), true),
        Node::Literal(text) => (text.clone(), true),
        Node::Class(set) => match set.chars(1).as_deref() {
            Some([single]) => (single.to_string(), true),
            _ => (String::new(), false),
        },
        Node::Capture { node, .. } => prefix(node),
        Node::Repeat { min: 0, max, .. } => (String::new(), *max == Some(0)),
        Node::Repeat { node, min, max, .. } => {
            let (text, whole) = prefix(node);
            (text, whole && (*min, *max) == (1, Some(1)))
        }
        Node::Concat(nodes) => {
            let mut sum = (String::new(), true);

            for node in nodes {
                let (text, whole) = prefix(node);
                sum.0 = if sum.0.is_empty() {
                    text
                } else {
                    sum.0 + &text
                };

                sum.1 = whole;
                if !whole {
                    break;
                }
            }

            sum
        }
        Node::Alternate(nodes) => nodes
            .iter()
            .map(prefix)
            .reduce(common)
            .unwrap_or_else(|| (String::new(), true)),
    }
}

fn common(left: (String, bool), right: (String, bool)) -> (String, bool) {
    let whole = left.1 && right.1 && left.0 == right.0;
    let mut text = left.0;
    text.truncate(common_length(&text, &right.0));

    (text, whole)
}

/// The length of the common beginning of two texts in bytes, cut at a character boundary.
pub(super) fn common_length(left: &str, right: &str) -> usize {
    let shared = left
        .bytes()
        .zip(right.bytes())
        .take_while(|(a, b)| a == b)
        .count();

    left.floor_char_boundary(shared)
}
