//! Labels that are meant to fill memory.

use std::time::Duration;

use crate::harness::duramen::Duramen;
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// The most resident memory of the process: its account, and as much again for code, buffers of a
/// debug build, and free memory of the allocator.
const RESIDENT_MAX: u64 = 2 * (256 << 20);

/// Returns series of 59 unique labels of two kilobytes: 118 kB each.
fn bomb(numbers: std::ops::Range<usize>, ts_ms: i64) -> Vec<u8> {
    let mut body = Body::default();

    for number in numbers {
        let labels: Vec<(String, String)> = (0..59)
            .map(|label| {
                (
                    format!("l{label:02}"),
                    format!("{:x<2000}", format!("{number}-{label}-")),
                )
            })
            .collect();

        let mut pairs = vec![("__name__", "bomb")];
        pairs.extend(
            labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );

        body = body.series(&pairs, &[(ts_ms, 1.0)]);
    }

    body.snappy()
}

#[tokio::test]
async fn labels_made_to_fill_memory_are_refused_alone_and_a_start_survives_them() {
    let mut server =
        Duramen::with(&["--memory-bytes-max", "256MiB", "--flush-interval", "1h"]).await;
    let now = now_ms();
    server
        .write(Body::default().sample("known", now, 1.0).snappy())
        .await;

    let mut refused = 0;

    for at in 0..18 {
        let answer = server.push(bomb(at * 50..(at + 1) * 50, now)).await;

        if answer.status != 204 {
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(
                answer.text().contains("series_bytes_max="),
                "{}",
                answer.text()
            );

            refused += 1;
        }
    }

    assert!(refused > 5, "{refused}");

    let head_bytes = server.metric("duramen_head_bytes").await;
    assert!(head_bytes > 20e6 && head_bytes < 40e6, "{head_bytes}");

    let (_, most) = server.process().memory();
    assert!(most < RESIDENT_MAX, "{most}");

    server
        .write(Body::default().sample("known", now + 1, 2.0).snappy())
        .await;
    assert_eq!(server.value("known", now + 1).await.as_deref(), Some("2"));

    // The log is small on the disk and grows when it is replayed. The memory stays within the same
    // bound.
    server.kill();
    server.start().await;

    let (_, most) = server.process().memory();
    assert!(most < RESIDENT_MAX, "{most}");
    assert_eq!(server.value("known", now + 1).await.as_deref(), Some("2"));

    server
        .write(Body::default().sample("known", now + 2, 3.0).snappy())
        .await;

    // When they send nothing more, there is room again.
    server.flush().await;
    server
        .write(Body::default().sample("known", now + 3, 4.0).snappy())
        .await;
    server.flush().await;
    until("room for new series", PATIENCE, async || {
        let answer = server.push(bomb(5000..5050, now + 4)).await;
        (answer.status == 204).then_some(())
    })
    .await;
    assert_eq!(server.value("known", now + 3).await.as_deref(), Some("4"));

    assert!(
        server
            .value("count({__name__=\"bomb\"})", now + 4)
            .await
            .is_some()
    );
}
