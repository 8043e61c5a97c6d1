//! Paths in the habits of other systems. A path that can be served is served; for the others, the
//! error names the path to use.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

use crate::http::routes;

/// The prefixes below which everything is served as well: `/prometheus` of Mimir and of a
/// Prometheus behind a prefix, and `/api/prom` of the first Cortex.
pub(crate) const PREFIXES: [&str; 2] = ["/prometheus", "/api/prom"];

/// Returns whether a path belongs to the API, whose errors have an envelope.
pub(crate) fn is_api(path: &str) -> bool {
    without_prefix(path).starts_with("/api/")
}

/// Returns a path without its prefix, if it has one.
pub(crate) fn without_prefix(path: &str) -> &str {
    let behind = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix));
    behind
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path)
}

/// Returns the request with each run of slashes as one, and without a slash at the end.
pub(crate) fn settle(mut request: Request) -> Request {
    let path = request.uri().path();

    // This path has an empty label name, and the handler refuses it as such.
    if path.ends_with("/label//values") {
        return request;
    }

    if path.contains("//") || (path.len() > 1 && path.ends_with('/')) {
        let settled = settled(request.uri());
        if let Some(uri) = settled {
            *request.uri_mut() = uri;
        }
    }

    request
}

fn settled(uri: &Uri) -> Option<Uri> {
    let mut path = String::with_capacity(uri.path().len());
    for segment in uri.path().split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        path.push_str(segment);
    }

    if path.is_empty() {
        path.push('/');
    }

    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }

    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// The paths of the table that have no variable part, those of the API first.
static KNOWN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let fixed = routes::descriptions()
        .into_iter()
        .map(|described| described.path)
        .filter(|path| !path.contains('{'));

    let (api, others): (Vec<_>, Vec<_>) = fixed.partition(|path| path.starts_with("/api/v1/"));
    api.into_iter()
        .chain(others.into_iter().filter(|path| path.len() > 1))
        .collect()
});

/// Returns a hint for a path of another system, or `None` if nothing fits.
pub(crate) fn elsewhere(path: &str) -> Option<String> {
    if ["/v1/metrics", "/v1/traces", "/v1/logs", "/otlp"]
        .iter()
        .any(|otlp| path.ends_with(otlp))
    {
        return Some(
            "OTLP is not taken: send a Prometheus remote write to /api/v1/write".to_owned(),
        );
    }

    let label_values = path
        .rfind("/api/v1/label/")
        .filter(|_| path.ends_with("/values"))
        .map(|at| &path[at..]);

    let whole = KNOWN
        .iter()
        .copied()
        .filter(|known| path.ends_with(known))
        .max_by_key(|known| known.len());

    let last = path.rsplit('/').next().filter(|last| !last.is_empty());
    let by_last = match last {
        Some("write" | "push" | "receive" | "import") => Some("/api/v1/write"),
        Some(last) => KNOWN
            .iter()
            .copied()
            .find(|known| known.rsplit('/').next() == Some(last)),
        None => None,
    };

    let found = label_values.or(whole).or(by_last)?;
    Some(format!("page not found; what you look for is at {found}"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn slashes_are_one_and_none_at_the_end() {
        for (sent, expected) in [
            ("/api/v1/query?query=a//b/", "/api/v1/query?query=a//b/"),
            ("/api/v1/query/?query=1", "/api/v1/query?query=1"),
            ("//api///v1//query", "/api/v1/query"),
            ("/api/v1/label/a%2Fb/values/", "/api/v1/label/a%2Fb/values"),
            ("/api/v1/label//values", "/api/v1/label//values"),
            ("/", "/"),
            ("///", "/"),
            ("http://host/api/v1//labels/", "http://host/api/v1/labels"),
        ] {
            let request = Request::builder().uri(sent).body(Body::empty()).unwrap();
            assert_eq!(settle(request).uri().to_string(), expected);
        }
    }

    #[test]
    fn the_api_is_what_stands_below_it_behind_any_prefix() {
        for path in [
            "/api/v1/x",
            "/api/x",
            "/prometheus/api/v1/x",
            "/api/prom/api/v1/x",
        ] {
            assert!(is_api(path), "{path}");
        }

        for path in [
            "/",
            "/api",
            "/apis/v1",
            "/prometheus",
            "/prometheusapi/v1/x",
            "/graph",
        ] {
            assert!(!is_api(path), "{path}");
        }
    }

    #[test]
    fn what_other_systems_call_otherwise_is_found() {
        for (path, expected) in [
            ("/insert/prometheus/api/v1/write", Some("/api/v1/write")),
            ("/insert/0/prometheus/api/v1/write", Some("/api/v1/write")),
            (
                "/select/0/prometheus/api/v1/query_range",
                Some("/api/v1/query_range"),
            ),
            (
                "/select/0/prometheus/api/v1/label/job/values",
                Some("/api/v1/label/job/values"),
            ),
            ("/api/v1/prom/remote/write", Some("/api/v1/write")),
            ("/write", Some("/api/v1/write")),
            ("/push", Some("/api/v1/write")),
            ("/receive", Some("/api/v1/write")),
            ("/query", Some("/api/v1/query")),
            ("/v1/query", Some("/api/v1/query")),
            ("/api/v2/query", Some("/api/v1/query")),
            ("/api/v1/federate", Some("/federate")),
            ("/api/v1/otlp/v1/metrics", Some("OTLP is not taken")),
            ("/graph", None),
            ("/api/v1", None),
            ("/nothing/like/this", None),
        ] {
            let found_hint = elsewhere(path);
            assert_eq!(
                found_hint.is_some(),
                expected.is_some(),
                "{path}: {found_hint:?}"
            );
            assert!(
                found_hint
                    .unwrap_or_default()
                    .contains(expected.unwrap_or_default()),
                "{path}"
            );
        }
    }
}
