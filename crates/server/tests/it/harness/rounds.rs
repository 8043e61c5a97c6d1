//! A sender, each of whose requests sets many series to one value.

use super::duramen::Duramen;
use super::samples::Body;
use super::wait::now_ms;

/// The number of series in a request.
pub(crate) const SERIES: usize = 2000;

/// Sends requests until `asking` ends. Each sets all series of `rounds` to another value. Some are
/// flushed.
pub(crate) async fn beside_rounds<T>(server: &Duramen, asking: impl Future<Output = T>) -> T {
    let start_ms = now_ms() - 60_000;
    set_all(server, start_ms, 0).await;

    let writing = async {
        for round in 1.. {
            set_all(server, start_ms + i64::from(round), round).await;
            if round % 8 == 0 {
                server.flush().await;
            }
        }
    };

    tokio::select! {
        asked = asking => asked,
        () = writing => unreachable!("rounds do not end"),
    }
}

async fn set_all(server: &Duramen, ts_ms: i64, round: i32) {
    let mut body = Body::default();
    for at in 0..SERIES {
        body = body.series(
            &[("__name__", "rounds"), ("at", &format!("{at:04}"))],
            &[(ts_ms, f64::from(round))],
        );
    }

    server.write(body.snappy()).await;
}
