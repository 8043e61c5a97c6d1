//! Sets of code points, and simple case folding.
//!
//! Bounds are plain `u32` up to [`RUNE_MAX`], because Go's classes may contain surrogates, although
//! no text does.

use std::sync::{Arc, OnceLock};

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

pub(super) const RUNE_MAX: u32 = 0x10_FFFF;

/// A set of code points as sorted, disjoint, non-adjacent, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuneSet {
    ranges: Vec<(u32, u32)>,
}

impl RuneSet {
    /// The set of ranges that may overlap and come in any order.
    pub(super) fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();

        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());

        for (low, high) in ranges {
            match merged.last_mut() {
                Some((_, last_high)) if low <= last_high.saturating_add(1) => {
                    *last_high = high.max(*last_high)
                }
                _ => merged.push((low, high)),
            }
        }

        Self { ranges: merged }
    }

    pub(super) fn any() -> Self {
        Self {
            ranges: vec![(0, RUNE_MAX)],
        }
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    pub(super) fn is_any(&self) -> bool {
        self.ranges == [(0, RUNE_MAX)]
    }

    pub(super) fn contains(&self, rune: u32) -> bool {
        let after = self.ranges.partition_point(|&(low, _)| low <= rune);
        after
            .checked_sub(1)
            .is_some_and(|at| rune <= self.ranges[at].1)
    }

    pub(super) fn negate(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;

        for &(low, high) in &self.ranges {
            if next < low {
                ranges.push((next, low - 1));
            }

            next = high + 1;
        }

        if next <= RUNE_MAX {
            ranges.push((next, RUNE_MAX));
        }

        Self { ranges }
    }

    /// How many characters [`RuneSet::fold`] visits.
    pub(super) fn fold_cost(&self) -> usize {
        let below = |rune: u32| orbits().partition_point(|orbit| orbit.rune < rune);
        self.ranges
            .iter()
            .map(|&(low, high)| below(high + 1) - below(low))
            .sum()
    }

    /// The set with every character that equals a member under simple case folding.
    pub(super) fn fold(&self) -> Self {
        let orbits = orbits();
        let mut ranges = self.ranges.clone();

        for &(low, high) in &self.ranges {
            let from = orbits.partition_point(|orbit| orbit.rune < low);
            for orbit in orbits[from..].iter().take_while(|orbit| orbit.rune <= high) {
                ranges.extend(orbit.others.iter().map(|&other| (other, other)));
            }
        }

        Self::new(ranges)
    }

    /// Whether the set contains everything beyond ASCII.
    pub(super) fn has_all_beyond_ascii(&self) -> bool {
        self.ranges
            .last()
            .is_some_and(|&(low, high)| low <= 0x80 && high == RUNE_MAX)
    }

    /// The characters of the set; `None` when there are more than `max`.
    pub(super) fn chars(&self, max: usize) -> Option<Vec<char>> {
        let count: u64 = self
            .ranges
            .iter()
            .map(|&(low, high)| u64::from(high - low) + 1)
            .sum();

        if count > max as u64 {
            return None;
        }

        Some(
            self.ranges
                .iter()
                .flat_map(|&(low, high)| low..=high)
                .filter_map(char::from_u32)
                .collect(),
        )
    }

    /// The same set without surrogates.
    pub(super) fn to_class(&self) -> ClassUnicode {
        let parts = self
            .ranges
            .iter()
            .flat_map(|&(low, high)| [(low, high.min(0xD7FF)), (low.max(0xE000), high)]);

        ClassUnicode::new(
            parts
                .filter(|(low, high)| low <= high)
                .filter_map(|(low, high)| {
                    Some(ClassUnicodeRange::new(
                        char::from_u32(low)?,
                        char::from_u32(high)?,
                    ))
                }),
        )
    }
}

/// A character and the others that are equal to it under simple case folding.
struct Orbit {
    rune: u32,
    others: Vec<u32>,
}

/// All orbits, sorted by character. Folding uses this table instead of visiting each character of a
/// range: a range can be all of Unicode, and a pattern can have many ranges.
fn orbits() -> &'static [Orbit] {
    static ORBITS: OnceLock<Vec<Orbit>> = OnceLock::new();
    ORBITS.get_or_init(|| {
        let Some(candidates) = property("Changes_When_Casemapped") else {
            return Vec::new();
        };

        let runes = candidates.ranges.iter().flat_map(|&(low, high)| low..=high);
        runes
            .filter_map(|rune| folded(rune).map(|others| Orbit { rune, others }))
            .collect()
    })
}

/// The other characters that fold with this one; `None` when there are none.
pub(super) fn folded(rune: u32) -> Option<Vec<u32>> {
    let single = char::from_u32(rune)?;
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(single, single)]);
    class.try_case_fold_simple().ok()?;

    let members = from_class(&class);
    let others = members
        .ranges
        .iter()
        .flat_map(|&(low, high)| low..=high)
        .filter(|&other| other != rune);

    Some(others.collect::<Vec<_>>()).filter(|others| !others.is_empty())
}

/// The set of a character and all characters that fold with it; `None` when there are no others.
pub(super) fn fold_char(single: char) -> Option<RuneSet> {
    let rune = u32::from(single);
    let orbits = orbits();
    let at = orbits
        .binary_search_by_key(&rune, |orbit| orbit.rune)
        .ok()?;
    let members = orbits[at].others.iter().copied().chain([rune]);

    Some(RuneSet::new(
        members.map(|member| (member, member)).collect(),
    ))
}

fn from_class(class: &ClassUnicode) -> RuneSet {
    RuneSet::new(
        class
            .ranges()
            .iter()
            .map(|range| (u32::from(range.start()), u32::from(range.end())))
            .collect(),
    )
}

/// The set of `\p{query}` in the tables of `regex-syntax`; `None` when they have no such property.
pub(super) fn property(query: &str) -> Option<RuneSet> {
    let hir = regex_syntax::parse(&format!(r"\p{{{query}}}")).ok()?;

    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(from_class(class)),
        HirKind::Literal(literal) => {
            let only = u32::from(std::str::from_utf8(&literal.0).ok()?.chars().next()?);
            Some(RuneSet::new(vec![(only, only)]))
        }
        _ => None,
    }
}

/// A shared set of inclusive ranges.
pub(super) fn shared(ranges: &[(u32, u32)]) -> Arc<RuneSet> {
    Arc::new(RuneSet::new(ranges.to_vec()))
}
