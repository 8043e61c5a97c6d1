//! Deterministic, realistic data: a cluster of nodes, each with a node_exporter, a kubelet, a
//! kube-state-metrics shard and application pods. The same options always give the same bytes.

mod behaviour;
mod node;
mod pod;
mod process;
mod random;
mod series;
mod world;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::header::Header;
use crate::rw::RwWriter;
use crate::wire::STALE_NAN;
use behaviour::Scrape;
use series::Labels;
use world::{Target, World};

const DAY_S: f64 = 86_400.0;
/// Deviations of a scrape up to this are aligned away by Prometheus; larger ones stay.
const ALIGNED_MS: i64 = 2;
const SHARDS_MAX: usize = 256;

/// The data that is generated.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Active at any time; churn makes more over time.
    pub(crate) series: usize,
    pub(crate) interval_ms: i64,
    pub(crate) duration_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) seed: u64,
    /// Share of the pods replaced per hour.
    pub(crate) churn_per_hour: f64,
    /// Share of the scrapes that arrive late, by `ooo_delay_ms`.
    pub(crate) ooo: f64,
    pub(crate) ooo_delay_ms: i64,
    /// Largest deviation of a scrape, and the share of scrapes that deviate.
    pub(crate) jitter_ms: i64,
    pub(crate) jitter_share: f64,
    /// Share of the scrapes that fail.
    pub(crate) miss: f64,
    /// Restarts of a target.
    pub(crate) resets_per_day: f64,
    pub(crate) batch: u32,
    pub(crate) shards: usize,
}

impl Options {
    fn check(&self) -> Result<()> {
        ensure!(self.interval_ms > 0, "an interval has a length");
        ensure!(
            self.jitter_ms < self.interval_ms,
            "jitter of an interval or more"
        );

        ensure!(
            (1..=SHARDS_MAX).contains(&self.shards),
            "shards out of range. shards=`{}`, max=`{SHARDS_MAX}`",
            self.shards
        );

        Ok(())
    }
}

/// A sample of a series by its number.
type Sample = (usize, i64, f64);

/// Takes samples in order of their arrival.
struct Sender {
    writer: RwWriter,
    /// Scrapes on their way: when they arrive, and the order in which they left.
    late: BTreeMap<(i64, u64), Vec<Sample>>,
    scrapes_delayed: u64,
}

impl Sender {
    fn send(&mut self, labels: &Labels, (series, ts_ms, value): Sample) -> Result<()> {
        self.writer
            .push(labels.shard(series), labels.get(series), ts_ms, value)
    }

    fn delay(&mut self, due_ms: i64, samples: Vec<Sample>) {
        self.late.insert((due_ms, self.scrapes_delayed), samples);
        self.scrapes_delayed += 1;
    }

    /// Sends what arrives up to `now_ms`, inclusive.
    fn send_due(&mut self, labels: &Labels, now_ms: i64) -> Result<()> {
        while let Some(entry) = self.late.first_entry()
            && entry.key().0 <= now_ms
        {
            for sample in entry.remove() {
                self.send(labels, sample)?;
            }
        }

        Ok(())
    }
}

/// Writes the data to the file `out`.
pub(crate) fn run(options: &Options, out: &str) -> Result<Header> {
    options.check()?;

    let mut world = World::new(options);
    let active = world.series();
    let mut order: Vec<usize> = (0..world.targets.len()).collect();

    order.sort_by_key(|&target| world.targets[target].phase_ms);

    let writer = RwWriter::create(out, options.shards, options.batch)?;
    let mut sender = Sender {
        writer,
        late: BTreeMap::new(),
        scrapes_delayed: 0,
    };

    for tick in 0..options.duration_ms / options.interval_ms {
        let tick_ms = options.start_ms + tick * options.interval_ms;
        if tick > 0 {
            churn(options, &mut world, &mut sender, tick_ms)?;
        }

        for &target in &order {
            let target = &mut world.targets[target];
            if !target.groups.is_empty() {
                scrape(options, target, &world.labels, &mut sender, tick_ms)?;
            }
        }
    }

    sender.send_due(&world.labels, i64::MAX)?;

    let note = format!(
        "gen seed {} active {active} targets {} pods {} churn {}/h ooo {}",
        options.seed,
        world.targets.len(),
        world.pods(),
        options.churn_per_hour,
        options.ooo
    );

    sender
        .writer
        .finish(world.labels.len() as u64, options.interval_ms, note)
}

fn churn(options: &Options, world: &mut World, sender: &mut Sender, tick_ms: i64) -> Result<()> {
    if options.churn_per_hour <= 0.0 {
        return Ok(());
    }

    let probability = options.churn_per_hour * options.interval_ms as f64 / 3_600_000.0;

    for pod in 0..world.pods() {
        if !world.chance(probability) {
            continue;
        }

        for series in world.replace_pod(pod, tick_ms as f64 / 1e3) {
            sender.send(&world.labels, (series, tick_ms, f64::from_bits(STALE_NAN)))?;
        }
    }

    Ok(())
}

fn scrape(
    options: &Options,
    target: &mut Target,
    labels: &Labels,
    sender: &mut Sender,
    tick_ms: i64,
) -> Result<()> {
    let ts_ms = tick_ms + target.phase_ms + jitter(options, target);
    sender.send_due(labels, ts_ms)?;

    let time_s = ts_ms as f64 / 1e3;
    let interval_s = options.interval_ms as f64 / 1e3;
    let load = 1.0 + 0.4 * (time_s * std::f64::consts::TAU / DAY_S + target.load_phase).sin();

    if target.random.unit() < options.resets_per_day * interval_s / DAY_S {
        target.restart();
    }

    let missed = target.random.unit() < options.miss;
    let late = options.ooo > 0.0 && target.random.unit() < options.ooo;
    let mut values = vec![];
    let mut held = vec![];

    for group in &mut target.groups {
        values.clear();
        group.behaviour.step(
            &mut group.random,
            Scrape {
                time_s,
                interval_s,
                load,
            },
            &mut values,
        );

        debug_assert_eq!(values.len(), group.series.len());

        if missed {
            values.fill(if group.is_up() {
                0.0
            } else {
                f64::from_bits(STALE_NAN)
            });
        }

        for (series, value) in group.series.clone().zip(values.iter().copied()) {
            if late {
                held.push((series, ts_ms, value));
            } else {
                sender.send(labels, (series, ts_ms, value))?;
            }
        }
    }

    if late {
        sender.delay(ts_ms + options.ooo_delay_ms, held);
    }

    Ok(())
}

/// Returns by how much a scrape deviates from its time, in ms.
fn jitter(options: &Options, target: &mut Target) -> i64 {
    if options.jitter_ms <= ALIGNED_MS || target.random.unit() >= options.jitter_share {
        return 0;
    }

    let span = (options.jitter_ms - ALIGNED_MS) as u64;
    let deviation = ALIGNED_MS + 1 + target.random.below(span) as i64;

    if target.random.unit() < 0.85 {
        deviation
    } else {
        -deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rw::RwFile;

    fn generate(name: &str, options: &Options) -> (Header, Vec<u8>) {
        let path = std::env::temp_dir().join(format!("promload-{}-{name}.rw", std::process::id()));
        let path = path.to_str().unwrap();
        let header = run(options, path).unwrap();
        let mut samples = 0;

        RwFile::open(path)
            .unwrap()
            .for_each(|_, _, _| samples += 1)
            .unwrap();

        assert_eq!(samples, header.samples);

        let bytes = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        (header, bytes)
    }

    fn options() -> Options {
        Options {
            series: 700,
            interval_ms: 15_000,
            duration_ms: 300_000,
            start_ms: 1_760_400_000_000,
            seed: 1,
            churn_per_hour: 5.0,
            ooo: 0.05,
            ooo_delay_ms: 120_000,
            jitter_ms: 8,
            jitter_share: 0.02,
            miss: 0.01,
            resets_per_day: 50.0,
            batch: 100,
            shards: 3,
        }
    }

    #[test]
    fn the_same_options_give_the_same_bytes_and_another_seed_others() {
        let first = generate("first", &options()).1;
        assert_eq!(first, generate("second", &options()).1);

        assert_ne!(
            first,
            generate(
                "third",
                &Options {
                    seed: 2,
                    ..options()
                }
            )
            .1
        );
    }

    #[test]
    fn every_active_series_has_a_sample_at_each_tick() {
        let (header, _) = generate(
            "plain",
            &Options {
                churn_per_hour: 0.0,
                ..options()
            },
        );

        assert_eq!((header.series, header.samples), (700, 700 * 20));
        assert!(header.start_ms >= 1_760_400_000_000 && header.end_ms < 1_760_400_300_000);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            Options {
                shards: 0,
                ..options()
            },
            Options {
                interval_ms: 0,
                ..options()
            },
            Options {
                batch: 0,
                ..options()
            },
        ] {
            assert!(run(&bad, "").is_err());
        }
    }
}
