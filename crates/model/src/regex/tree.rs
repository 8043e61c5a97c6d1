//! The parsed pattern.

use std::sync::Arc;

use regex_syntax::hir::Look;

use super::limits::{HEIGHT_MAX, SIZE_MAX};
use super::runes::RuneSet;
use super::{Error, Fault};

/// A pattern without flags: case folding, `(?s)`, `(?m)` and `(?U)` are already worked in.
#[derive(Debug)]
pub(super) enum Node {
    Empty,
    Literal(String),
    Class(Arc<RuneSet>),
    Look(Look),
    Repeat { node: Box<Self>, min: u32, max: Option<u32>, greedy: bool },
    Capture { index: u32, node: Box<Self> },
    Concat(Vec<Self>),
    Alternate(Vec<Self>),
}

/// A node with what it costs, so that limits are checked where a node is made, in constant time.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) node: Node,
    pub(super) cost: Cost,
    /// A group is one operand; a run of characters is not: `ab*` repeats `b` alone.
    pub(super) grouped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Of the tree; a leaf has 1.
    pub(super) height: u32,
    /// Instructions of Go's program.
    pub(super) size: u64,
    /// As `size`, but a class counts with its ranges: what the automaton grows with.
    pub(super) weight: u64,
    /// The largest product of nested counted repetitions.
    pub(super) copies: u64,
}

impl Cost {
    fn leaf(size: u64, weight: u64) -> Self {
        Self { height: 1, size, weight, copies: 1 }
    }

    /// Go's rules: `x*` and a capture add two instructions (pessimistically), `x+` and `x?` one, `x{2,5}` is
    /// `xx(x(x(x)?)?)?`.
    fn times(self, factor: u64, extra: u64) -> Self {
        let grown = |amount: u64| amount.saturating_mul(factor).saturating_add(extra).max(1);
        Self { height: self.height + 1, size: grown(self.size), weight: grown(self.weight), copies: self.copies }
    }

    fn sum<'a>(costs: impl Iterator<Item = &'a Self>, extra: u64) -> Self {
        let start = Self { height: 1, size: extra, weight: extra, copies: 1 };
        costs.fold(start, |sum, cost| Self {
            height: sum.height.max(cost.height + 1),
            size: sum.size.saturating_add(cost.size),
            weight: sum.weight.saturating_add(cost.weight),
            copies: sum.copies.max(cost.copies),
        })
    }
}

impl Term {
    pub(super) fn empty() -> Self {
        Self { node: Node::Empty, cost: Cost::leaf(1, 1), grouped: true }
    }

    pub(super) fn char(single: char) -> Self {
        Self { node: Node::Literal(single.to_string()), cost: Cost::leaf(1, 1), grouped: false }
    }

    pub(super) fn class(set: Arc<RuneSet>) -> Self {
        let weight = 1 + set.ranges().len() as u64;
        Self { node: Node::Class(set), cost: Cost::leaf(1, weight), grouped: true }
    }

    pub(super) fn look(look: Look) -> Self {
        Self { node: Node::Look(look), cost: Cost::leaf(1, 1), grouped: true }
    }

    pub(super) fn capture(index: u32, sub: Self) -> Self {
        let node = Node::Capture { index, node: Box::new(sub.node) };
        Self { node, cost: sub.cost.times(1, 2), grouped: true }
    }

    /// `copies` is the count of a counted repetition, 1 for `*`, `+`, `?` and for a count of 0, which leaves nothing.
    pub(super) fn repeat(sub: Self, (min, max): (u32, Option<u32>), greedy: bool, copies: u64) -> Self {
        let (factor, extra) = match max {
            None if min == 0 => (1, 2),
            None => (u64::from(min), 1),
            Some(max) => (u64::from(max), u64::from(max.saturating_sub(min))),
        };
        let mut cost = sub.cost.times(factor, extra);
        cost.copies = if max == Some(0) { 1 } else { cost.copies.saturating_mul(copies) };
        Self { node: Node::Repeat { node: Box::new(sub.node), min, max, greedy }, cost, grouped: true }
    }

    pub(super) fn concat(terms: Vec<Self>) -> Self {
        let cost = Cost::sum(terms.iter().map(|term| &term.cost), 0);
        let flatten = |term: Self| match term.node {
            Node::Concat(nodes) => nodes,
            node => vec![node],
        };
        Self::one_or(terms, |terms| Self {
            node: Node::Concat(terms.into_iter().flat_map(flatten).collect()),
            cost,
            grouped: true,
        })
    }

    /// The branches keep their order: it decides what a group captures.
    pub(super) fn alternate(mut terms: Vec<Self>) -> Self {
        terms.dedup_by(|next, kept| matches!((&next.node, &kept.node), (Node::Empty, Node::Empty)));
        let cost = Cost::sum(terms.iter().map(|term| &term.cost), terms.len().saturating_sub(1) as u64);
        let flatten = |term: Self| match term.node {
            Node::Alternate(nodes) => nodes,
            node => vec![node],
        };
        Self::one_or(terms, |terms| Self {
            node: Node::Alternate(terms.into_iter().flat_map(flatten).collect()),
            cost,
            grouped: true,
        })
    }

    fn one_or(mut terms: Vec<Self>, many: impl FnOnce(Vec<Self>) -> Self) -> Self {
        match terms.len() {
            0 => Self::empty(),
            1 => terms.swap_remove(0),
            _ => many(terms),
        }
    }

    /// Refuses what Go refuses for its height or its size.
    pub(super) fn checked(self, pattern: &str) -> Result<Self, Error> {
        if self.cost.size > SIZE_MAX {
            return Err(Error::syntax(Fault::Large, pattern));
        }
        if self.cost.height > HEIGHT_MAX {
            return Err(Error::syntax(Fault::NestingDepth, pattern));
        }
        Ok(self)
    }

    /// Adds a character to a run of them; gives it back when this is not a run.
    pub(super) fn push_char(&mut self, single: char) -> Result<(), char> {
        match &mut self.node {
            Node::Literal(text) if !self.grouped => {
                text.push(single);
                self.cost.size += 1;
                self.cost.weight += single.len_utf8() as u64;
                Ok(())
            }
            _ => Err(single),
        }
    }

    /// Takes the last character of a run of two or more off.
    pub(super) fn pop_char(&mut self) -> Option<char> {
        match &mut self.node {
            Node::Literal(text) if !self.grouped && self.cost.size > 1 => {
                self.cost.size -= 1;
                text.pop()
            }
            _ => None,
        }
    }
}
