//! Answers to requests whose handler panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::http::answer::failure::Failure;

/// Answers 500 if a handler panics, and logs the panic. The connection and the process go on.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(%method, path, panic = text(&*panic), "a request met a fault of the program");
            Failure::internal(
                "the request met a fault of the program; the log of the process has more",
            )
            .into_response()
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_in_the_envelope() {
        async fn fails() -> &'static str {
            panic!("a broken invariant")
        }

        let router: Router = Router::new().route("/", get(fails)).layer(from_fn(answer));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);

        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();

        assert_eq!(
            (&json["status"], &json["errorType"]),
            (&"error".into(), &"internal".into())
        );

        assert!(!json["error"].to_string().contains("invariant"), "{json}");
    }
}
