//! Connections: how they are taken, how long a client may take for the head of a request, and how they end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use duramen_runtime::{Clock, OnFailure, Tasks};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::head_errors::HeadErrors;

/// A client that takes longer than this for the head of a request is given up, and so is one that keeps a connection without
/// a request. Longer than pools of clients let a connection rest between two scrapes or two panels of a dashboard.
pub const HEAD_READ_MAX: Duration = Duration::from_secs(120);
/// Before the next try when no connection can be taken, as without a file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Takes connections until `stop`, then finishes the requests that are in work and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    head_read_max: Duration,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken; trying again");
                clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let served = connection(stream, router.clone(), head_read_max, Arc::clone(clock), stop.clone());
        let served = connections.track_future(served);
        tasks.spawn("connection", OnFailure::Log, async move {
            served.await;
            Ok::<_, std::convert::Infallible>(())
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    head_read_max: Duration,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    // Answers are written as a whole: nothing is won by waiting for more.
    let _ = stream.set_nodelay(true);
    let has_request = CancellationToken::new();
    let seen = has_request.clone();
    let service = router.map_request(move |request: Request<Incoming>| {
        seen.cancel();
        request.map(Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_read_max);
    let mut served =
        pin!(builder.serve_connection(TokioIo::new(HeadErrors::new(stream)), TowerToHyperService::new(service)));
    // The builder first reads which version it is, and waits for that as long as it takes.
    let mut first = pin!(async {
        clock.sleep(head_read_max).await;
        if has_request.is_cancelled() {
            std::future::pending::<()>().await;
        }
    });
    let mut is_stopping = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended early");
                }
                return;
            }
            () = first.as_mut() => return,
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use duramen_runtime::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HEAD_READ: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(30);
    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<()>,
    }

    /// Serves `router` with little patience.
    async fn start(router: Router) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop, tasks) = (listener.local_addr().unwrap(), CancellationToken::new(), Tasks::default());
        let (clock, until): (Arc<dyn Clock>, _) = (Arc::new(SystemClock::default()), stop.clone());
        let all = tasks.clone();
        let ended = tasks.spawn("server", OnFailure::Log, async move {
            serve(listener, router, HEAD_READ, &all, &clock, &until).await;
            Ok::<_, std::convert::Infallible>(())
        });
        Server { address, stop, ended }
    }

    async fn connect(server: &Server) -> TcpStream {
        TcpStream::connect(server.address).await.unwrap()
    }

    /// What comes until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        // A reset is an end as well.
        let _ = read.expect("the server keeps the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn whoever_is_slow_with_a_head_is_given_up() {
        let server = start(Router::new().route("/", get(async || "hello"))).await;
        for sent in [&b""[..], b"PRI", b"GET / HTTP/1.1\r\nHost:"] {
            let mut stream = connect(&server).await;
            stream.write_all(sent).await.unwrap();
            let answer = rest(stream).await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        let mut stream = connect(&server).await;
        stream.write_all(WHOLE).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(rest(stream).await.matches("hello").count(), 1, "the first is answered, the second never comes");
    }

    #[tokio::test]
    async fn an_answer_may_take_longer_than_a_head() {
        let slow = get(async || {
            SystemClock::default().sleep(HEAD_READ * 3).await;
            "at last"
        });
        let server = start(Router::new().route("/", slow)).await;
        let mut stream = connect(&server).await;
        stream.write_all(WHOLE).await.unwrap();
        assert!(rest(stream).await.contains("at last"));
    }

    #[tokio::test]
    async fn a_stop_finishes_what_is_in_work_and_closes_what_is_not() {
        let (arrived, go) = (CancellationToken::new(), CancellationToken::new());
        let (here, proceed) = (arrived.clone(), go.clone());
        let held = get(move || async move {
            here.cancel();
            proceed.cancelled().await;
            "done"
        });
        let server = start(Router::new().route("/", held)).await;
        let (mut busy, idle) = (connect(&server).await, connect(&server).await);
        busy.write_all(WHOLE).await.unwrap();
        arrived.cancelled().await;
        server.stop.cancel();
        assert_eq!(rest(idle).await, "");
        assert!(!server.ended.is_finished());
        go.cancel();
        assert!(rest(busy).await.contains("done"));
        tokio::time::timeout(PATIENCE, server.ended).await.expect("it ends").unwrap();
    }
}
