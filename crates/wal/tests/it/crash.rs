//! Compares a random life of a log with a model. The process can be killed or the power lost
//! between any two steps of the disk.

use std::collections::{BTreeMap, BTreeSet};

use duramen_testkit::SimDisk;
use duramen_wal::{Config, Error, Position, SegmentId, Wal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{Opened, Record, try_open};

const SEEDS: u64 = 2_000;
const STEPS: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Honesty {
    Honest,
    IgnoresSyncData,
    IgnoresSyncDir,
}

/// The records that the log must return, and those that it may return.
#[derive(Default)]
struct Model {
    /// Records that were acknowledged, or handed over by a replay.
    durable: BTreeMap<Position, Record>,
    /// Records that were appended and are not known to be durable. They may come back or not.
    pending: BTreeMap<Position, Record>,
    /// Records before this position need not come back.
    trimmed_before: Position,
}

impl Model {
    fn acknowledge(&mut self, up_to: Position) {
        let later = self.pending.split_off(&up_to.next());
        self.durable.append(&mut self.pending);
        self.pending = later;
    }

    fn synced(&mut self, up_to: Position) -> Result<(), String> {
        self.acknowledge(up_to);
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(format!("a sync to {up_to} left {:?}", self.pending.keys()))
        }
    }

    /// Compares a replay with the records that it must and may have. Its records are durable from
    /// then on.
    fn replayed(&mut self, opened: &Opened) -> Result<(), String> {
        if !opened.report.damage.is_empty() || !opened.report.ignored.is_empty() {
            return Err(format!("nothing was damaged: {:?}", opened.report));
        }

        check_references(opened)?;

        let mut replayed = BTreeMap::new();

        for (_, position, record) in &opened.replayed {
            let written = self
                .durable
                .get(position)
                .or_else(|| self.pending.get(position));

            if written != Some(record) {
                return Err(format!(
                    "position {position} came back as something else, or from nowhere"
                ));
            }

            if replayed
                .last_key_value()
                .is_some_and(|(last, _)| last >= position)
            {
                return Err(format!("position {position} is not after the one before"));
            }
            replayed.insert(*position, record.clone());
        }

        if let Some(lost) = self
            .durable
            .range(self.trimmed_before..)
            .find(|(at, _)| !replayed.contains_key(at))
        {
            return Err(format!("position {} was durable and is lost", lost.0));
        }

        let next = opened.wal.next_position();
        if self
            .durable
            .last_key_value()
            .is_some_and(|(last, _)| *last >= next)
        {
            return Err(format!("position {next} would be used twice"));
        }
        self.durable.append(&mut replayed);
        self.pending.clear();

        Ok(())
    }
}

/// Checks that every reference is defined in its own segment, before or with its first use.
fn check_references(opened: &Opened) -> Result<(), String> {
    let mut defined: BTreeSet<(SegmentId, u32)> = BTreeSet::new();

    for (segment, position, record) in &opened.replayed {
        defined.extend(
            record
                .series
                .iter()
                .map(|(series_ref, _)| (*segment, *series_ref)),
        );

        if let Some(unknown) = record
            .refs
            .iter()
            .find(|series_ref| !defined.contains(&(*segment, **series_ref)))
        {
            return Err(format!(
                "position {position} uses the undefined reference {unknown}"
            ));
        }
    }

    Ok(())
}

struct Life {
    rng: StdRng,
    disk: SimDisk,
    honesty: Honesty,
    model: Model,
    wal: Wal,
    defined: BTreeSet<u32>,
    number: u32,
}

fn config() -> Config {
    Config {
        segment_bytes_max: 600,
    }
}

impl Life {
    fn start(seed: u64, honesty: Honesty) -> Self {
        let disk = SimDisk::new();
        lie(&disk, honesty);

        let wal = try_open(&disk, &config()).unwrap().wal;
        let model = Model::default();
        let defined = BTreeSet::new();

        Self {
            rng: StdRng::seed_from_u64(seed),
            disk,
            honesty,
            model,
            wal,
            defined,
            number: 0,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        match self.rng.random_range(0..100) {
            0..50 => self.append(),
            50..75 => {
                let synced = self.wal.sync();
                self.after(synced, Model::synced)
            }
            75..80 => self.rotate(),
            80..85 => self.trim(),
            85..88 => {
                let space = self.rng.random_range(0..300);
                self.disk.set_space(Some(space));
                Ok(())
            }
            88..92 => {
                self.disk.set_space(None);
                Ok(())
            }
            92..95 => {
                let operations = self.rng.random_range(0..9);
                self.disk.power_off_after(operations);
                Ok(())
            }
            _ => self.restart(),
        }
    }

    fn append(&mut self) -> Result<(), String> {
        if self.wal.needs_rotation() {
            self.rotate()?;
        }

        let refs: Vec<u32> = (0..self.rng.random_range(0..6))
            .map(|_| self.rng.random_range(0..12))
            .collect();
        let used: BTreeSet<u32> = refs.iter().copied().collect();
        let new: Vec<u32> = used.difference(&self.defined).copied().collect();

        self.number += 1;

        let record = Record {
            tenant: self.number.into(),
            series: new
                .iter()
                .map(|series_ref| (*series_ref, vec![7; 5]))
                .collect(),
            ts_ms: refs.iter().map(|_| self.rng.random()).collect(),
            bits: refs.iter().map(|_| self.rng.random()).collect(),
            exemplars: refs
                .iter()
                .map(|series_ref| (*series_ref, 1, 2, vec![8; 3]))
                .collect(),
            refs,
            ..Record::default()
        };

        match record.append_to(&mut self.wal) {
            Ok(position) => {
                self.defined.extend(new);
                match self.model.pending.insert(position, record) {
                    None => Ok(()),
                    Some(_) => Err(format!("position {position} was given twice")),
                }
            }
            Err(Error::RotationNeeded { .. }) => Ok(()),
            Err(error) => Err(format!("append: {error}")),
        }
    }

    fn rotate(&mut self) -> Result<(), String> {
        let before = self.wal.next_position();
        let rotated = self.wal.rotate();

        if rotated.is_ok() {
            self.defined.clear();
        }

        self.after(rotated, |model, ()| model.synced(Position(before.0 - 1)))
    }

    fn trim(&mut self) -> Result<(), String> {
        let last = self
            .model
            .durable
            .last_key_value()
            .map_or(1, |(last, _)| last.0);

        let before = Position(self.rng.random_range(0..=last));
        self.model.trimmed_before = self.model.trimmed_before.max(before);

        let trimmed = self.wal.trim(before);
        self.after(trimmed, |_, _| Ok(()))
    }

    /// The result of a call: success, a full disk, or the power is off.
    fn after<T>(
        &mut self,
        result: Result<T, Error>,
        ok: impl FnOnce(&mut Model, T) -> Result<(), String>,
    ) -> Result<(), String> {
        match result {
            Ok(value) => ok(&mut self.model, value),
            Err(Error::Full { .. }) => {
                // Nothing is left to sync. The result tells how far the log is durable, and the
                // rest is lost for good.
                let durable = self.wal.sync().map_err(|error| error.to_string())?;
                self.model.acknowledge(durable);
                self.model.pending.clear();

                Ok(())
            }
            Err(_) if self.disk.is_off() => self.restart(),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Kills the process or loses the power, then starts as often as it takes.
    fn restart(&mut self) -> Result<(), String> {
        loop {
            if self.rng.random_bool(0.6) {
                self.disk = self.disk.crash(self.rng.random());
                lie(&self.disk, self.honesty);
            }

            self.disk.power_on();
            if self.rng.random_bool(0.2) {
                let operations = self.rng.random_range(0..9);
                self.disk.power_off_after(operations);
            }

            self.disk.set_space(None);

            match try_open(&self.disk, &config()) {
                Ok(opened) => {
                    self.model.replayed(&opened)?;
                    self.wal = opened.wal;
                    self.defined.clear();
                    return Ok(());
                }
                Err(_) if self.disk.is_off() => {}
                Err(error) => return Err(format!("open: {error}")),
            }
        }
    }
}

fn lie(disk: &SimDisk, honesty: Honesty) {
    disk.ignore_sync_data(honesty == Honesty::IgnoresSyncData);
    disk.ignore_sync_dir(honesty == Honesty::IgnoresSyncDir);
}

fn live(seed: u64, honesty: Honesty) -> Result<(), String> {
    let mut life = Life::start(seed, honesty);
    for _ in 0..STEPS {
        life.step()?;
    }

    life.restart()
}

#[test]
fn what_was_synced_comes_back_exactly_once_after_any_crash() {
    for seed in 0..SEEDS {
        if let Err(fault) = live(seed, Honesty::Honest) {
            panic!("seed {seed}: {fault}");
        }
    }
}

#[test]
fn the_simulation_notices_an_fdatasync_that_does_nothing() {
    let noticed = (0..200)
        .filter(|seed| live(*seed, Honesty::IgnoresSyncData).is_err())
        .count();
    assert!(noticed > 100, "only {noticed} of 200 lives noticed");
}

#[test]
fn the_simulation_notices_a_sync_of_the_directory_that_does_nothing() {
    let noticed = (0..200)
        .filter(|seed| live(*seed, Honesty::IgnoresSyncDir).is_err())
        .count();
    assert!(noticed > 100, "only {noticed} of 200 lives noticed");
}
