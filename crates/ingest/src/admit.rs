//! Validates a request that passed the intake, and turns it into rows of known series.
//!
//! A series that was sent before with the same bytes costs one hash, and no look-up if it comes
//! after the same series as last time. Only other series are decoded.

use duramen_limits::IngestLimits;
use duramen_model::{Labels, LabelsBuilder, Life, Shown, ShownSeries};
use duramen_proto::{Series, WriteRequest};
use duramen_wal::{ExemplarRow, HistogramRow};

use crate::head::{Registry, Slot, TenantHead};
use crate::intake::{Gate, GatedWrite, Verdict};
use crate::rejection::{Lost, Rejection};
use crate::seen::Now;

mod admitted;
mod exemplar;
mod histogram;
mod labels;
mod metadata;
mod times;

pub(crate) use admitted::Admitted;
pub use times::TS_MS_MIN;
use times::Times;

/// Checks the series that the intake let through, and finds or creates them in the head's registry.
///
/// `seed` is the secret of this process for hashes of bytes from outside.
pub(crate) fn admit(head: &TenantHead, write: &GatedWrite<'_>, now: Now, seed: u64) -> Admitted {
    let GatedWrite { request, gate, .. } = write;
    let limits = &write.limits.ingest;

    let check = Check {
        request,
        gate,
        limits,
        times: Times::new(now, limits),
    };

    let mut admitted = Admitted::default();
    admitted.rows.reserve(request.ts_ms.len());

    for refused in &request.refused {
        let lost = Lost::series(refused.samples, refused.histograms, refused.exemplars);
        let series = || request.show_refused(refused);
        admitted
            .rejected
            .add_of(&Rejection::Series(refused.fault), lost, series);
    }

    let slots = identify(head, &check, seed, &mut admitted);
    for (series, slot) in request.series.iter().zip(slots) {
        let Some(slot) = slot else { continue };
        check.take(series, Some(slot), &mut admitted, || {
            ShownSeries::of(&head.labels(slot))
        });
    }

    let generation = head.open().order.flush;
    let room = metadata::Room {
        memory: head.memory.all_heads(),
        series_bytes: head.memory.series_bytes(),
    };

    metadata::admit(
        &head.families.read(),
        request,
        limits,
        &room,
        now.wall_ms,
        generation,
        &mut admitted,
    );

    admitted
}

/// A request with the limits for its checks.
struct Check<'r, 'a> {
    request: &'r WriteRequest<'a>,
    gate: &'r Gate,
    limits: &'r IngestLimits,
    times: Times,
}

/// Returns the slot of each series of the request, in order; `None` for a refused series.
///
/// A new series gets a slot only if at least one of its samples, histograms or exemplars can be
/// stored.
fn identify(
    head: &TenantHead,
    check: &Check<'_, '_>,
    seed: u64,
    admitted: &mut Admitted,
) -> Vec<Option<Slot>> {
    let mut unknown = Vec::new();
    let mut slots = recall(head, check, seed, &mut unknown, admitted);
    let checked = check_labels(check, unknown, admitted);

    if !checked.is_empty() {
        intern(head, check, checked, &mut slots, admitted);
    }

    slots
}

/// A series that was not sent before: its index in the request, and its key in the registry.
type Unknown = (usize, u128);

/// Returns the slot of each series that was sent before with the same bytes. Adds the others to
/// `unknown`, unless the gate leaves them out.
fn recall(
    head: &TenantHead,
    check: &Check<'_, '_>,
    seed: u64,
    unknown: &mut Vec<Unknown>,
    admitted: &mut Admitted,
) -> Vec<Option<Slot>> {
    let request = check.request;
    let mut slots = Vec::with_capacity(request.series.len());
    let registry = head.registry.read();

    admitted.pin = Some(registry.pin());

    let mut keys = request.keys(seed);
    let mut before = None;

    for index in 0..request.series.len() {
        match check.gate.verdict(index) {
            Verdict::AsItIs | Verdict::Without { .. } => {}
            Verdict::Duplicate { .. } => {
                slots.push(None);
                continue;
            }
            Verdict::OverLimit { cluster, max } => {
                let rejection = Rejection::HaClustersLimit {
                    cluster: Shown(cluster.as_bytes()).to_string(),
                    max,
                };

                admitted
                    .rejected
                    .add_of(&rejection, everything(&request.series[index]), || {
                        request.show(index)
                    });

                slots.push(None);
                continue;
            }
        }

        let key = check.gate.key(index, keys.of(index));
        let slot = registry.recall(key, before);

        match slot {
            Some(slot) => before = Some(slot),
            None => unknown.push((index, key)),
        }

        slots.push(slot);
    }

    slots
}

/// Decodes and checks the labels of unknown series.
fn check_labels(
    check: &Check<'_, '_>,
    unknown: Vec<Unknown>,
    admitted: &mut Admitted,
) -> Vec<(Unknown, Labels)> {
    let request = check.request;
    let mut checked = Vec::with_capacity(unknown.len());
    let mut builder = LabelsBuilder::default();

    for (index, key) in unknown {
        let without = match check.gate.verdict(index) {
            Verdict::Without { label } => Some(label),
            _ => None,
        };

        match labels::check(request, index, without, check.limits, &mut builder) {
            Ok(labels) => checked.push(((index, key), labels)),
            Err(rejection) => {
                admitted
                    .rejected
                    .add_of(&rejection, everything(&request.series[index]), || {
                        request.show(index)
                    });
            }
        }
    }

    checked
}

/// Finds or creates the slots of series with valid labels.
fn intern(
    head: &TenantHead,
    check: &Check<'_, '_>,
    checked: Vec<(Unknown, Labels)>,
    slots: &mut [Option<Slot>],
    admitted: &mut Admitted,
) {
    let mut registry = head.registry.write();
    let reported = registry.bytes();

    for ((index, key), labels) in checked {
        let series = &check.request.series[index];
        let hash = registry.hash(labels.encoded());
        let slot = match registry.find_hashed(&labels, hash) {
            Some(slot) => slot,
            None => match check_room(head, &registry, reported, &labels, check.limits) {
                Err(rejection) => {
                    admitted
                        .rejected
                        .add_of(&rejection, everything(series), || ShownSeries::of(&labels));
                    continue;
                }
                Ok(()) if !check.has_storable(series) => {
                    check.take(series, None, admitted, || ShownSeries::of(&labels));
                    continue;
                }
                Ok(()) => registry.add(&labels, hash),
            },
        };

        let before = index.checked_sub(1).and_then(|before| slots[before]);
        registry.remember(key, slot, before);
        slots[index] = Some(slot);
    }

    drop(registry);
    head.report_series();
}

/// Checks whether one more series fits the limits of its tenant and the memory of the process. The
/// process knows `reported` bytes of the registry already.
fn check_room(
    head: &TenantHead,
    registry: &Registry,
    reported: usize,
    labels: &Labels,
    limits: &IngestLimits,
) -> Result<(), Rejection> {
    registry.check_room(labels, limits)?;

    let more = registry.bytes().saturating_sub(reported) + labels.encoded().len();
    let max = limits
        .series_bytes_max
        .unwrap_or_else(|| head.memory.all_heads().series_bytes_of_tenant());

    if head.memory.series_bytes().saturating_add(more) > max {
        return Err(Rejection::SeriesBytesLimit { max });
    }

    head.memory.all_heads().check(more)
}

/// Counts all samples, histograms and exemplars of a series.
fn everything(series: &Series<'_>) -> Lost {
    Lost::series(
        series.samples().len(),
        series.histograms().len(),
        series.exemplars().len(),
    )
}

impl Check<'_, '_> {
    /// Checks all rows of a series, and puts those that pass into the rows of its slot. Without a
    /// slot, no row of the series may pass.
    fn take(
        &self,
        series: &Series<'_>,
        slot: Option<Slot>,
        admitted: &mut Admitted,
        shown: impl Fn() -> ShownSeries,
    ) {
        let Admitted {
            rows,
            rejected,
            lost_exemplars,
            ..
        } = admitted;

        for at in series.samples() {
            match self.float(at) {
                Ok(life) => {
                    if let Some(slot) = slot {
                        rows.push(slot, self.request.ts_ms[at], self.request.values[at], life);
                    }
                }
                Err(rejection) => rejected.add_of(&rejection, Lost::SAMPLE, &shown),
            }
        }

        for sent in &self.request.histograms[series.histograms()] {
            match histogram::check(sent, &self.times, self.limits) {
                Ok(bytes) => {
                    let row = |series_ref| HistogramRow {
                        series_ref,
                        ts_ms: sent.ts_ms,
                        life: sent.life,
                        bytes,
                    };

                    rows.histograms.extend(slot.map(row));
                }
                Err(rejection) => rejected.add_of(&rejection, Lost::HISTOGRAM, &shown),
            }
        }

        for sent in &self.request.exemplars[series.exemplars()] {
            match exemplar::check(self.request, sent, &self.times, self.limits) {
                Ok(labels) => {
                    let ts_ms = sent.ts_ms;
                    let value = sent.value;
                    let labels = labels.encoded().to_vec();

                    rows.exemplars.extend(slot.map(|series_ref| ExemplarRow {
                        series_ref,
                        ts_ms,
                        value,
                        labels,
                    }));
                }
                Err(rejection) => lost_exemplars.add_of(&rejection, Lost::EXEMPLAR, &shown),
            }
        }
    }

    /// Returns whether at least one row of a series passes.
    fn has_storable(&self, series: &Series<'_>) -> bool {
        let request = self.request;
        let times = &self.times;
        let limits = self.limits;

        series.samples().any(|at| self.float(at).is_ok())
            || request.histograms[series.histograms()]
                .iter()
                .any(|sent| histogram::check(sent, times, limits).is_ok())
            || request.exemplars[series.exemplars()]
                .iter()
                .any(|sent| exemplar::check(request, sent, times, limits).is_ok())
    }

    /// Returns the life of the float at `at` if it may be stored.
    #[inline]
    fn float(&self, at: usize) -> Result<Life, Rejection> {
        self.times.check(self.request.ts_ms[at])?;
        match self.request.lives.get(at) {
            Some(life) => self.times.check_life(*life).map(|()| *life),
            None => Ok(Life::NONE),
        }
    }
}
