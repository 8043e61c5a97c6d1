//! The Parquet schemas of a block's files.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};

/// Names of columns that several modules use.
pub(crate) const METRIC_NAME_COLUMN: &str = duramen_model::METRIC_NAME;
pub(crate) const LABEL_PREFIX: &str = "label_";
pub(crate) const LABELS_MAP: &str = "labels";
pub(crate) const SREF: &str = "sref";
pub(crate) const FIRST_ROW: &str = "samples_first_row";
pub(crate) const ROWS: &str = "samples_n_rows";
pub(crate) const MIN_TS: &str = "min_ts";
pub(crate) const MAX_TS: &str = "max_ts";
/// The columns with the first row and the number of rows in `histograms.parquet`. Only a block with
/// histograms has them.
pub(crate) const HISTOGRAM_ROWS: [&str; 2] = ["histograms_first_row", "histograms_n_rows"];
/// The same for `exemplars.parquet`.
pub(crate) const EXEMPLAR_ROWS: [&str; 2] = ["exemplars_first_row", "exemplars_n_rows"];

/// Leaf columns of `samples.parquet`, by their index.
pub(crate) mod sample {
    pub(crate) const SREF: usize = 0;
    pub(crate) const TS: usize = 1;
    pub(crate) const VALUE_INT: usize = 2;
    pub(crate) const EXPONENT: usize = 3;
    pub(crate) const VALUE: usize = 4;
    pub(crate) const START_TS: usize = 5;
    pub(crate) const TTL: usize = 6;
}

/// One row is one sample, sorted by `sref`, then `ts`.
pub(crate) fn samples() -> Result<TypePtr> {
    group(
        "samples",
        vec![
            plain(SREF, Physical::INT32, Repetition::REQUIRED)?,
            timestamp("ts", Repetition::REQUIRED)?,
            plain("value_int", Physical::INT64, Repetition::OPTIONAL)?,
            tiny("exponent")?,
            plain("value", Physical::DOUBLE, Repetition::OPTIONAL)?,
            timestamp("start_ts", Repetition::OPTIONAL)?,
            plain("ttl", Physical::INT64, Repetition::OPTIONAL)?,
        ],
    )
}

/// One row is one bucket of one series, sorted by `sref`, then `ts`.
///
/// Of two columns `x` and `x_int` at most one has a value. If `min` has none, it is `first`, and
/// `max` is `last`: so it is with counters. Without a value, `corrections` is 0.
pub(crate) fn rollups() -> Result<TypePtr> {
    let count = |name| plain(name, Physical::INT64, Repetition::REQUIRED);
    let integer = |name| plain(name, Physical::INT64, Repetition::OPTIONAL);
    let float = |name| plain(name, Physical::DOUBLE, Repetition::OPTIONAL);
    let time = |name| timestamp(name, Repetition::OPTIONAL);

    group(
        "rollups",
        vec![
            plain(SREF, Physical::INT32, Repetition::REQUIRED)?,
            timestamp("ts", Repetition::REQUIRED)?,
            count("count")?,
            time("first_ts")?,
            time("last_ts")?,
            time("before_last_ts")?,
            time("stale_ts")?,
            tiny("exponent")?,
            integer("first_int")?,
            integer("last_int")?,
            integer("min_int")?,
            integer("max_int")?,
            integer("sum_int")?,
            integer("corrections_int")?,
            float("first")?,
            float("last")?,
            float("min")?,
            float("max")?,
            float("sum")?,
            float("corrections")?,
            count("resets")?,
            count("changes")?,
            count("histograms")?,
        ],
    )
}

/// What the series file of a block has columns for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesSchema {
    /// The labels with a column of their own, in name order.
    pub(crate) promoted: Vec<String>,
    pub(crate) histograms: bool,
    pub(crate) exemplars: bool,
}

impl SeriesSchema {
    /// Returns what [`series`] made a schema with these columns of.
    pub(crate) fn of(columns: &[TypePtr]) -> Self {
        let names = || columns.iter().map(|column| column.name());
        let promoted = names().filter_map(|name| name.strip_prefix(LABEL_PREFIX));

        Self {
            promoted: promoted.map(str::to_owned).collect(),
            histograms: names().any(|name| name == HISTOGRAM_ROWS[0]),
            exemplars: names().any(|name| name == EXEMPLAR_ROWS[0]),
        }
    }
}

/// One row is one series.
///
/// The columns that every selection reads come first, next to each other. No selection reads
/// `sref`, because it is the number of the row.
pub(crate) fn series(columns: &SeriesSchema) -> Result<TypePtr> {
    let count = |name| plain(name, Physical::INT64, Repetition::REQUIRED);
    let mut fields = vec![text(METRIC_NAME_COLUMN, Repetition::OPTIONAL)?];

    for name in &columns.promoted {
        fields.push(text(
            &format!("{LABEL_PREFIX}{name}"),
            Repetition::OPTIONAL,
        )?);
    }

    fields.extend([
        labels_map()?,
        count(FIRST_ROW)?,
        count(ROWS)?,
        timestamp(MIN_TS, Repetition::REQUIRED)?,
        timestamp(MAX_TS, Repetition::REQUIRED)?,
    ]);

    let histograms = HISTOGRAM_ROWS.iter().filter(|_| columns.histograms);
    let exemplars = EXEMPLAR_ROWS.iter().filter(|_| columns.exemplars);

    for name in histograms.chain(exemplars) {
        fields.push(count(name)?);
    }

    fields.push(plain(SREF, Physical::INT32, Repetition::REQUIRED)?);
    group("series", fields)
}

/// One row is one native histogram, sorted by `sref`, then `ts`. Exactly one of `count_int` and
/// `count` is present. It says whether the counts are integers or floats; the lists of the other
/// kind are empty.
///
/// A count of 2^63 or more is negative here, by two's complement: lakes have no unsigned types.
pub(crate) fn histograms() -> Result<TypePtr> {
    let required = |name, physical| plain(name, physical, Repetition::REQUIRED);
    let list = |name, physical| list(name, required("element", physical)?);
    let count = |name| plain(name, Physical::INT64, Repetition::OPTIONAL);

    let spans = |name| {
        let fields = vec![
            required("offset", Physical::INT32)?,
            required("length", Physical::INT32)?,
        ];

        self::list(name, required_group("element", None, fields)?)
    };

    group(
        "histograms",
        vec![
            plain(SREF, Physical::INT32, Repetition::REQUIRED)?,
            timestamp("ts", Repetition::REQUIRED)?,
            timestamp("start_ts", Repetition::OPTIONAL)?,
            plain("ttl", Physical::INT64, Repetition::OPTIONAL)?,
            required("schema", Physical::INT32)?,
            text("hint", Repetition::REQUIRED)?,
            required("sum", Physical::DOUBLE)?,
            required("zero_threshold", Physical::DOUBLE)?,
            count("count_int")?,
            count("zero_count_int")?,
            plain("count", Physical::DOUBLE, Repetition::OPTIONAL)?,
            plain("zero_count", Physical::DOUBLE, Repetition::OPTIONAL)?,
            spans("positive_spans")?,
            spans("negative_spans")?,
            list("positive_deltas", Physical::INT64)?,
            list("negative_deltas", Physical::INT64)?,
            list("positive_counts", Physical::DOUBLE)?,
            list("negative_counts", Physical::DOUBLE)?,
            list("custom_values", Physical::DOUBLE)?,
        ],
    )
}

/// One row is one exemplar, sorted by `sref`, then `ts`.
pub(crate) fn exemplars() -> Result<TypePtr> {
    group(
        "exemplars",
        vec![
            plain(SREF, Physical::INT32, Repetition::REQUIRED)?,
            timestamp("ts", Repetition::REQUIRED)?,
            plain("value", Physical::DOUBLE, Repetition::REQUIRED)?,
            labels_map()?,
        ],
    )
}

/// One row is one metric family, sorted by its name.
pub(crate) fn metadata() -> Result<TypePtr> {
    let required = |name| text(name, Repetition::REQUIRED);
    group(
        "metadata",
        vec![
            required("family")?,
            required("type")?,
            required("help")?,
            required("unit")?,
            timestamp("last_seen", Repetition::REQUIRED)?,
        ],
    )
}

fn group(name: &str, fields: Vec<TypePtr>) -> Result<TypePtr> {
    Type::group_type_builder(name)
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

fn plain(name: &str, physical: Physical, repetition: Repetition) -> Result<TypePtr> {
    Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .build()
        .map(Arc::new)
}

fn logical(
    name: &str,
    physical: Physical,
    logical: LogicalType,
    repetition: Repetition,
) -> Result<TypePtr> {
    Type::primitive_type_builder(name, physical)
        .with_logical_type(Some(logical))
        .with_repetition(repetition)
        .build()
        .map(Arc::new)
}

/// An integer of eight bits.
fn tiny(name: &str) -> Result<TypePtr> {
    logical(
        name,
        Physical::INT32,
        LogicalType::integer(8, true),
        Repetition::REQUIRED,
    )
}

fn timestamp(name: &str, repetition: Repetition) -> Result<TypePtr> {
    logical(
        name,
        Physical::INT64,
        LogicalType::timestamp(true, TimeUnit::MILLIS),
        repetition,
    )
}

fn text(name: &str, repetition: Repetition) -> Result<TypePtr> {
    logical(name, Physical::BYTE_ARRAY, LogicalType::String, repetition)
}

/// A map that is never null. It is empty for most rows.
fn labels_map() -> Result<TypePtr> {
    let fields = vec![
        text("key", Repetition::REQUIRED)?,
        text("value", Repetition::REQUIRED)?,
    ];

    required_group(
        LABELS_MAP,
        Some(LogicalType::Map),
        vec![repeated("key_value", fields)?],
    )
}

/// A list that is never null; its elements are never null either.
fn list(name: &str, element: TypePtr) -> Result<TypePtr> {
    required_group(
        name,
        Some(LogicalType::List),
        vec![repeated("list", vec![element])?],
    )
}

fn repeated(name: &str, fields: Vec<TypePtr>) -> Result<TypePtr> {
    Type::group_type_builder(name)
        .with_repetition(Repetition::REPEATED)
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

fn required_group(
    name: &str,
    logical: Option<LogicalType>,
    fields: Vec<TypePtr>,
) -> Result<TypePtr> {
    Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(logical)
        .with_fields(fields)
        .build()
        .map(Arc::new)
}
