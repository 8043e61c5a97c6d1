//! Long runs under faults. Whatever happens to the process, its disk, its store or its clock, what
//! was acknowledged is read back bit for bit, once, and nothing is read that nobody sent.
//!
//! `ledger.rs` is one writer and what it was told; `clock.rs` moves the wall clock of a process.
//!
//! The runs are short by default. `DURAMEN_TORTURE=60` makes them as long as they are meant to be:
//! 60 kills, and as many rounds of every other fault. `DURAMEN_SEED` gives other times to the
//! faults.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "helpers that fail fail their test, numbers are small, and a seed is told"
)]

mod clock;
mod ledger;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_testkit::s3::{Fault, FaultPlan, Op, S3, S3Options, When};
use futures::future::join_all;

use self::clock::WallClock;
use self::ledger::Ledger;
use crate::harness::directory::copy_directory;
use crate::harness::duramen::{Duramen, flush};
use crate::harness::samples::Random;
use crate::harness::wait::pass;

const WRITERS: usize = 6;
const SERIES: usize = 40;
const ROUNDS: usize = 5;
const HOUR: Duration = Duration::from_secs(3600);
/// Small segments and quick flushes: each fault meets a rotation, a flush or a trim.
const RESTLESS: [&str; 4] = ["--wal-segment-bytes-max", "1MiB", "--flush-interval", "2s"];

/// How many rounds of faults a run has.
fn rounds() -> usize {
    number("DURAMEN_TORTURE").unwrap_or(ROUNDS)
}

/// Decides when faults come. Printed, so that a failure can be repeated as far as time allows.
fn random(test: &str) -> Random {
    let seed = number("DURAMEN_SEED").unwrap_or(1);
    println!("{test}: DURAMEN_SEED={seed} DURAMEN_TORTURE={}", rounds());
    Random(seed as u64)
}

fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|e| panic!("{variable}=`{text}`: {e}")))
}

fn ledgers() -> Vec<Ledger> {
    (0..WRITERS)
        .map(|writer| Ledger::new(writer, SERIES))
        .collect()
}

/// Runs `faults` while all writers write, and returns when both have ended.
async fn under_writers(
    server: &mut Duramen,
    ledgers: &mut [Ledger],
    faults: impl AsyncFnOnce(&mut Duramen),
) {
    let stop = AtomicBool::new(false);
    let address = server.address;

    let writing = join_all(
        ledgers
            .iter_mut()
            .map(|ledger| ledger.write_until(address, &stop)),
    );

    let breaking = async {
        faults(server).await;
        stop.store(true, Ordering::Release);
    };

    tokio::join!(writing, breaking);
}

/// Holds every ledger against the server as it runs, after a flush, and after one more kill.
async fn verify(server: &mut Duramen, ledgers: &[Ledger]) {
    check(server, ledgers).await;
    server.flush().await;
    check(server, ledgers).await;
    server.kill();
    server.start().await;
    check(server, ledgers).await;
}

async fn check(server: &Duramen, ledgers: &[Ledger]) {
    for ledger in ledgers {
        ledger.check(server).await;
    }
}

/// Something between a moment and a second.
fn moment(random: &mut Random) -> Duration {
    Duration::from_millis(random.below(1000) as u64)
}

#[tokio::test]
async fn kills_under_six_writers_lose_no_sample_and_make_none() {
    let mut random = random("kills");
    let mut server = Duramen::with(&RESTLESS).await;
    let mut ledgers = ledgers();

    under_writers(&mut server, &mut ledgers, async |server| {
        for _ in 0..rounds() {
            pass(moment(&mut random)).await;
            server.kill();
            server.start().await;
        }
    })
    .await;
    verify(&mut server, &ledgers).await;
}

#[tokio::test]
async fn a_store_that_is_away_slow_or_failing_loses_no_sample_and_makes_none() {
    let mut random = random("store");
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut server = Duramen::on_with(&s3, &RESTLESS).await;
    let mut ledgers = ledgers();

    under_writers(&mut server, &mut ledgers, async |server| {
        for round in 0..rounds() {
            break_store(&s3, round);
            pass(moment(&mut random) + Duration::from_secs(1)).await;

            let killed = random.below(3) == 0;
            if killed {
                server.kill();
            }

            s3.set_outage(false);
            s3.clear_faults();

            if killed {
                server.start().await;
            }

            // A flush that succeeds must have put into the store what the broken one did not.
            let _ = flush().send(server.address).await;
        }
    })
    .await;
    verify(&mut server, &ledgers).await;
}

/// One kind of trouble after the other.
fn break_store(s3: &S3, round: usize) {
    let fault = match round % 5 {
        0 => return s3.set_outage(true),
        1 => Fault::Delay(Duration::from_millis(300)),
        2 => Fault::Status500AfterCommit,
        3 => Fault::ResetAfterCommit,
        _ => Fault::Status(503),
    };

    s3.set_plan(FaultPlan::new(round as u64).rule(When::op(Op::Put).probability(0.5), fault));
}

#[tokio::test]
async fn copies_restores_and_processes_that_were_overtaken_lose_no_sample_and_make_none() {
    let mut random = random("copies");
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let mut others = Vec::new();
    let mut server = Duramen::on_with(&s3, &RESTLESS).await;
    let mut ledgers = ledgers();

    for round in 0..rounds() {
        let time = moment(&mut random);
        under_writers(&mut server, &mut ledgers, async |_| pass(time).await).await;

        match round % 3 {
            0 => others.push(go_on_in_a_copy(&mut server, &s3).await),
            1 => restore(&mut server, &mut ledgers, time).await,
            _ => others.push(overtake(&mut server, &mut ledgers, &s3, time).await),
        }
    }

    server.flush().await;

    // What each directory has acknowledged and not flushed is in its log.
    for other in &mut others {
        server.kill();
        std::mem::swap(&mut server, other);
        server.start().await;
        server.flush().await;
    }

    verify(&mut server, &ledgers).await;
}

/// A directory of its own on the same store.
fn beside(s3: &S3, arguments: &[&str]) -> Duramen {
    let endpoint = s3.endpoint();
    let store = ["--store", "s3://test/duramen", "--s3-endpoint", &endpoint];
    Duramen::stopped(&[&store, &RESTLESS[..], arguments].concat())
}

/// Kills `server`, which a process on a copy of its directory replaces. Returns the one that was
/// killed.
async fn go_on_in_a_copy(server: &mut Duramen, s3: &S3) -> Duramen {
    server.kill();

    let mut copied = beside(s3, &[]);
    copy_directory(&server.data_dir(), &copied.data_dir());
    copied.start().await;

    std::mem::replace(server, copied)
}

/// Everything that was acknowledged is flushed, and then the directory is one of before the last
/// writes.
async fn restore(server: &mut Duramen, ledgers: &mut [Ledger], time: Duration) {
    server.kill();

    let older = server.data_dir().with_extension("older");
    copy_directory(&server.data_dir(), &older);
    server.start().await;
    under_writers(server, ledgers, async |_| pass(time).await).await;
    server.flush().await;
    server.kill();
    std::fs::remove_dir_all(server.data_dir()).unwrap();
    std::fs::rename(older, server.data_dir()).unwrap();
    server.start().await;
}

/// Stops `server`, has another take the store, and lets it go on, so that it ends. Returns it.
async fn overtake(
    server: &mut Duramen,
    ledgers: &mut [Ledger],
    s3: &S3,
    time: Duration,
) -> Duramen {
    server.process().signal("STOP");

    let mut taker = beside(s3, &["--take-over"]);
    taker.start().await;

    let mut overtaken = std::mem::replace(server, taker);
    under_writers(server, ledgers, async |_| pass(time).await).await;
    overtaken.process().signal("CONT");

    let status = overtaken.process().ended(Duration::from_secs(90)).await;
    assert_eq!(status.code(), Some(1), "{}", overtaken.process().log());

    overtaken.kill();
    overtaken
}

#[tokio::test]
async fn a_wall_clock_that_jumps_loses_no_sample_and_refuses_none() {
    let mut random = random("clock");
    let Some(mut clock) = WallClock::new() else {
        return;
    };
    let mut server = Duramen::stopped(&RESTLESS);

    server.preload(clock.library(), clock.variable());
    server.start().await;

    let mut ledgers = ledgers();
    under_writers(&mut server, &mut ledgers, async |server| {
        for round in 0..rounds() {
            pass(moment(&mut random)).await;

            // Forward by an hour, back by six, and so on; the samples' times stay what they are.
            clock.shift(if round % 2 == 0 {
                HOUR.as_millis() as i64
            } else {
                -6 * HOUR.as_millis() as i64
            });

            if random.below(2) == 0 {
                server.kill();
                server.start().await;
            }
        }
    })
    .await;
    for ledger in &ledgers {
        assert_eq!(ledger.refused(), None);
    }

    verify(&mut server, &ledgers).await;
}
