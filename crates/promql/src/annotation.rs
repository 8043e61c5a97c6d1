//! Remarks that come with an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use duramen_syntax::PosRange;
use duramen_syntax::ast::BinaryOp;

/// Where the operators of one query leave their remarks. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    pub(crate) fn warn(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|held| held.warnings.insert(format!("PromQL warning: {text} ({})", place(pos))));
    }

    pub(crate) fn inform(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|held| held.infos.insert(format!("PromQL info: {text} ({})", place(pos))));
    }

    /// An operator for histograms met two floats, and the result has no such sample.
    pub(crate) fn inform_of_floats(&self, op: BinaryOp, pos: PosRange) {
        let op = op.as_str();
        self.inform(
            format_args!("incompatible sample types encountered for binary operator {op:?}: float {op} float"),
            pos,
        );
    }

    /// The warnings and the infos so far.
    pub(crate) fn take(&self) -> (Vec<String>, Vec<String>) {
        self.with(|held| {
            let (warnings, infos) = (std::mem::take(&mut held.warnings), std::mem::take(&mut held.infos));
            (warnings.into_iter().collect(), infos.into_iter().collect())
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `line:column`. The engine is given the tree and not the text, so the column counts over line ends.
fn place(pos: PosRange) -> String {
    format!("1:{}", pos.start + 1)
}
