//! The series of one tenant in the head, and the inverted index over their labels.
//!
//! A label pair is interned once, and a series is a list of pairs, so it costs some two bytes per
//! label. The registry outlives generations: a series stays until it has had no samples for a whole
//! flush.
//!
//! - `sent.rs`: known series by the bytes in which they are sent; `table.rs`: its hash table.
//! - `interned.rs`: series, label pairs and postings; `lists.rs`: the pairs of each series;
//!   `size.rs`: their memory.
//! - `slots.rs`: the numbers of series, and who may still use them; `forgetting.rs`: idle series
//!   are removed.
//! - `ordering.rs`: series in the order of a block; `ranks.rs`: how many new ones are sorted.
//! - `names.rs`: names and values of labels.
//! - `shared.rs`: the registry behind its lock, with look-ups that let writes in between.

mod forgetting;
mod interned;
mod lists;
mod names;
mod ordering;
mod ranks;
mod sent;
mod shared;
mod size;
mod slots;
mod table;

use self::interned::Pair;
pub(crate) use self::interned::Registry;
use self::lists::PairId;
pub(crate) use self::shared::SharedRegistry;
pub(crate) use self::slots::{OpenSegment, Slot, SlotPin};
