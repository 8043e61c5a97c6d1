//! Long runs with faults. Whatever happens to the process, its disk, its store or its clock, all
//! acknowledged samples are read back bit for bit and once, and nothing else is read.
//!
//! `ledger.rs` has one writer and the answers it got. `clock.rs` moves the wall clock of a process.
//!
//! The runs are short by default. `DURAMEN_TORTURE=60` gives them their full length: 60 kills, and
//! as many rounds of every other fault. `DURAMEN_SEED` changes the times of the faults.

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
/// Small segments and frequent flushes, so that each fault meets a rotation, a flush or a trim.
const RESTLESS: [&str; 4] = ["--wal-segment-bytes-max", "1MiB", "--flush-interval", "2s"];

/// Returns the number of rounds of faults in a run.
fn rounds() -> usize {
    number("DURAMEN_TORTURE").unwrap_or(ROUNDS)
}

/// Returns the random numbers that choose the times of faults. The seed is printed, so that a
/// failure can be repeated as far as timing allows.
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

/// Compares every ledger with the running server: now, after a flush, and after one more kill.
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

/// Returns a random time of up to a second.
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

            // A flush that succeeds must also store what the failed one did not.
            let _ = flush().send(server.address).await;
        }
    })
    .await;
    verify(&mut server, &ledgers).await;
}

/// Injects one kind of fault after the other.
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

    // The acknowledged samples of each directory that are not flushed are in its log.
    for other in &mut others {
        server.kill();
        std::mem::swap(&mut server, other);
        server.start().await;
        server.flush().await;
    }

    verify(&mut server, &ledgers).await;
}

/// Returns a server with its own data directory on the same store.
fn beside(s3: &S3, arguments: &[&str]) -> Duramen {
    let endpoint = s3.endpoint();
    let store = ["--store", "s3://test/duramen", "--s3-endpoint", &endpoint];
    Duramen::stopped(&[&store, &RESTLESS[..], arguments].concat())
}

/// Kills `server` and replaces it by a process on a copy of its directory. Returns the killed one.
async fn go_on_in_a_copy(server: &mut Duramen, s3: &S3) -> Duramen {
    server.kill();

    let mut copied = beside(s3, &[]);
    copy_directory(&server.data_dir(), &copied.data_dir());
    copied.start().await;

    std::mem::replace(server, copied)
}

/// Flushes all acknowledged samples, and then restores the directory to its state before the last
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

/// Suspends `server`, lets another process take the store, and resumes `server`, which then ends.
/// Returns it.
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

            // The clock goes forward by one hour, back by six, and so on. The times of samples stay
            // the same.
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
