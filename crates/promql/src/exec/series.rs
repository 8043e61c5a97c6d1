//! The samples of one series, as the steps of an operator read them.
//!
//! - [`float_series`]: floats only, which is nearly every series.
//! - [`mixed_series`]: with histograms, life spans or times of a start.
//! - [`samples_seen`]: how many samples the steps see.

pub(crate) mod float_series;
pub(crate) mod mixed_series;
pub(crate) mod samples_seen;
