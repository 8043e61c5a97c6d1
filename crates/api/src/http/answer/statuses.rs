//! The status of each error: the one table of the edge.

use axum::http::StatusCode;
use duramen_model::ErrorKind;
use duramen_query::Error;

use crate::http::request::intake::Fault;

/// A status, and the `errorType` of the API that belongs to it.
pub(crate) type ApiStatus = (StatusCode, &'static str);

/// The statuses of an error, by the kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statuses {
    /// The query API.
    pub(crate) api: ApiStatus,
    /// Remote read and federation.
    pub(crate) text: StatusCode,
    /// A remote write.
    pub(crate) write: StatusCode,
    /// A command of the operator. Its failure is never the client's fault.
    pub(crate) command: ApiStatus,
}

const BAD_DATA: ApiStatus = (StatusCode::BAD_REQUEST, "bad_data");
const EXECUTION: ApiStatus = (StatusCode::UNPROCESSABLE_ENTITY, "execution");
const TOO_MANY_REQUESTS: ApiStatus = (StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
const UNAVAILABLE: ApiStatus = (StatusCode::SERVICE_UNAVAILABLE, "unavailable");
const TIMEOUT: ApiStatus = (StatusCode::SERVICE_UNAVAILABLE, "timeout");
const INTERNAL: ApiStatus = (StatusCode::INTERNAL_SERVER_ERROR, "internal");

/// Returns the statuses of a kind of errors.
pub(crate) const fn of(kind: ErrorKind) -> Statuses {
    match kind {
        ErrorKind::Invalid => row(BAD_DATA, BAD_DATA.0, BAD_DATA.0, INTERNAL),
        ErrorKind::TooMuch => row(EXECUTION, BAD_DATA.0, BAD_DATA.0, INTERNAL),
        ErrorKind::Execution => row(EXECUTION, BAD_DATA.0, BAD_DATA.0, INTERNAL),
        ErrorKind::Limited => row(
            TOO_MANY_REQUESTS,
            TOO_MANY_REQUESTS.0,
            TOO_MANY_REQUESTS.0,
            INTERNAL,
        ),
        ErrorKind::Unavailable => row(UNAVAILABLE, UNAVAILABLE.0, UNAVAILABLE.0, UNAVAILABLE),
        ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::Internal => {
            row(INTERNAL, INTERNAL.0, INTERNAL.0, INTERNAL)
        }
    }
}

const fn row(api: ApiStatus, text: StatusCode, write: StatusCode, command: ApiStatus) -> Statuses {
    Statuses {
        api,
        text,
        write,
        command,
    }
}

/// Returns the statuses of a query that failed. They are those of its kind, except where clients of
/// Prometheus expect another status.
pub(crate) fn of_query(error: &Error) -> Statuses {
    let mut statuses = of(error.kind());
    match error {
        Error::Timeout(_) | Error::NoTurn { .. } => statuses.api = TIMEOUT,
        Error::TooManySteps { .. } => statuses.api = BAD_DATA,
        Error::TooManyAnswerBytes { .. } => statuses.text = EXECUTION.0,
        _ if error.exceeded().is_some_and(|exceeded| !exceeded.passes()) => {
            statuses.text = EXECUTION.0;
        }
        _ => {}
    }

    statuses
}

/// Returns the status for a body that was not read to its end.
pub(crate) const fn of_body(fault: &Fault) -> ApiStatus {
    match fault {
        Fault::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
        Fault::Slow { .. } => (StatusCode::REQUEST_TIMEOUT, "timeout"),
        Fault::Crowded { .. } | Fault::Memory(_) => UNAVAILABLE,
        Fault::Broken(_) => BAD_DATA,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(error: &Error, api: (u16, &str), text: u16) {
        let statuses = of_query(error);
        let (status, error_type) = statuses.api;

        assert_eq!((status.as_u16(), error_type), api, "{error}");
        assert_eq!(statuses.text.as_u16(), text, "{error}");
    }

    #[test]
    fn what_passes_with_time_is_told_apart_from_what_never_passes() {
        let max = 1;
        let waiting = Error::Waiting {
            max,
            concurrency_max: 1,
        };
        let range = Duration::from_secs(2);

        check(&waiting, (429, "too_many_requests"), 429);
        check(&Error::Busy { max }, (503, "unavailable"), 503);
        check(&Error::Timeout(range), (503, "timeout"), 503);
        check(
            &Error::TooLong { range, max: range },
            (422, "execution"),
            400,
        );
        check(&Error::TooManySeries { max }, (422, "execution"), 400);
        check(&Error::TooManySteps { max }, (400, "bad_data"), 400);
        check(
            &Error::TooManyAnswerBytes { bytes: 2, max },
            (422, "execution"),
            422,
        );
    }
}
