//! The limits of whole requests.

/// The limits that refuse a whole request. The name is the value of `limit` in
/// `duramen_ingest_limited_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestLimit {
    BodyBytes,
    DecodedBodyBytes,
    SamplesPerSecond,
    SamplesBurst,
}

impl RequestLimit {
    /// Returns its name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BodyBytes => "body_bytes_max",
            Self::DecodedBodyBytes => "decoded_body_bytes_max",
            Self::SamplesPerSecond => "samples_per_second",
            Self::SamplesBurst => "samples_burst",
        }
    }
}
