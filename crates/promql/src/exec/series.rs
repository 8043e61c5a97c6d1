//! The samples of one series, as the steps of an operator read them.
//!
//! - [`float_series`]: series with floats only, which is nearly every series.
//! - [`mixed_series`]: series with histograms, life spans or start times.
//! - [`samples_seen`]: how many samples the steps look at.

pub(crate) mod float_series;
pub(crate) mod mixed_series;
pub(crate) mod samples_seen;
