//! The feature `type-and-unit-labels`: the type and unit that remote write 2.0 sends beside a
//! series become labels of it.

use duramen_testkit::prompb::Symbols;
use duramen_testkit::prompb::v2::{Metadata, TimeSeries};
use serde_json::{Value as Json, json};

use crate::harness::duramen::Duramen;
use crate::harness::wait::now_ms;
use crate::remote_write_v2::{Sending, histogram, partly, sample, stored};

const SWITCH: [&str; 2] = ["--features", "type-and-unit-labels"];

const UNKNOWN: i32 = 0;
const COUNTER: i32 = 1;
const GAUGE: i32 = 2;
const HISTOGRAM: i32 = 3;

fn tell(symbols: &mut Symbols, series: &mut TimeSeries, kind: i32, unit: &str) {
    let help_ref = symbols.reference("Help.");
    let unit_ref = symbols.reference(unit);

    series.metadata = Some(Metadata {
        r#type: kind,
        help_ref,
        unit_ref,
    });
}

/// Returns series of some types and units, with or without the labels of their types.
fn sending(now: i64) -> Sending {
    Sending::default()
        .series(
            &[("__name__", "read_bytes_total"), ("job", "a")],
            |symbols, series| {
                series
                    .samples
                    .extend([sample(now - 60_000, 1.0), sample(now, 7.0)]);
                tell(symbols, series, COUNTER, "bytes");
            },
        )
        .series(
            &[("__name__", "latency"), ("job", "a")],
            |symbols, series| {
                series.histograms.push(histogram(now, 3));
                tell(symbols, series, HISTOGRAM, "");
            },
        )
        .series(
            &[
                ("__name__", "size"),
                ("__type__", "wrong"),
                ("__unit__", "wrong"),
            ],
            |symbols, series| {
                series.samples.push(sample(now, 2.0));
                tell(symbols, series, GAUGE, "");
            },
        )
        .series(
            &[
                ("__name__", "told"),
                ("__type__", "info"),
                ("__unit__", "s"),
            ],
            |symbols, series| {
                series.samples.push(sample(now, 3.0));
                tell(symbols, series, UNKNOWN, "");
            },
        )
}

/// Returns the label sets of all series, sorted by name.
async fn series(server: &Duramen) -> Json {
    let data = server
        .get("/api/v1/series", &[("match[]", "{__name__=~\".+\"}")])
        .await
        .data();

    let mut sets = data.as_array().cloned().unwrap_or_default();
    sets.sort_by_key(|set| set["__name__"].to_string());
    sets.into()
}

async fn metadata(server: &Duramen) -> Json {
    server.get("/api/v1/metadata", &[]).await.data()
}

#[tokio::test]
async fn types_and_units_are_labels_in_memory_in_the_log_and_in_blocks() {
    let mut server = Duramen::with(&SWITCH).await;
    let now = now_ms();
    stored(&server, "first", sending(now), [4, 1, 0]).await;

    // The second time, the series are found by the labels that were sent.
    stored(&server, "again", sending(now), [4, 1, 0]).await;

    let labels = json!([
        { "__name__": "latency", "__type__": "histogram", "job": "a" },
        { "__name__": "read_bytes_total", "__type__": "counter", "__unit__": "bytes", "job": "a" },
        { "__name__": "size", "__type__": "gauge" },
        { "__name__": "told", "__type__": "info", "__unit__": "s" },
    ]);

    for place in ["memory", "the log", "blocks"] {
        match place {
            "the log" => {
                server.kill();
                server.start().await;
            }
            "blocks" => server.flush().await,
            _ => {}
        }

        assert_eq!(series(&server).await, labels, "{place}");
        assert_eq!(
            server.value("{__type__=\"counter\"}", now).await.as_deref(),
            Some("7"),
            "{place}"
        );

        assert_eq!(
            server.value("{__type__=\"wrong\"}", now).await,
            None,
            "{place}"
        );

        stored(&server, place, sending(now), [4, 1, 0]).await;
    }

    assert_eq!(
        server
            .value("count({__name__=~\".+\"})", now)
            .await
            .as_deref(),
        Some("4")
    );

    assert_eq!(
        metadata(&server).await["read_bytes_total"][0]["unit"],
        "bytes"
    );

    // Another type makes another series.
    let other = Sending::default().series(
        &[("__name__", "read_bytes_total"), ("job", "a")],
        |symbols, series| {
            series.samples.push(sample(now, 9.0));
            tell(symbols, series, GAUGE, "bytes");
        },
    );

    stored(&server, "another type", other, [1, 0, 0]).await;
    assert_eq!(
        server.value("{__type__=\"counter\"}", now).await.as_deref(),
        Some("7")
    );

    assert_eq!(
        server
            .value("read_bytes_total{__type__=\"gauge\"}", now)
            .await
            .as_deref(),
        Some("9")
    );
}

#[tokio::test]
async fn without_the_switch_labels_are_those_that_were_sent() {
    let server = Duramen::local().await;
    let typed = Duramen::with(&SWITCH).await;
    let now = now_ms();

    for server in [&server, &typed] {
        stored(server, "all", sending(now), [4, 1, 0]).await;
    }

    let labels = json!([
        { "__name__": "latency", "job": "a" },
        { "__name__": "read_bytes_total", "job": "a" },
        { "__name__": "size", "__type__": "wrong", "__unit__": "wrong" },
        { "__name__": "told", "__type__": "info", "__unit__": "s" },
    ]);

    assert_eq!(series(&server).await, labels);
    assert_eq!(server.value("{__type__=\"counter\"}", now).await, None);
    assert_eq!(metadata(&server).await, metadata(&typed).await);
}

#[tokio::test]
async fn limits_hold_for_what_the_labels_have_become() {
    let server = Duramen::stopped(&[]);
    let limits = server.data_dir().with_file_name("limits.yml");
    let yaml = "defaults: {ingest: {labels_per_series_max: 3, label_value_bytes_max: 5}}\n";

    std::fs::write(&limits, yaml).expect("a test can write its own file");

    let limits = limits
        .to_str()
        .expect("a temporary path is text")
        .to_owned();

    let server = Duramen::with(&[&SWITCH[..], &["--limits-file", &limits]].concat()).await;
    let now = now_ms();

    let one = |labels: &[(&str, &str)], kind, unit| {
        Sending::default().series(labels, |symbols, series| {
            series.samples.push(sample(now, 1.0));
            tell(symbols, series, kind, unit);
        })
    };

    let sent = [
        ("__name__", "m"),
        ("a", "b"),
        ("__type__", "gauge"),
        ("__unit__", "s"),
    ];

    stored(
        &server,
        "four of which three are left",
        one(&sent, UNKNOWN, "m"),
        [1, 0, 0],
    )
    .await;

    let text = ["labels=`4`", "labels_per_series_max=`3`"];
    partly(
        &server,
        "two that become four",
        one(&sent[..2], GAUGE, "s"),
        [0; 3],
        &text,
    )
    .await;
    partly(
        &server,
        "a long unit",
        one(&sent[..1], UNKNOWN, "meters"),
        [0; 3],
        &["__unit__", "label_value_bytes_max"],
    )
    .await;
    partly(
        &server,
        "a long type",
        one(&sent[..1], COUNTER, ""),
        [0; 3],
        &["__type__", "label_value_bytes_max"],
    )
    .await;
}
