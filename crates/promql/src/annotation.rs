//! Remarks that come with an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use duramen_syntax::{PosRange, line_and_column};

use crate::remark::Remark;

/// Where the operators of one query leave their remarks. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    text: Arc<str>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    /// On a query with this text, which may be unknown: "".
    pub(crate) fn on(text: Arc<str>) -> Self {
        Self { text, held: Arc::default() }
    }

    pub(crate) fn warn(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|held| held.warnings.insert(format!("PromQL warning: {text} ({})", self.place(pos))));
    }

    pub(crate) fn inform(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|held| held.infos.insert(format!("PromQL info: {text} ({})", self.place(pos))));
    }

    pub(crate) fn add(&self, remark: Remark<'_>, pos: PosRange) {
        if remark.is_warning() { self.warn(remark, pos) } else { self.inform(remark, pos) }
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

    /// `line:column`. Without the text everything is on one line.
    fn place(&self, pos: PosRange) -> String {
        let (line, column) = match &*self.text {
            "" => (1, pos.start + 1),
            text => line_and_column(text, pos.start),
        };
        format!("{line}:{column}")
    }
}
