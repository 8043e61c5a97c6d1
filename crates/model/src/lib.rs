//! The values that all crates share. No I/O, no async, no clock.
//!
//! - Series: [`Labels`] ([`labels`], sorted and in one buffer), [`Sample`] with its [`Life`],
//!   [`Histogram`] ([`histogram`]), [`Exemplar`], [`FamilyMetadata`] ([`metadata`]).
//! - Selections of series: [`Matcher`] ([`matcher`]) with Go's regular expressions ([`regex`]),
//!   within a half-open [`TimeRange`] ([`time`]), of a past state ([`AsOf`]).
//! - Owners and identities: [`TenantName`] ([`tenant`]), and the ids of tenants, writers, blocks
//!   and series ([`ids`]).
//! - Blocks: the [`BlockEntry`] of a block ([`block`]), which goes from a flush through the
//!   manifest to queries, with the flushes that it stands for ([`content`], [`order`]). What is
//!   taken away again: [`Deletion`] ([`deletion`]).
//! - Sums that keep their rounding errors: [`Compensated`].
//! - Texts for people: [`shown`], [`quoted`], [`number`], [`duration`]. The kind of a failure:
//!   [`ErrorKind`] ([`error`]).

pub mod as_of;
pub mod block;
pub mod compensated;
pub mod content;
pub mod deletion;
pub mod duration;
pub mod error;
pub mod exemplar;
pub mod histogram;
pub mod ids;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod number;
pub mod order;
pub mod quoted;
pub mod regex;
mod rolled;
pub mod sample;
pub mod shown;
pub mod tenant;
pub mod time;

pub use as_of::AsOf;
pub use block::{BlockEntry, BlockFile, BlockStats, NameBounds};
pub use compensated::Compensated;
pub use content::Content;
pub use deletion::{Deletion, ValueOp, ValueTest};
pub use error::ErrorKind;
pub use exemplar::Exemplar;
pub use histogram::{CUSTOM_BUCKETS_SCHEMA, Counts, FloatHistogram, Histogram, ResetHint, Span};
pub use ids::{BlockId, Incarnation, SeriesId, TenantId, WriterId};
pub use labels::{
    Labels, LabelsBuilder, METRIC_NAME, METRIC_NAME_BYTES_MAX, METRIC_TYPE, METRIC_UNIT,
};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{FamilyMetadata, MetricType};
pub use order::{Order, OrderRange};
pub use regex::{GoRegex, RegexCache, Regexes};
pub use rolled::RolledDay;
pub use sample::{Life, STALE_NAN, STALE_NAN_BITS, Sample, is_stale};
pub use shown::{Shown, ShownSeries};
pub use tenant::TenantName;
pub use time::TimeRange;
