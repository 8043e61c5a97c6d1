//! The parameters of a request: from the URL and from a form in the body, merged.

mod pairs;

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::Uri;
use duramen_model::quoted::quote;
use duramen_model::{AsOf, TimeRange};
use pairs::{FORM_BYTES_MAX, FormKind};

use crate::http::answer::failure::Failure;
use crate::http::request::door::Door;
use crate::http::request::go_time::{go_duration, parse_duration_ms, parse_time_ms};
use crate::http::request::intake::{Counted, Fault};

/// The parameters of the URL and of a form in the body.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// Keeps the form's memory counted until the query is answered, because its texts are held so
    /// long.
    _counted: Option<Counted>,
}

impl<S> FromRequest<S> for Params
where
    Door: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let url_query = request.uri().query().unwrap_or("").to_owned();
        let kind = FormKind::of(request.method(), request.headers())?;

        let (body, counted) = if kind.has_body() {
            let (parts, body) = request.into_parts();
            let door = Door::from_ref(state);
            let tenant = door.named_or_own(&parts);

            let read = door
                .forms()
                .read(tenant.as_str(), &parts.headers, body, FORM_BYTES_MAX)
                .await;

            let (body, counted) = read.map_err(|fault| body_failure(&fault))?.into_parts();
            (body, Some(counted))
        } else {
            (Bytes::new(), None)
        };

        let pairs = pairs::read(kind, body, url_query.as_bytes()).await?;
        Ok(Self {
            pairs,
            _counted: counted,
        })
    }
}

/// Returns the error for a body that was not read to its end.
fn body_failure(fault: &Fault) -> Failure {
    match fault {
        Fault::TooLarge { bytes_max } => Failure::too_large(format!(
            "the form is too large. form_bytes_max=`{bytes_max}`"
        )),
        other => Failure::of_body(other),
    }
}

impl Params {
    /// Reads the parameters of a URL alone, for a request whose body is no form.
    pub(crate) fn of_url(url: &Uri) -> Result<Self, Failure> {
        let query = url.query().unwrap_or_default();

        Ok(Self {
            pairs: pairs::of_url(query.as_bytes())?,
            _counted: None,
        })
    }

    /// Returns the first value, or `None` without one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first value unless it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a time in milliseconds.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let fault = |e| Failure::parameter(name, format!("invalid time value for '{name}': {e}"));
        self.given(name)
            .map(|text| parse_time_ms(text).map_err(fault))
            .transpose()
    }

    pub(crate) fn required_time_ms(&self, name: &str) -> Result<i64, Failure> {
        parse_time_ms(self.get(name).unwrap_or("")).map_err(|e| Failure::parameter(name, e))
    }

    /// Returns a duration in milliseconds. The text is a float of seconds or a Prometheus duration.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.given(name)
            .map(|text| parse_duration_ms(text).map_err(|e| Failure::parameter(name, e)))
            .transpose()
    }

    /// Returns the time-out of the evaluation. A time-out of 0 is refused, because every query
    /// would fail.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let Some(ms) = self.duration_ms("timeout")? else {
            return Ok(None);
        };
        let positive = u64::try_from(ms)
            .ok()
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis);

        let why = || {
            Failure::parameter(
                "timeout",
                format!("timeout must be positive, got {}", go_duration(ms)),
            )
        };

        positive.map(Some).ok_or_else(why)
    }

    /// Returns whether the request allows or refuses a partial answer; `None` if it does not say.
    /// The texts are those of Thanos, which are Go's.
    pub(crate) fn partial_response(&self) -> Result<Option<bool>, Failure> {
        match self.given("partial_response") {
            None => Ok(None),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(Some(true)),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(Some(false)),
            Some(_) => Err(Failure::parameter(
                "partial_response",
                "it is \"true\" or \"false\"",
            )),
        }
    }

    /// Returns the past state that the request reads; `None` for the present. The text is a time,
    /// `seq:` and a sequence of the manifest, or `snapshot:` and a name.
    pub(crate) fn as_of(&self) -> Result<Option<AsOf>, Failure> {
        let Some(text) = self.given("as_of") else {
            return Ok(None);
        };

        if let Some(name) = text.strip_prefix("snapshot:") {
            return Ok(Some(AsOf::Snapshot(Arc::from(name))));
        }

        let Some(sequence) = text.strip_prefix("seq:") else {
            return Ok(self.time_ms("as_of")?.map(AsOf::Time));
        };

        let fault = |_| Failure::parameter("as_of", "behind seq: comes a whole number");
        sequence
            .parse()
            .map(AsOf::Sequence)
            .map(Some)
            .map_err(fault)
    }

    /// Returns the most elements that the answer may have; `None` for no limit, which is also what
    /// 0 means.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Failure> {
        let Some(text) = self.given("limit") else {
            return Ok(None);
        };
        let limit: i64 = text
            .parse()
            .map_err(|e| Failure::parameter("limit", atoi_fault(text, &e)))?;
        let limit = usize::try_from(limit)
            .map_err(|_| Failure::parameter("limit", "limit must be non-negative"))?;

        Ok((limit > 0).then_some(limit))
    }

    /// Returns a whole number that is only checked, or whose meaning the caller gives.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let number = self
            .given(name)
            .map(|text| text.parse().map_err(|_| format!("{name} must be a number")));
        number.transpose().map_err(Failure::bad_data)
    }

    /// Returns the range from `start` to `end`, both inclusive and optional. `None` if the range is
    /// empty; the answer is empty then.
    pub(crate) fn range(&self) -> Result<Option<TimeRange>, Failure> {
        let start = self.time_ms("start")?.unwrap_or(i64::MIN);
        let end = self.time_ms("end")?.unwrap_or(i64::MAX - 1);
        Ok(TimeRange::closed(start, end))
    }
}

/// Returns why a text is not a whole number, in the words of Go.
fn atoi_fault(text: &str, error: &ParseIntError) -> String {
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };

    format!("strconv.Atoi: parsing {}: {why}", quote(text))
}
