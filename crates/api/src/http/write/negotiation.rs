//! The version of remote write that a request has, by its headers alone.

use axum::http::{HeaderMap, HeaderName, header};
use duramen_proto::Version;

const MEDIA: &str = "application/x-protobuf";
const MESSAGE_V1: &str = Version::One.message();
const MESSAGE_V2: &str = Version::Two.message();

/// Returns the version that the content type names. Both headers may be absent, as older senders of
/// 1.0 do it.
///
/// # Errors
/// The text says why the body cannot be read. It is answered with 415.
pub(super) fn version(headers: &HeaderMap) -> Result<Version, String> {
    let encoding = text(headers, &header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(format!(
            "Content-Encoding is {encoding:?}, and only \"snappy\" is supported"
        ));
    }

    let content_type = text(headers, &header::CONTENT_TYPE);
    if content_type.is_empty() {
        return Ok(Version::One);
    }

    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();

    if !media.eq_ignore_ascii_case(MEDIA) {
        return Err(format!(
            "Content-Type is {content_type:?}, and only {MEDIA:?} is supported"
        ));
    }

    let message = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("proto"));
    match message.map(|(_, value)| value.trim_matches('"')) {
        None | Some(MESSAGE_V1) => Ok(Version::One),
        Some(MESSAGE_V2) => Ok(Version::Two),
        Some(other) => Err(format!(
            "the message {other:?} is not supported, only {MESSAGE_V1:?} (1.0) and {MESSAGE_V2:?} (2.0)"
        )),
    }
}

/// Returns a header without the space around it: an empty text if it is absent, and `?`, which no
/// version has, if it is not ASCII.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap_or("?").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(HeaderName, &str)], expected: Option<Version>) {
        let map = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();

        assert_eq!(version(&map).ok(), expected, "{headers:?}");
    }

    #[test]
    fn the_content_type_names_the_version() {
        let typed = |value| [(header::CONTENT_TYPE, value)];
        check(&[], Some(Version::One));
        check(&typed(""), Some(Version::One));
        check(&typed("application/x-protobuf"), Some(Version::One));
        check(
            &typed("application/x-protobuf;proto=prometheus.WriteRequest"),
            Some(Version::One),
        );

        check(
            &typed("application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            Some(Version::Two),
        );

        check(
            &typed("Application/X-Protobuf; charset=x; Proto=\"io.prometheus.write.v2.Request\""),
            Some(Version::Two),
        );

        check(
            &typed("application/x-protobuf;proto=io.prometheus.write.v3.Request"),
            None,
        );

        check(&typed("application/x-protobuf;proto="), None);
        check(&typed("application/json"), None);
        check(&typed("application/x-protobuffer"), None);
    }

    #[test]
    fn snappy_is_the_only_encoding_and_need_not_be_named() {
        let encoded = |value| [(header::CONTENT_ENCODING, value)];
        check(&encoded("snappy"), Some(Version::One));
        check(&encoded("Snappy"), Some(Version::One));
        check(&encoded(""), Some(Version::One));
        check(&encoded("zstd"), None);
        check(&encoded("snappy, gzip"), None);
    }
}
