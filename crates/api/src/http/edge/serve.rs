//! Connections: how they are accepted, how many may be open, how long a client may keep them
//! waiting, and how they end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use duramen_qos::{Account, Full};
use duramen_runtime::{Clock, OnFailure, Tasks};
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::http::answer::failure::Failure;
use crate::http::config::ConnectionBounds;
use crate::http::edge::crowd::{ConnectionMetrics, Crowd, Member};
use crate::http::edge::head_errors::HeadErrors;
use crate::http::edge::link::{Link, Patience, Watched, Work};

/// The longest time for the head of a request, and for a connection without a request. It is longer
/// than a client's pool keeps a connection between two scrapes or two refreshes of a dashboard.
const HEAD_READ_MAX: Duration = Duration::from_secs(120);
/// The pause after a connection could not be accepted, for example without a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// The size of the buffer of a connection, for heads, bodies and answers. It bounds the length of a
/// head, which is the request line and the headers.
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// The most requests at once on one HTTP/2 connection. A browser has about ten.
const STREAMS_MAX: u32 = 100;
/// The most streams that a client may open and reset before their requests are handled. More is an
/// attack, and ends the connection.
const RESET_STREAMS_MAX: usize = 20;
/// The bytes that an HTTP/2 client may send before they are read, for one request and for all.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// The most connections beyond the limit that are answered with an error at once. Others are closed
/// without an answer.
const TURNED_AWAY_MAX: usize = 64;
/// The time that such a connection has for its request and for taking the answer.
const TURNED_AWAY_TIME_MAX: Duration = Duration::from_secs(5);
/// The paths that are answered even beyond the limit of connections, so that a watcher does not
/// take the process for dead.
const HEALTH: [&str; 4] = ["/-/healthy", "/-/ready", "/healthz", "/ready"];
/// The time that connections have to end after they are cut.
const CUT_WAIT_MAX: Duration = Duration::from_secs(1);
/// The file descriptors that are kept for segments, blocks and the store.
const DESCRIPTORS_KEPT: usize = 256;
/// The default limit of connections. Senders and dashboards open fewer to one process.
const CONNECTIONS_MAX: usize = 10_000;

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Serving {
    connections_max: usize,
    patience: Patience,
    stop_wait_max: Duration,
    account: Arc<Account>,
    metrics: ConnectionMetrics,
}

impl Serving {
    pub fn new(
        bounds: &ConnectionBounds,
        account: &Arc<Account>,
        metrics: &ConnectionMetrics,
    ) -> Self {
        Self {
            connections_max: bounds
                .connections_max
                .unwrap_or_else(|| connections_for(descriptors())),
            patience: Patience {
                idle: HEAD_READ_MAX,
                stall: bounds.answer_stall_max,
                answer: bounds.answer_write_max,
            },
            stop_wait_max: bounds.stop_wait_max,
            account: Arc::clone(account),
            metrics: metrics.clone(),
        }
    }
}

/// Returns the limit of file descriptors; `None` if there is no limit.
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Returns half of the descriptors that are not kept. The other half is for queries: each may open
/// as many as it has connections.
fn connections_for(descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.map_or(usize::MAX, |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    });
    (descriptors.saturating_sub(DESCRIPTORS_KEPT) / 2).clamp(16, CONNECTIONS_MAX)
}

/// The state that all connections of one listener share.
#[derive(Clone, Debug)]
struct Shared {
    router: Router,
    serving: Serving,
    crowd: Arc<Crowd>,
    clock: Arc<dyn Clock>,
    /// Cancelled when no more requests are taken.
    stop: CancellationToken,
    /// Cancelled when requests in work are not waited for any more.
    cut: CancellationToken,
    /// The number of requests in work that were lost when their connections were cut.
    lost: Arc<AtomicUsize>,
}

/// Accepts connections until `stop`, then lets the requests in work end and returns. After
/// [`ConnectionBounds::stop_wait_max`] the remaining connections are cut.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    serving: Serving,
    tasks: &Tasks,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) {
    let shared = Shared {
        router,
        crowd: Crowd::new(serving.connections_max, serving.metrics.clone()),
        serving,
        clock: Arc::clone(clock),
        stop: stop.clone(),
        cut: CancellationToken::new(),
        lost: Arc::default(),
    };

    let connections = TaskTracker::new();
    let turned_away = Arc::new(AtomicUsize::new(0));

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

        match shared.crowd.enter() {
            Some(member) => spawn(
                tasks,
                &connections,
                connection(stream, shared.clone(), member),
            ),
            None if turned_away.load(Ordering::Relaxed) < TURNED_AWAY_MAX => {
                turned_away.fetch_add(1, Ordering::Relaxed);

                let shared = shared.clone();
                let turned_away = Arc::clone(&turned_away);
                spawn(tasks, &connections, async move {
                    turn_away(stream, shared).await;
                    turned_away.fetch_sub(1, Ordering::Relaxed);
                });
            }
            None => drop(stream),
        }
    }

    drop(listener);
    connections.close();
    end(&shared, &connections).await;
}

fn spawn(
    tasks: &Tasks,
    connections: &TaskTracker,
    served: impl Future<Output = ()> + Send + 'static,
) {
    let served = connections.track_future(served);
    tasks.spawn("connection", OnFailure::Log, async move {
        served.await;
        Ok::<_, Infallible>(())
    });
}

/// Waits for the requests in work, and cuts those that do not end.
async fn end(shared: &Shared, connections: &TaskTracker) {
    let wait_max = shared.serving.stop_wait_max;
    tokio::select! {
        biased;
        () = connections.wait() => return,
        () = shared.clock.sleep(wait_max) => {}
    }

    let open = shared.crowd.open();
    shared.cut.cancel();
    tokio::select! {
        () = connections.wait() => {}
        () = shared.clock.sleep(CUT_WAIT_MAX) => {}
    }

    let requests = shared.lost.load(Ordering::Relaxed);
    tracing::warn!(
        connections = open,
        requests,
        ?wait_max,
        "requests did not end in time; their connections were cut"
    );
}

async fn connection(stream: TcpStream, shared: Shared, member: Member) {
    // Answers are written as a whole, so waiting for more bytes gains nothing.
    let _ = stream.set_nodelay(true);
    let gives_way = member.gives_way();

    let link = Link::new(
        Arc::clone(&shared.clock),
        Arc::clone(&shared.serving.account),
        Some(member),
    );

    let router = shared.router.clone();
    let link_of_requests = Arc::clone(&link);
    let service = service_fn(move |request: Request<Incoming>| {
        handled(router.clone(), request, link_of_requests.begin())
    });

    let builder = builder(shared.serving.patience.idle);
    let stream = HeadErrors::new(Watched::new(stream, Arc::clone(&link)));
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_stopping = false;

    loop {
        let reason = match link.verdict(&shared.serving.patience) {
            // At the end, a head that has only begun is not waited for. A connection that gives its
            // place to another one is closed too, unless its request has just come.
            Ok(_) if (is_stopping || gives_way.is_cancelled()) && link.requests() == 0 => {
                let _ = served.as_mut().now_or_never();
                return;
            }
            Ok(again) => {
                tokio::select! {
                    biased;
                    ended = served.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(error, "a connection ended early");
                        }

                        return;
                    }
                    () = shared.cut.cancelled() => {
                        shared.lost.fetch_add(link.requests(), Ordering::Relaxed);
                        shared.crowd.metrics().cut("stop");
                        return;
                    }
                    () = gives_way.cancelled(), if link.requests() == 0 => {}
                    () = shared.stop.cancelled(), if !is_stopping => {
                        is_stopping = true;
                        served.as_mut().graceful_shutdown();
                    }
                    () = link.changed.notified() => {}
                    () = shared.clock.sleep(again) => {}
                }

                continue;
            }
            Err(reason) => reason.name(),
        };

        tracing::debug!(reason, "a connection was cut");
        shared.crowd.metrics().cut(reason);
        return;
    }
}

/// Handles a request, which is `work` of its connection until the client has the answer.
async fn handled(
    router: Router,
    request: Request<Incoming>,
    work: Arc<Work>,
) -> Result<Response, Infallible> {
    let response = router.oneshot(request.map(Body::new)).await?;
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media_type| media_type == "application/json");

    let answer = work.answer(response);
    Ok(answer.unwrap_or_else(|full| no_memory(&full, is_json)))
}

fn builder(head_read_max: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_read_max)
        .max_buf_size(BUFFER_BYTES_MAX);

    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .max_header_list_size(u32::try_from(BUFFER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);

    builder
}

/// The answer that is sent if there is no memory for the real one, in the same form.
fn no_memory(full: &Full, is_json: bool) -> Response {
    if is_json {
        return Failure::unavailable(full.to_string()).into_response();
    }

    (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response()
}

/// Answers a connection beyond the limit with 503, unless its request is for the health of the
/// process.
async fn turn_away(stream: TcpStream, shared: Shared) {
    let router = shared.router.clone();
    let max = shared.serving.connections_max;

    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();

        async move {
            let is_health = HEALTH.contains(&request.uri().path());
            let mut response = if is_health {
                router.oneshot(request.map(Body::new)).await?
            } else {
                let text = format!("too many connections are open. http.connections_max=`{max}`\n");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    [(header::RETRY_AFTER, HeaderValue::from(1))],
                    text,
                )
                    .into_response()
            };

            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
            Ok::<_, Infallible>(response)
        }
    });

    let builder = builder(TURNED_AWAY_TIME_MAX);
    let served = pin!(builder.serve_connection(TokioIo::new(stream), service));

    tokio::select! {
        _ = served => {}
        () = shared.cut.cancelled() => {}
        () = shared.clock.sleep(TURNED_AWAY_TIME_MAX) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::{Bytes, to_bytes};
    use axum::routing::{get, post};
    use duramen_qos::Use;
    use duramen_runtime::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HEAD_READ: Duration = Duration::from_millis(300);
    /// A time-out that no test reaches.
    const LONG: Duration = Duration::from_secs(600);
    const PATIENCE: Duration = Duration::from_secs(30);
    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        account: Arc<Account>,
        ended: tokio::task::JoinHandle<()>,
    }

    /// Serves `router` with a short time-out for heads.
    async fn start(router: Router) -> Server {
        start_with(router, |_| {}).await
    }

    async fn start_with(router: Router, change: impl FnOnce(&mut Serving)) -> Server {
        let account = Account::new(1 << 30);
        let mut serving = Serving {
            connections_max: 100,
            patience: Patience {
                idle: HEAD_READ,
                stall: LONG,
                answer: LONG,
            },
            stop_wait_max: LONG,
            account: Arc::clone(&account),
            metrics: ConnectionMetrics::default(),
        };

        change(&mut serving);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let tasks = Tasks::default();
        let (clock, until): (Arc<dyn Clock>, _) = (Arc::new(SystemClock::default()), stop.clone());
        let all = tasks.clone();
        let ended = tasks.spawn("server", OnFailure::Log, async move {
            serve(listener, router, serving, &all, &clock, &until).await;
            Ok::<_, Infallible>(())
        });

        Server {
            address,
            stop,
            account,
            ended,
        }
    }

    impl Server {
        async fn ends(self) {
            tokio::time::timeout(PATIENCE, self.ended)
                .await
                .expect("the server does not end")
                .unwrap();
        }
    }

    /// Waits until `is_so`.
    async fn until(what: &str, is_so: impl Fn() -> bool + Sync) {
        let clock = SystemClock::default();
        let waiting = async {
            while !is_so() {
                clock.sleep(Duration::from_millis(5)).await;
            }
        };

        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} does not come"));
    }

    /// An answer without end, in pieces.
    fn endless() -> Body {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        Body::from_stream(futures::stream::repeat_with(move || {
            Ok::<_, std::io::Error>(piece.clone())
        }))
    }

    /// The beginning of an HTTP/2 connection: the preface, and empty settings.
    const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    async fn connect(server: &Server) -> TcpStream {
        TcpStream::connect(server.address).await.unwrap()
    }

    /// Returns what the server sends until it closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;

        // A reset ends the connection as well.
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

        assert_eq!(
            rest(stream).await.matches("hello").count(),
            1,
            "the first is answered, the second never comes"
        );
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
        let arrived = CancellationToken::new();
        let go = CancellationToken::new();
        let here = arrived.clone();
        let proceed = go.clone();

        let held = get(move || async move {
            here.cancel();
            proceed.cancelled().await;
            "done"
        });

        let server = start(Router::new().route("/", held)).await;
        let mut busy = connect(&server).await;
        let idle = connect(&server).await;

        busy.write_all(WHOLE).await.unwrap();
        arrived.cancelled().await;
        server.stop.cancel();

        assert_eq!(rest(idle).await, "");
        assert!(!server.ended.is_finished());

        go.cancel();
        assert!(rest(busy).await.contains("done"));

        tokio::time::timeout(PATIENCE, server.ended)
            .await
            .expect("it ends")
            .unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_in_time_whatever_connections_do() {
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/endless", get(async || endless()))
            .route("/whole", get(async || vec![b'x'; 64 << 20]))
            .route("/never", get(async || std::future::pending::<()>().await))
            .route(
                "/body",
                post(async |request: Request<Body>| {
                    drop(to_bytes(request.into_body(), 1 << 30).await)
                }),
            );

        let server = start_with(router, |serving| {
            serving.patience.idle = LONG;
            serving.stop_wait_max = Duration::from_millis(200);
        })
        .await;

        let slow_body = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx";
        let mut open = Vec::new();

        for sent in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHo",
            WHOLE,
            b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n",
            slow_body,
            HTTP2,
            b"PRI * HT",
        ] {
            let mut stream = connect(&server).await;
            stream.write_all(sent).await.unwrap();
            open.push(stream);
        }

        until("an answer that nobody reads", || {
            server.account.used_by(Use::Answer) >= 64 << 20
        })
        .await;
        server.stop.cancel();

        let account = Arc::clone(&server.account);
        server.ends().await;
        until("the end of all answers", || account.used() == 0).await;
        drop(open);
    }

    #[tokio::test]
    async fn a_stop_waits_for_no_connection_without_a_request() {
        let server = start_with(Router::new().route("/", get(async || "hello")), |serving| {
            serving.patience.idle = LONG;
        })
        .await;

        let mut open = Vec::new();
        for sent in [&b""[..], b"GET / HTTP/1.1\r\nHo", b"PRI * HT", HTTP2] {
            let mut stream = connect(&server).await;
            stream.write_all(sent).await.unwrap();
            open.push(stream);
        }

        let mut asked = connect(&server).await;
        asked.write_all(WHOLE).await.unwrap();
        asked.read_exact(&mut [0; 12]).await.unwrap();
        server.stop.cancel();
        server.ends().await;
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_cut_off() {
        for path in ["/endless", "/whole"] {
            let router = Router::new()
                .route("/endless", get(async || endless()))
                .route("/whole", get(async || vec![b'x'; 64 << 20]));
            let server = start_with(router, |serving| {
                serving.patience.stall = Duration::from_millis(300)
            })
            .await;

            let mut stream = connect(&server).await;
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
                .await
                .unwrap();

            let account = Arc::clone(&server.account);
            until("an answer", || account.used_by(Use::Answer) > 0).await;
            until("the end of an answer", || account.used() == 0).await;

            let text = rest(stream).await;
            assert!(
                text.starts_with("HTTP/1.1 200") && !text.ends_with("0\r\n\r\n"),
                "it is no whole answer"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_byte_by_byte_is_cut_off_in_the_end() {
        let router = Router::new().route("/", get(async || endless()));
        let server = start_with(router, |serving| {
            serving.patience.answer = Duration::from_millis(500)
        })
        .await;

        let mut stream = connect(&server).await;
        stream.write_all(WHOLE).await.unwrap();

        let read = async {
            let mut piece = vec![0; 4096];
            while matches!(stream.read(&mut piece).await, Ok(1..)) {
                SystemClock::default().sleep(Duration::from_millis(2)).await;
            }
        };

        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the answer goes on");
    }

    #[tokio::test]
    async fn one_connection_too_many_takes_the_place_of_one_that_rests() {
        let arrived = Arc::new(AtomicUsize::new(0));
        let go = CancellationToken::new();
        let here = Arc::clone(&arrived);
        let proceed = go.clone();

        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/-/healthy", get(async || "well"))
            .route(
                "/held",
                get(move || async move {
                    here.fetch_add(1, Ordering::Relaxed);
                    proceed.cancelled().await;
                    "done"
                }),
            );

        let server = start_with(router, |serving| {
            serving.connections_max = 2;
            serving.patience.idle = LONG;
        })
        .await;

        let ask = async |path: &str| {
            let mut stream = connect(&server).await;
            stream
                .write_all(
                    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                        .as_bytes(),
                )
                .await
                .unwrap();

            rest(stream).await
        };

        let mut busy = connect(&server).await;
        busy.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        until("the first request", || arrived.load(Ordering::Relaxed) == 1).await;

        let idle = connect(&server).await;
        assert!(ask("/").await.contains("hello"));
        assert_eq!(rest(idle).await, "", "it gave way");

        let mut second = connect(&server).await;
        second
            .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();

        until("the second request", || {
            arrived.load(Ordering::Relaxed) == 2
        })
        .await;

        let refused = ask("/").await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("http.connections_max=`2`"), "{refused}");
        assert!(
            ask("/-/healthy").await.contains("well"),
            "who watches the process is answered"
        );

        go.cancel();
        busy.shutdown().await.unwrap();

        assert!(rest(busy).await.contains("done"));
    }

    #[test]
    fn the_limit_of_connections_follows_that_of_descriptors() {
        for (descriptors, connections) in [
            (Some(64), 16),
            (Some(1024), 384),
            (Some(1 << 20), 10_000),
            (None, 10_000),
        ] {
            assert_eq!(connections_for(descriptors), connections);
        }
    }
}
