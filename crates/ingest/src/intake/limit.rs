//! The limits of whole requests.

/// The limits for which a whole request is refused. The name is the `limit` of
/// `duramen_ingest_limited_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestLimit {
    BodyBytes,
    DecodedBodyBytes,
    SamplesPerSecond,
    SamplesBurst,
}

impl RequestLimit {
    /// As it is called in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BodyBytes => "body_bytes_max",
            Self::DecodedBodyBytes => "decoded_body_bytes_max",
            Self::SamplesPerSecond => "samples_per_second",
            Self::SamplesBurst => "samples_burst",
        }
    }
}
