//! A real Prometheus writes while the server is killed again and again. In the end both have the
//! same samples.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says how much it compared"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_testkit::s3::{Fault, Gate, Op, Point, Rule, S3, S3Options, When};

use crate::harness::duramen::{Duramen, flush, seconds};
use crate::harness::moto::Moto;
use crate::harness::prometheus::Prometheus;
use crate::harness::samples::{LabelSet, Points, matrix};
use crate::harness::wait::{now_ms, pass, until};

/// The longest time that the sender needs for a first write after a start, or to drain its queue.
const PATIENCE: Duration = Duration::from_secs(60);

/// The samples that must be acknowledged between two kills, so that each kill meets a busy server.
const BETWEEN_KILLS: f64 = 1000.0;

#[tokio::test]
async fn a_prometheus_and_a_server_killed_ten_times_hold_the_same_on_the_local_store() {
    let mut server = Duramen::local().await;
    let Some(scene) = Scene::begin(&server).await else {
        return;
    };

    for kill in 0..10 {
        scene.acknowledged().await;
        if kill % 3 == 1 {
            kill_after(&mut server, Duration::from_millis(10 * kill)).await;
        } else {
            server.kill();
        }

        server.start().await;
    }

    scene.compare(&mut server).await;
}

#[tokio::test]
async fn a_prometheus_and_a_server_killed_ten_times_hold_the_same_on_s3() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on(&s3).await;
    let Some(scene) = Scene::begin(&server).await else {
        return;
    };

    for kill in 0..10 {
        scene.acknowledged().await;

        match kill {
            // The first file of the block never arrives.
            1 => kill_inside_flush(&s3, &mut server, "blocks/", Point::BeforeCommit).await,
            // The whole block arrives. Either no manifest names it, or one does and the server does
            // not learn of it.
            4 => kill_inside_flush(&s3, &mut server, "manifest/", Point::BeforeCommit).await,
            7 => kill_inside_flush(&s3, &mut server, "manifest/", Point::AfterCommit).await,
            _ => {
                server.kill();
                server.start().await;
            }
        }
    }

    scene.compare(&mut server).await;
}

#[tokio::test]
async fn a_prometheus_and_a_killed_server_hold_the_same_on_moto() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let mut server =
        Duramen::with(&["--store", "s3://test", "--s3-endpoint", &moto.endpoint()]).await;
    let Some(scene) = Scene::begin(&server).await else {
        return;
    };

    for kill in 0..3 {
        scene.acknowledged().await;
        kill_after(&mut server, Duration::from_millis(20 * kill)).await;
        server.start().await;
    }

    scene.compare(&mut server).await;
}

/// Starts a flush and kills the server after `delay`.
async fn kill_after(server: &mut Duramen, delay: Duration) {
    let address = server.address;
    let flushing = async { flush().send(address).await };
    tokio::select! { _ = flushing => {}, () = pass(delay) => {} }
    server.kill();
}

/// Kills the server while the store holds back the answer to a PUT of a flush, starts the server
/// again, and then lets the PUT continue. So the dead process's request arrives late.
async fn kill_inside_flush(s3: &S3, server: &mut Duramen, below: &str, point: Point) {
    let objects = s3.objects();
    let tenant = objects
        .iter()
        .find_map(|object| object.key.strip_prefix("duramen/t/")?.split('/').next());
    let when = When::op(Op::Put)
        .under(format!("duramen/t/{}/{below}", tenant.unwrap()))
        .nth(1);
    let gate = Gate::new();

    let rule = s3.inject(Rule {
        when,
        fault: Fault::HoldUntil {
            point,
            gate: gate.clone(),
        },
    });

    let address = server.address;
    let flushing = async { flush().send(address).await };
    tokio::select! {
        answer = flushing => panic!("the flush did not wait: {answer:?}"),
        () = gate.arrived() => {}
    }

    assert_eq!(s3.fired(rule), 1);

    server.kill();
    server.start().await;
    gate.open();
}

/// A running Prometheus, and a target that goes away before the end.
struct Scene {
    prometheus: Prometheus,
    started_ms: i64,
}

impl Scene {
    /// Starts the scene; `None` without a Prometheus. It scrapes itself, the server, and another
    /// server that goes away after enough samples.
    async fn begin(server: &Duramen) -> Option<Self> {
        let mut vanishing = Duramen::local().await;
        let started_ms = now_ms();
        let prometheus =
            Prometheus::start(server.address, &[server.address, vanishing.address]).await?;
        let scene = Self {
            prometheus,
            started_ms,
        };

        scene.acknowledged().await;
        until(
            "a scrape of the target that will vanish",
            PATIENCE,
            async || {
                let up = server
                    .value("count_over_time(up{job=\"job2\"}[1m])", now_ms())
                    .await?;
                (up != "1").then_some(())
            },
        )
        .await;
        vanishing.kill();
        Some(scene)
    }

    /// Waits for new acknowledgements, which show that the server is running.
    async fn acknowledged(&self) {
        let before = self.prometheus.queue().await.sent;
        until("acknowledged samples", PATIENCE, async || {
            (self.prometheus.queue().await.sent > before + BETWEEN_KILLS).then_some(())
        })
        .await;
    }

    /// Ends the scraping and compares all samples of both: before a flush, after it, and after one
    /// more kill.
    async fn compare(&self, server: &mut Duramen) {
        self.prometheus.stop_scraping().await;

        let queue = self.prometheus.drained(PATIENCE).await;
        assert_eq!(queue.lost, 0.0, "{}", self.prometheus.log());

        let end_ms = now_ms();
        let ours = self.held_by_prometheus(end_ms).await;

        assert_same(
            &ours,
            &held(server, self.started_ms, end_ms).await,
            "before a flush",
        );

        server.flush().await;
        assert_same(
            &ours,
            &held(server, self.started_ms, end_ms).await,
            "after a flush",
        );

        server.kill();
        server.start().await;

        assert_same(
            &ours,
            &held(server, self.started_ms, end_ms).await,
            "after a flush and a kill",
        );
    }

    async fn held_by_prometheus(&self, end_ms: i64) -> Held {
        let mut held = Held::default();

        for ask in asks(self.started_ms, end_ms) {
            let params: Vec<_> = ask
                .params
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();

            held.0.push((
                ask.what,
                matrix(&self.prometheus.query(ask.path, &params).await),
            ));
        }

        held
    }
}

/// The answers by the names of their queries.
#[derive(Default)]
struct Held(Vec<(&'static str, BTreeMap<LabelSet, Points>)>);

struct Ask {
    what: &'static str,
    path: &'static str,
    params: Vec<(&'static str, String)>,
}

/// Returns two queries. One reads all samples except for stale markers. The other evaluates the
/// series at many times, which shows the stale markers.
fn asks(start_ms: i64, end_ms: i64) -> [Ask; 2] {
    let all = "{__name__=~\".+\"}";
    let time = vec![("query", format!("{all}[1h]")), ("time", seconds(end_ms))];
    let start = seconds(start_ms);
    let end = seconds(end_ms + 1000);

    let steps = vec![
        ("query", all.to_owned()),
        ("start", start),
        ("end", end),
        ("step", "0.7".to_owned()),
    ];

    [
        Ask {
            what: "all samples",
            path: "/api/v1/query",
            params: time,
        },
        Ask {
            what: "all series at many times",
            path: "/api/v1/query_range",
            params: steps,
        },
    ]
}

async fn held(server: &Duramen, start_ms: i64, end_ms: i64) -> Held {
    let mut held = Held::default();

    for ask in asks(start_ms, end_ms) {
        let params: Vec<_> = ask
            .params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();

        held.0.push((
            ask.what,
            matrix(&server.post(ask.path, &params).await.data()),
        ));
    }

    held
}

/// Compares series by series, so that a difference is short to read.
#[track_caller]
fn assert_same(theirs: &Held, ours: &Held, when: &str) {
    for ((what, theirs), (_, ours)) in theirs.0.iter().zip(&ours.0) {
        let samples: usize = theirs.values().map(Vec::len).sum();
        println!("{when}, {what}: {} series, {samples} samples", theirs.len());

        assert!(
            theirs.len() > 300 && samples > 3000,
            "too little to tell anything"
        );

        let vanished = theirs
            .keys()
            .filter(|labels| labels.get("job").is_some_and(|job| job == "job2"));
        assert!(vanished.count() > 10, "the vanished target is there");

        for (labels, points) in theirs {
            assert_eq!(Some(points), ours.get(labels), "{when}, {what}: {labels:?}");
        }

        let more: Vec<_> = ours
            .keys()
            .filter(|labels| !theirs.contains_key(*labels))
            .collect();

        assert!(
            more.is_empty(),
            "{when}, {what}: Prometheus has no {more:?}"
        );
    }
}
