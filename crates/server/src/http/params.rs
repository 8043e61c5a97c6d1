//! Parameters from the URL and from a form in the body, merged.

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use duramen_model::TimeRange;
use duramen_syntax::parse_duration;
use percent_encoding::percent_decode;

use super::failure::Failure;
use super::number::parse_time_ms;
use crate::wiring::System;

/// A form in bytes: room for many selectors, each byte of which may take three.
const FORM_BYTES_MAX: usize = 8 << 20;

/// The parameters of a request; those of the body stand before those of the URL, as in Go's forms.
#[derive(Debug, Default)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl FromRequest<Arc<System>> for Params {
    type Rejection = Failure;

    async fn from_request(request: Request, system: &Arc<System>) -> Result<Self, Failure> {
        let query = request.uri().query().unwrap_or("").to_owned();
        let has_form = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let mut pairs = Vec::new();
        if has_form && is_form {
            let body = Bytes::from_request(request, system).await;
            let body = body.map_err(|e| Failure::bad_data(format!("the form cannot be read: {e}")))?;
            decode(&body, &mut pairs)?;
        }
        decode(query.as_bytes(), &mut pairs)?;
        Ok(Self { pairs })
    }
}

/// Appends the pairs of a URL-encoded form.
fn decode(form: &[u8], pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    if form.len() > FORM_BYTES_MAX {
        let bytes = form.len();
        return Err(Failure::bad_data(format!(
            "the form is too large. bytes=`{bytes}`, form_bytes_max=`{FORM_BYTES_MAX}`"
        )));
    }
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = unescape(&pair[..equals])?;
        let value = unescape(pair.get(equals + 1..).unwrap_or_default())?;
        pairs.push((name, value));
    }
    Ok(())
}

/// The text of one part of a form: `+` is a space, `%41` a byte. What is not UTF-8 is refused rather than replaced.
fn unescape(part: &[u8]) -> Result<String, Failure> {
    let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map_err(|_| Failure::bad_data("a parameter is not UTF-8"))
}

impl Params {
    /// The first value; `None` when it is absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value unless it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A time in milliseconds.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let fault = |e| Failure::parameter(name, format!("invalid time value for '{name}': {e}"));
        self.given(name).map(|text| parse_time_ms(text).map_err(fault)).transpose()
    }

    pub(super) fn required_time_ms(&self, name: &str) -> Result<i64, Failure> {
        parse_time_ms(self.get(name).unwrap_or("")).map_err(|e| Failure::parameter(name, e))
    }

    /// A duration in milliseconds: seconds as a float, or a Prometheus duration.
    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.given(name).map(|text| parse_duration_ms(text).map_err(|e| Failure::parameter(name, e))).transpose()
    }

    /// How long the evaluation may take.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let ms = self.duration_ms("timeout")?;
        ms.map(|ms| u64::try_from(ms).map(Duration::from_millis))
            .transpose()
            .map_err(|_| Failure::parameter("timeout", "a time-out is not negative"))
    }

    /// The most elements of the answer; `None` for no limit, which 0 asks for as well.
    pub(super) fn limit(&self) -> Result<Option<usize>, Failure> {
        let Some(text) = self.given("limit") else { return Ok(None) };
        let limit: i64 = text.parse().map_err(|e| Failure::parameter("limit", atoi_fault(text, &e)))?;
        let limit = usize::try_from(limit).map_err(|_| Failure::parameter("limit", "limit must be non-negative"))?;
        Ok((limit > 0).then_some(limit))
    }

    /// A whole number that has no meaning of its own here.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let number = self.given(name).map(|text| text.parse().map_err(|_| format!("{name} must be a number")));
        number.transpose().map_err(Failure::bad_data)
    }

    /// The span that `start` and `end` name, both inclusive and both optional. `None` when it is empty, and then so is the answer.
    pub(super) fn range(&self) -> Result<Option<TimeRange>, Failure> {
        let start = self.time_ms("start")?.unwrap_or(i64::MIN);
        let end = self.time_ms("end")?.unwrap_or(i64::MAX - 1);
        Ok(TimeRange::closed(start, end))
    }
}

/// Why a text is no whole number, in the words of Go.
fn atoi_fault(text: &str, error: &ParseIntError) -> String {
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.Atoi: parsing {text:?}: {why}")
}

/// Seconds as a float or a Prometheus duration, in milliseconds.
pub(super) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the size was just checked; the fraction is not a millisecond"
        )]
        return Ok(ms as i64);
    }
    parse_duration(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_prometheus_durations() {
        assert_eq!(parse_duration_ms("15"), Ok(15_000));
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms("5m"), Ok(300_000));
        assert!(parse_duration_ms("1e300").is_err());
        assert!(parse_duration_ms("NaN").is_err());
        assert!(parse_duration_ms("soon").is_err());
    }
}
