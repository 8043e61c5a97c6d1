//! From the tree to a compiled automaton.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Capture, Class, Hir, Look, Repetition};

use super::Error;
use super::limits::{HYBRID_CACHE_BYTES, NFA_BYTES_MAX, ONEPASS_BYTES_MAX};
use super::tree::Node;

/// Compiles a pattern within the limit.
pub(super) fn compile(node: &Node) -> Result<Regex, Error> {
    build(node, Some(NFA_BYTES_MAX))
}

/// Compiles a pattern whose weight is known to be small.
pub(super) fn compile_small(node: &Node) -> Result<Regex, Error> {
    build(node, None)
}

fn build(node: &Node, nfa_bytes_max: Option<usize>) -> Result<Regex, Error> {
    let config = Config::new()
        .nfa_size_limit(nfa_bytes_max)
        .onepass_size_limit(Some(ONEPASS_BYTES_MAX))
        .hybrid_cache_capacity(HYBRID_CACHE_BYTES);
    let anchored = Hir::concat(vec![Hir::look(Look::Start), lower(node), Hir::look(Look::End)]);
    let built = Regex::builder().configure(config).build_from_hir(&anchored);
    built.map_err(|error| match error.size_limit() {
        Some(max) => Error::Limit { limit: "automaton_bytes_max", max },
        None => Error::Limit { limit: "automaton_states_max", max: StateID::LIMIT },
    })
}

/// Groups keep their index and lose their name: Go lets a name come twice, `regex-automata` does not.
fn lower(node: &Node) -> Hir {
    match node {
        Node::Empty => Hir::empty(),
        Node::Literal(text) => Hir::literal(text.as_bytes()),
        Node::Class(set) => Hir::class(Class::Unicode(set.to_class())),
        Node::Look(look) => Hir::look(*look),
        Node::Repeat { node, min, max, greedy } => {
            let sub = Box::new(lower(node));
            Hir::repetition(Repetition { min: *min, max: *max, greedy: *greedy, sub })
        }
        Node::Capture { index, node } => {
            Hir::capture(Capture { index: *index, name: None, sub: Box::new(lower(node)) })
        }
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(lower).collect()),
        Node::Alternate(nodes) => Hir::alternation(nodes.iter().map(lower).collect()),
    }
}
