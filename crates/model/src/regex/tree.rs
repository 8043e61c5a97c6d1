//! The parsed pattern.

use std::sync::Arc;

use regex_syntax::hir::Look;

use super::limits::{HEIGHT_MAX, NESTING_MAX, SIZE_MAX};
use super::runes::RuneSet;
use super::{Error, Fault};

/// A pattern without flags: case folding, `(?s)`, `(?m)` and `(?U)` are already applied.
#[derive(Debug)]
pub(super) enum Node {
    Empty,
    Literal(String),
    Class(Arc<RuneSet>),
    Look(Look),
    Repeat {
        node: Box<Self>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    Capture {
        index: u32,
        node: Box<Self>,
    },
    Concat(Vec<Self>),
    Alternate(Vec<Self>),
}

/// A node and its cost. With the cost at hand, limits are checked in constant time when a node is
/// made.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) node: Node,
    pub(super) cost: Cost,
    /// Whether the term came from a group, and so is one operand. A run of characters is not: `ab*`
    /// repeats only `b`.
    pub(super) grouped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// The height of the tree; a leaf has 1.
    pub(super) height: u32,
    /// The number of instructions in Go's program.
    pub(super) size: u64,
    /// The approximate size of the automaton in bytes. The estimate was calibrated on many copies
    /// of small patterns.
    pub(super) bytes: u64,
    /// The largest product of nested counted repetitions.
    pub(super) copies: u64,
}

/// The size of a state of the automaton.
const STATE_BYTES: u64 = 32;

fn char_bytes(single: char) -> u64 {
    single.len_utf8() as u64 * STATE_BYTES
}

/// The approximate size of a class. A range takes two states or more. A range that mixes UTF-8
/// lengths takes a tree of states, unless the set contains everything beyond ASCII.
fn class_bytes(set: &RuneSet) -> u64 {
    if set.has_all_beyond_ascii() {
        return STATE_BYTES * 5;
    }

    let mixed = |&(low, high): &(u32, u32)| {
        [0x80, 0x800, 0x1_0000]
            .iter()
            .filter(|&&at| low < at && at <= high)
            .count()
    };

    let borders: usize = set.ranges().iter().map(mixed).sum();
    STATE_BYTES * (1 + 2 * set.ranges().len() + 9 * borders) as u64
}

impl Cost {
    fn leaf(size: u64, bytes: u64) -> Self {
        Self {
            height: 1,
            size,
            bytes,
            copies: 1,
        }
    }

    /// The cost of `factor` copies plus `extra` instructions. Go's rules: `x*` and a capture add
    /// two instructions (pessimistically), `x+` and `x?` one, and `x{2,5}` is `xx(x(x(x)?)?)?`.
    fn times(self, factor: u64, extra: u64) -> Self {
        let grown =
            |amount: u64, extra: u64| amount.saturating_mul(factor).saturating_add(extra).max(1);
        Self {
            height: self.height + 1,
            size: grown(self.size, extra),
            bytes: grown(self.bytes, extra * STATE_BYTES),
            copies: self.copies,
        }
    }

    fn sum<'a>(costs: impl Iterator<Item = &'a Self>, extra: u64) -> Self {
        let start = Self {
            height: 1,
            size: extra,
            bytes: extra * STATE_BYTES,
            copies: 1,
        };

        costs.fold(start, |sum, cost| Self {
            height: sum.height.max(cost.height + 1),
            size: sum.size.saturating_add(cost.size),
            bytes: sum.bytes.saturating_add(cost.bytes),
            copies: sum.copies.max(cost.copies),
        })
    }
}

impl Term {
    pub(super) fn empty() -> Self {
        Self {
            node: Node::Empty,
            cost: Cost::leaf(1, STATE_BYTES),
            grouped: true,
        }
    }

    pub(super) fn char(single: char) -> Self {
        let cost = Cost::leaf(1, char_bytes(single));
        Self {
            node: Node::Literal(single.to_string()),
            cost,
            grouped: false,
        }
    }

    pub(super) fn class(set: Arc<RuneSet>) -> Self {
        let cost = Cost::leaf(1, class_bytes(&set));
        Self {
            node: Node::Class(set),
            cost,
            grouped: true,
        }
    }

    pub(super) fn look(look: Look) -> Self {
        Self {
            node: Node::Look(look),
            cost: Cost::leaf(1, STATE_BYTES),
            grouped: true,
        }
    }

    pub(super) fn capture(index: u32, sub: Self) -> Self {
        let node = Node::Capture {
            index,
            node: Box::new(sub.node),
        };

        Self {
            node,
            cost: sub.cost.times(1, 2),
            grouped: true,
        }
    }

    /// Repeats a term. `copies` is the count of a counted repetition. It is 1 for `*`, `+`, `?`,
    /// and for a count of 0, which leaves nothing.
    pub(super) fn repeat(
        sub: Self,
        (min, max): (u32, Option<u32>),
        greedy: bool,
        copies: u64,
    ) -> Self {
        let (factor, extra) = match max {
            None if min == 0 => (1, 2),
            None => (u64::from(min), 1),
            Some(max) => (u64::from(max), u64::from(max.saturating_sub(min))),
        };

        let mut cost = sub.cost.times(factor, extra);
        cost.copies = if max == Some(0) {
            1
        } else {
            cost.copies.saturating_mul(copies)
        };

        Self {
            node: Node::Repeat {
                node: Box::new(sub.node),
                min,
                max,
                greedy,
            },
            cost,
            grouped: true,
        }
    }

    pub(super) fn concat(mut terms: Vec<Self>) -> Self {
        match terms.len() {
            0 => return Self::empty(),
            1 => return terms.swap_remove(0),
            _ => {}
        }

        let cost = Cost::sum(terms.iter().map(|term| &term.cost), 0);
        let mut nodes = Vec::with_capacity(terms.len());

        for term in terms {
            match term.node {
                Node::Concat(inner) => nodes.extend(inner),
                node => nodes.push(node),
            }
        }

        Self {
            node: Node::Concat(nodes),
            cost,
            grouped: true,
        }
    }

    /// The alternation of the terms. They keep their order, because it decides what a group
    /// captures.
    pub(super) fn alternate(mut terms: Vec<Self>) -> Self {
        terms.dedup_by(|next, kept| matches!((&next.node, &kept.node), (Node::Empty, Node::Empty)));
        match terms.len() {
            0 => return Self::empty(),
            1 => return terms.swap_remove(0),
            _ => {}
        }

        let cost = Cost::sum(terms.iter().map(|term| &term.cost), terms.len() as u64 - 1);
        let mut nodes = Vec::with_capacity(terms.len());

        for term in terms {
            match term.node {
                Node::Alternate(inner) => nodes.extend(inner),
                node => nodes.push(node),
            }
        }

        Self {
            node: Node::Alternate(nodes),
            cost,
            grouped: true,
        }
    }

    /// Refuses a tree that is too high or too large for Go.
    pub(super) fn checked(self, pattern: &str) -> Result<Self, Error> {
        if self.cost.size > SIZE_MAX {
            return Err(Error::syntax(Fault::Large, pattern));
        }

        if self.cost.height > HEIGHT_MAX {
            return Err(Error::syntax(Fault::NestingDepth, pattern));
        }

        Ok(self)
    }

    /// Refuses a tree that is too high for us. It is checked once, for the whole tree, after Go's
    /// limits.
    pub(super) fn checked_whole(self) -> Result<Self, Error> {
        if self.cost.height > NESTING_MAX {
            return Err(Error::Limit {
                limit: "nesting_max",
                max: NESTING_MAX as usize,
            });
        }

        Ok(self)
    }

    /// Adds a character to a run of characters. Returns the character when the node is not a run.
    pub(super) fn push_char(&mut self, single: char) -> Result<(), char> {
        match &mut self.node {
            Node::Literal(text) if !self.grouped => {
                text.push(single);
                self.cost.size += 1;
                self.cost.bytes += char_bytes(single);

                Ok(())
            }
            _ => Err(single),
        }
    }

    /// Removes and returns the last character of a run of two or more.
    pub(super) fn pop_char(&mut self) -> Option<char> {
        match &mut self.node {
            Node::Literal(text) if !self.grouped && self.cost.size > 1 => {
                let last = text.pop()?;
                self.cost.size -= 1;
                self.cost.bytes -= char_bytes(last);

                Some(last)
            }
            _ => None,
        }
    }
}
