//! Collects the annotations of one query.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use duramen_model::number::go_general;
use duramen_syntax::{PosRange, line_and_column};

use crate::annotation::Annotation;
use crate::annotation::forced::Forced;

/// Collects the annotations that the operators of one query make.
///
/// Each text is reported once, at the last position at which Prometheus evaluates it: inner
/// expressions before outer ones, left before right.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    text: Arc<str>,
    collected: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    warnings: BTreeMap<String, PosRange>,
    infos: BTreeMap<String, PosRange>,
    /// By metric: the first position, and how often.
    overlaps: BTreeMap<String, (PosRange, u64)>,
    forced: BTreeMap<String, (PosRange, Forced)>,
}

impl Annotations {
    /// Creates a collector for a query with this text; "" if it is unknown.
    pub(crate) fn on(text: Arc<str>) -> Self {
        Self {
            text,
            collected: Mutex::default(),
        }
    }

    pub(crate) fn warn(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|collected| keep_last(&mut collected.warnings, text.to_string(), pos));
    }

    pub(crate) fn inform(&self, text: impl fmt::Display, pos: PosRange) {
        self.with(|collected| keep_last(&mut collected.infos, text.to_string(), pos));
    }

    pub(crate) fn add(&self, annotation: Annotation<'_>, pos: PosRange) {
        match annotation {
            Annotation::StartTimesOverlap(_) => self.with(|collected| {
                let (first, times) = collected
                    .overlaps
                    .entry(annotation.to_string())
                    .or_insert((pos, 0));
                *times += 1;

                if order(pos) < order(*first) {
                    *first = pos;
                }
            }),
            _ if annotation.is_warning() => self.warn(annotation, pos),
            _ => self.inform(annotation, pos),
        }
    }

    /// Warns of quantiles outside of [0, 1].
    pub(crate) fn check_quantiles(&self, quantiles: &[f64], pos: PosRange) {
        for &q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            let text = go_general(q);
            self.warn(
                format_args!("quantile value should be between 0 and 1, got {text}"),
                pos,
            );
        }
    }

    /// Reports classic histograms that had to be made monotonic. All reports with the same text are
    /// one annotation, at the first position.
    pub(crate) fn inform_of_forced(&self, text: String, forced: Forced, pos: PosRange) {
        self.with(|collected| match collected.forced.remove(&text) {
            None => _ = collected.forced.insert(text, (pos, forced)),
            Some((other_pos, other)) if order(other_pos) <= order(pos) => {
                collected
                    .forced
                    .insert(text, (other_pos, other.and(&forced)));
            }
            Some((_, other)) => _ = collected.forced.insert(text, (pos, forced.and(&other))),
        });
    }

    /// Returns the warnings and the infos so far.
    pub(crate) fn take(&self) -> (Vec<String>, Vec<String>) {
        let Collected {
            warnings,
            infos,
            overlaps,
            forced,
        } = self.with(std::mem::take);

        let line = |kind: &str, text: &dyn fmt::Display, pos| {
            format!("PromQL {kind}: {text} ({})", self.place(pos))
        };
        let overlaps = overlaps.iter().map(|(text, (pos, times))| match times {
            1 => line("warning", text, *pos),
            times => line(
                "warning",
                &format_args!("{text} ({times} occurrences)"),
                *pos,
            ),
        });

        let warnings = warnings
            .iter()
            .map(|(text, pos)| line("warning", text, *pos));
        let mut warnings: Vec<_> = warnings.chain(overlaps).collect();
        let forced = forced
            .iter()
            .map(|(text, (pos, forced))| line("info", &format_args!("{text}, {forced}"), *pos));

        let mut infos: Vec<_> = infos
            .iter()
            .map(|(text, pos)| line("info", text, *pos))
            .chain(forced)
            .collect();

        warnings.sort();
        infos.sort();
        (warnings, infos)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Collected) -> T) -> T {
        change(
            &mut self
                .collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Returns `line:column`. Without the text, everything is on one line.
    fn place(&self, pos: PosRange) -> String {
        let (line, column) = match &*self.text {
            "" => (1, pos.start + 1),
            text => line_and_column(text, pos.start),
        };

        format!("{line}:{column}")
    }
}

fn keep_last(annotations: &mut BTreeMap<String, PosRange>, text: String, pos: PosRange) {
    let last = annotations.entry(text).or_insert(pos);
    if order(*last) < order(pos) {
        *last = pos;
    }
}

/// Orders the parts of one expression as they are evaluated.
fn order(pos: PosRange) -> impl Ord {
    (pos.end, Reverse(pos.start))
}
