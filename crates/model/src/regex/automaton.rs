//! Compiles the tree to an automaton.

use regex_automata::meta::{Config, Regex};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::Error;
use super::limits::{
    AUTOMATON_BYTES_MIN, HYBRID_CACHE_BYTES_MAX, HYBRID_CACHE_BYTES_MIN, LAZY_BYTES_MAX,
    NFA_BYTES_MAX, ONEPASS_BYTES_MAX,
};
use super::runes::RuneSet;
use super::tree::Node;

/// Refuses an automaton that is needed for matching if it is too large. `bytes` is the estimate of
/// [`super::tree::Cost`].
pub(super) fn check(bytes: u64) -> Result<(), Error> {
    within(bytes, NFA_BYTES_MAX)
}

/// Refuses an automaton that is only needed for groups if it is too large.
pub(super) fn check_lazy(bytes: u64) -> Result<(), Error> {
    within(bytes, LAZY_BYTES_MAX)
}

fn within(bytes: u64, max: usize) -> Result<(), Error> {
    if bytes > max as u64 {
        return Err(Error::Limit {
            limit: "automaton_bytes_max",
            max,
        });
    }

    Ok(())
}

/// The approximate size of an automaton in bytes, with the states that it builds while it matches.
pub(super) fn held_bytes(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(usize::MAX, |bytes| {
        AUTOMATON_BYTES_MIN + bytes + hybrid_cache_bytes(bytes)
    })
}

/// The size of the cache for lazily built states. A small automaton has small states, and uses few
/// of them.
fn hybrid_cache_bytes(bytes: usize) -> usize {
    bytes
        .saturating_mul(8)
        .clamp(HYBRID_CACHE_BYTES_MIN, HYBRID_CACHE_BYTES_MAX)
}

/// Compiles a tree that was found to be within the limits.
pub(super) fn compile(node: &Node, bytes: u64) -> Regex {
    let hybrid_cache_bytes = hybrid_cache_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    let config = Config::new()
        .nfa_size_limit(None)
        .onepass_size_limit(Some(ONEPASS_BYTES_MAX))
        .hybrid_cache_capacity(hybrid_cache_bytes);

    let anchored = Hir::concat(vec![
        Hir::look(Look::Start),
        lower(node),
        Hir::look(Look::End),
    ]);

    let built = Regex::builder().configure(config).build_from_hir(&anchored);
    built.expect("an automaton within the limits has no other to break")
}

/// Converts the tree to the form of `regex-syntax`. Groups keep their index but lose their name,
/// because Go allows a name twice and `regex-automata` does not.
fn lower(node: &Node) -> Hir {
    match node {
        Node::Empty => Hir::empty(),
        Node::Literal(text) => Hir::literal(text.as_bytes()),
        Node::Class(set) if set.has_all_beyond_ascii() => open_class(set),
        Node::Class(set) => Hir::class(Class::Unicode(set.to_class())),
        Node::Look(look) => Hir::look(*look),
        Node::Repeat {
            node,
            min,
            max,
            greedy,
        } => {
            let sub = Box::new(lower(node));
            Hir::repetition(Repetition {
                min: *min,
                max: *max,
                greedy: *greedy,
                sub,
            })
        }
        Node::Capture { index, node } => Hir::capture(Capture {
            index: *index,
            name: None,
            sub: Box::new(lower(node)),
        }),
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(lower).collect()),
        Node::Alternate(nodes) => Hir::alternation(nodes.iter().map(lower).collect()),
    }
}

/// A class that contains all of Unicode beyond ASCII, such as `.` or `[^/]`. It becomes one byte
/// that starts a character, and then the bytes that continue it. This is a tenth of the size of the
/// exact UTF-8 automaton, and it is exact on subjects that are valid UTF-8. A match cannot stop
/// within a character: everything that follows begins at the start of a character or at the end of
/// the subject.
fn open_class(set: &RuneSet) -> Hir {
    let ascii = set.ranges().iter().filter(|&&(low, _)| low < 0x80);
    let ascii = ascii.filter_map(|&(low, high)| bytes(low, high.min(0x7F)));
    let start = ClassBytes::new(ascii.chain([ClassBytesRange::new(0xC2, 0xF4)]));
    let more = ClassBytes::new([ClassBytesRange::new(0x80, 0xBF)]);
    let more = Box::new(Hir::class(Class::Bytes(more)));

    let more = Hir::repetition(Repetition {
        min: 0,
        max: None,
        greedy: true,
        sub: more,
    });

    Hir::concat(vec![Hir::class(Class::Bytes(start)), more])
}

fn bytes(low: u32, high: u32) -> Option<ClassBytesRange> {
    Some(ClassBytesRange::new(
        u8::try_from(low).ok()?,
        u8::try_from(high).ok()?,
    ))
}
