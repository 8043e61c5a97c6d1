//! What a process answers before it can answer all: that it lives, and how far its start is.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_ingest::ReplayProgress;
use tower::{ServiceExt, service_fn};

use crate::http::answer::failure::Failure;
use crate::http::edge::habits;

/// The paths whose errors are plain text although they are below `/api/`.
const PLAIN: [&str; 4] = ["/write", "/receive", "/push", "/read"];

/// The edge of a process whose start may not be done. Requests get 503 with its progress until
/// [`Starting::open`]; after that they reach the routes.
#[derive(Debug)]
pub struct Starting {
    replay: ReplayProgress,
    routes: OnceLock<Router>,
}

impl Starting {
    pub fn new(replay: ReplayProgress) -> Arc<Self> {
        Arc::new(Self {
            replay,
            routes: OnceLock::new(),
        })
    }

    /// The router to serve from the first moment on.
    pub fn router(self: &Arc<Self>) -> Router {
        let starting = Arc::clone(self);
        let service = service_fn(move |request: Request| {
            let starting = Arc::clone(&starting);

            async move {
                match starting.routes.get() {
                    Some(routes) => routes.clone().oneshot(request).await,
                    None => Ok::<_, Infallible>(starting.answer(request.uri().path())),
                }
            }
        });

        Router::new().fallback_service(service)
    }

    /// Hands all later requests to `routes`. Only the first call counts.
    pub fn open(&self, routes: Router) {
        let _ = self.routes.set(routes);
    }

    fn answer(&self, path: &str) -> Response {
        let inner = habits::without_prefix(path);
        if matches!(inner, "/-/healthy" | "/healthz") {
            return "Duramen is healthy.\n".into_response();
        }

        let text = self.progress();
        let is_plain = PLAIN.iter().any(|end| inner.ends_with(end));

        let mut response = if habits::is_api(path) && !is_plain {
            Failure::unavailable(text).into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n")).into_response()
        };

        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(1));
        response
    }

    fn progress(&self) -> String {
        match self.replay.bytes() {
            Some((read, all)) => format!(
                "duramen starts: the write-ahead log is read back. bytes=`{read}`, bytes_all=`{all}`"
            ),
            None => "duramen starts: the store is opened".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;

    use super::*;

    async fn ask(router: &Router, path: &str) -> (StatusCode, Option<HeaderValue>, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let retry = response.headers().get(header::RETRY_AFTER).cloned();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();

        (status, retry, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn until_the_routes_are_there_the_progress_is_told() {
        let replay = ReplayProgress::default();
        let starting = Starting::new(replay.clone());
        let router = starting.router();

        let (status, _, _) = ask(&router, "/-/healthy").await;
        assert_eq!(status, StatusCode::OK);

        let (status, retry, text) = ask(&router, "/-/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(retry, Some(HeaderValue::from(1)));
        assert_eq!(text, "duramen starts: the store is opened\n");

        replay.begin(200);
        replay.note(50);

        for path in ["/api/v1/query?query=up", "/prometheus/api/v1/labels"] {
            let (status, retry, text) = ask(&router, path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(retry.is_some(), "{path}");

            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["errorType"], "unavailable");

            let error = json["error"].as_str().unwrap();
            assert!(error.ends_with("bytes=`50`, bytes_all=`200`"), "{error}");
        }

        let (status, _, text) = ask(&router, "/api/v1/write").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.starts_with("duramen starts"), "{text}");

        starting.open(Router::new().route("/-/ready", get(async || "ready")));
        let (status, retry, text) = ask(&router, "/-/ready").await;
        assert_eq!((status, retry, &*text), (StatusCode::OK, None, "ready"));
    }
}
