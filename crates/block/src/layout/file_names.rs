//! The names of a block's files.

/// The file that says where everything is. It holds the names of the other files.
pub const META_FILE: &str = "meta";
/// One row per series.
pub const SERIES_FILE: &str = "series.parquet";
/// One row per float.
pub const SAMPLES_FILE: &str = "samples.parquet";
/// One row per native histogram.
pub const HISTOGRAMS_FILE: &str = "histograms.parquet";
/// One row per exemplar.
pub const EXEMPLARS_FILE: &str = "exemplars.parquet";
/// One row per metric family.
pub const METADATA_FILE: &str = "metadata.parquet";
/// One row per series and bucket of time, in place of floats and histograms.
pub const ROLLUPS_FILE: &str = "rollups.parquet";
