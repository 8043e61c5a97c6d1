//! The series of one tenant that the head knows, and the inverted index over their labels.
//!
//! A label pair is interned once and a series is the list of its pairs, so a series costs four
//! bytes a label. The registry outlives generations: a series stays until nothing came of it for a
//! whole flush.
//!
//! - `interned.rs`: series, label pairs and postings; `size.rs`: what they take.
//! - `slots.rs`: who may still use the number of a series; `forgetting.rs`: which series go.
//! - `ordering.rs`: series in the order of a block; `names.rs`: names and values of labels.
//! - `shared.rs`: the registry behind its lock, and look-ups that let writes in between.

mod forgetting;
mod interned;
mod names;
mod ordering;
mod shared;
mod size;
mod slots;

pub(crate) use self::interned::Registry;
use self::interned::{Pair, PairId};
pub(crate) use self::shared::SharedRegistry;
pub(crate) use self::slots::{OpenSegment, Slot, SlotPin};
