//! The ids of series, blocks, tenants and writers.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// The identity of a series: xxh3-128 over its length-prefixed labels, see
/// [`crate::Labels::series_id`].
///
/// Two label sets can have the same id in theory, so a merge compares the labels too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u128);

impl SeriesId {
    /// Big-endian bytes, the form in which an id is stored.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Ulid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ulid::DecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ulid::from_string(text).map(Self)
            }
        }
    };
}

ulid_id! {
    /// The id of a block. An id is never used again.
    BlockId
}
ulid_id! {
    /// The id of a tenant. It does not depend on the name: a rename moves no data, and a name is
    /// never a path.
    TenantId
}
ulid_id! {
    /// The id of a data directory and its WAL. It outlives the process; the epoch counts the
    /// processes.
    WriterId
}
ulid_id! {
    /// The id of one start of a process. It is random, so that a copy of a data directory does not
    /// share it.
    Incarnation
}

impl Incarnation {
    /// The incarnation of records that were written before incarnations existed.
    pub const UNKNOWN: Self = Self(Ulid::nil());

    pub fn is_unknown(&self) -> bool {
        *self == Self::UNKNOWN
    }
}

impl Default for Incarnation {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
