//! Metadata of metric families is logged when it is new, and never lost by a flush.

use std::time::Duration;

use duramen_block::{Block, BlockSource, OpenOptions};
use duramen_bucket::{Op, keys};
use duramen_model::{FamilyMetadata, MetricType};
use duramen_runtime::Disk;
use duramen_source::{Reads, SeriesSource};
use duramen_testkit::SimDisk;
use duramen_testkit::s3::{Fault, Op as Request, Rule, S3, S3Options, When};

use crate::body::{family, of_metadata, one};
use crate::system::{NOW_MS, System};

/// Returns the bytes of the log.
fn log_bytes(system: &System) -> usize {
    let dir = std::path::Path::new("/data/wal");
    let names = system.disk.read_dir(dir).unwrap();
    names
        .iter()
        .map(|entry| system.disk.read(&dir.join(&entry.name)).unwrap().len())
        .sum()
}

fn told(families: &[FamilyMetadata]) -> Vec<(&str, &str, i64)> {
    families
        .iter()
        .map(|f| (f.family.as_str(), f.help.as_str(), f.last_seen_ms))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_costs_no_byte_of_the_log_and_news_replace_what_was_said() {
    let system = System::start().await;
    let report = system
        .store(&of_metadata([family("a", "A."), family("b", "B.")]))
        .await;

    assert_eq!(report.metadata, 2);

    let before = log_bytes(&system);

    for _ in 0..10 {
        assert_eq!(
            system
                .store(&of_metadata([family("a", "A."), family("b", "B.")]))
                .await
                .metadata,
            2
        );
    }

    assert_eq!(log_bytes(&system), before);

    system.clock.advance(Duration::from_secs(60));

    // One request has the family twice. The last entry counts.
    system
        .store(&of_metadata([
            family("a", "x"),
            family("a", "News."),
            family("b", "B."),
        ]))
        .await;

    assert!(log_bytes(&system) > before);

    let expected = [("a", "News.", NOW_MS + 60_000), ("b", "B.", NOW_MS)];
    assert_eq!(told(&system.families().await), expected);
    assert_eq!(system.families().await[0].kind, MetricType::Gauge);

    let system = system.crash().await;
    assert_eq!(told(&system.families().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_generation_logs_a_family_once_more_and_its_newest_block_has_all() {
    let system = System::start().await;
    system.store(&of_metadata([family("a", "A.")])).await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(
        newest_block(&system).await,
        ["a"],
        "a generation may have metadata only"
    );

    // This write has no metadata; the block before has it.
    system.store(&one("m", NOW_MS, 1.0)).await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(newest_block(&system).await, ["a"]);

    system.store(&of_metadata([family("b", "B.")])).await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(newest_block(&system).await, ["a", "b"]);

    let before = log_bytes(&system);
    system.store(&of_metadata([family("a", "A.")])).await;

    assert!(
        log_bytes(&system) > before,
        "the log of the new generation must have it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_carries_over_what_the_one_before_wrote() {
    let system = System::start().await;
    system
        .store(&of_metadata([family("a", "A."), family("b", "old")]))
        .await;
    system.ingester.flush_all().await.unwrap();

    let system = system.crash().await;
    system
        .store(&of_metadata([family("b", "new"), family("c", "C.")]))
        .await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(newest_block(&system).await, ["a", "b", "c"]);

    let expected = [
        ("a", "A.", NOW_MS),
        ("b", "new", NOW_MS),
        ("c", "C.", NOW_MS),
    ];

    assert_eq!(told(&system.families().await), expected);

    // The same again, from a block whose metadata was carried over itself.
    let system = system.crash().await;
    system.store(&of_metadata([family("d", "D.")])).await;
    system.ingester.flush_all().await.unwrap();

    assert_eq!(newest_block(&system).await, ["a", "b", "c", "d"]);
}

/// A machine is replaced: what the writer before it has told stays, though nobody sends it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_carries_over_what_another_writer_wrote() {
    let one = System::start().await;
    let sent = of_metadata([family("a", "A."), family("b", "old")]);
    one.store(&sent).await;
    one.ingester.flush_all().await.unwrap();

    let two = System::beside(&one).await;
    two.store(&of_metadata([family("b", "new")])).await;
    two.ingester.flush_all().await.unwrap();

    assert_eq!(newest_block(&two).await, ["a", "b"]);
    let expected = [("a", "A.", NOW_MS), ("b", "new", NOW_MS)];
    assert_eq!(told(&two.families().await), expected);
}

/// Returns the families of the newest block that has any.
async fn newest_block(system: &System) -> Vec<String> {
    let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
    let newest = state
        .blocks
        .values()
        .filter(|entry| entry.stats.families > 0)
        .max_by_key(|entry| entry.order.max);

    let entry = newest.unwrap();
    let directory = keys::block(system.tenant_id(), entry);

    let block = Block::open(
        system.bucket.store(),
        directory,
        &entry.stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
    .unwrap();

    let families = BlockSource::new(block).metadata().await.unwrap();

    families.into_iter().map(|family| family.family).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_costs_a_few_reads_of_one_block_once_in_a_process() {
    let system = System::start().await;
    system.store(&of_metadata([family("a", "A.")])).await;
    system.ingester.flush_all().await.unwrap();

    let system = system.crash().await;
    let reads =
        || system.bucket.metrics().requests(Op::Get) + system.bucket.metrics().requests(Op::Head);
    system.store(&of_metadata([family("b", "B.")])).await;

    let before = reads();
    system.ingester.flush_all().await.unwrap();

    let taken_over = reads() - before;
    assert!((2..=3).contains(&taken_over), "{taken_over}");

    system.store(&of_metadata([family("c", "C.")])).await;

    let before = reads();
    system.ingester.flush_all().await.unwrap();

    assert_eq!(reads(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_block_before_cannot_be_read_no_newer_one_hides_it() {
    for crash_in_between in [false, true] {
        let store_disk = SimDisk::new();
        let mut system = System::start_on(&store_disk).await;
        system.store(&of_metadata([family("a", "A.")])).await;
        system.ingester.flush_all().await.unwrap();
        system = system.crash().await;
        system.store(&of_metadata([family("b", "B.")])).await;
        system.store(&one("m", NOW_MS, 1.0)).await;
        store_disk.power_off_after(0);

        assert!(system.ingester.flush_all().await.is_err());

        store_disk.power_on();
        if crash_in_between {
            system = system.crash().await;
        }

        system.ingester.flush_all().await.unwrap();
        assert_eq!(
            newest_block(&system).await,
            ["a", "b"],
            "crash_in_between={crash_in_between}"
        );

        system = system.crash().await;
        assert_eq!(system.report.samples, 0, "everything is flushed");
        assert_eq!(newest_block(&system).await, ["a", "b"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_block_before_cannot_be_read_what_is_said_anew_stays_in_the_log() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let system = System::start_at(&s3).await;
    system.store(&of_metadata([family("a", "A.")])).await;
    system.ingester.flush_all().await.unwrap();

    let system = system.crash().await;
    system.store(&of_metadata([family("b", "B.")])).await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    // Only blocks cannot be read from the store. Everything else is flushed, and its log is not
    // needed any more.
    let when = When::op(Request::Get).under(format!("t/{}/blocks/", system.tenant_id()));
    let rule = s3.inject(Rule {
        when,
        fault: Fault::Status(503),
    });

    system.ingester.flush_all().await.unwrap();
    assert!(s3.fired(rule) > 0);

    s3.clear_faults();
    assert_eq!(
        newest_block(&system).await,
        ["a"],
        "a newer one would hide it"
    );

    let system = system.crash().await;
    assert_eq!(system.report.samples, 0, "everything else is flushed");
    assert_eq!(told(&system.families().await), [("b", "B.", NOW_MS)]);

    system.ingester.flush_all().await.unwrap();
    assert_eq!(newest_block(&system).await, ["a", "b"]);
}
