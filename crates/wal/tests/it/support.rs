//! A log on a simulated disk, and records that can be compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_model::{FamilyMetadata, Life, TenantId, WriterId};
use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::{
    Config, Error, ExemplarRow, HistogramRow, OwnedRecord, Position, ReplayReport, SegmentId, Wal,
    WriteRecord,
};

pub(crate) const DIR: &str = "/data/wal";

pub(crate) fn writer() -> WriterId {
    WriterId(0x0198_7654_3210_abcd_ef01_2345_6789_0aaa_u128.into())
}

pub(crate) fn path(segment: u64) -> PathBuf {
    Path::new(DIR).join(format!("{segment:020}.wal"))
}

/// A record of a test, with values as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) tenant: u128,
    pub(crate) series: Vec<(u32, Vec<u8>)>,
    pub(crate) refs: Vec<u32>,
    pub(crate) ts_ms: Vec<i64>,
    pub(crate) bits: Vec<u64>,
    /// Start and ttl of each sample, or none.
    pub(crate) lives: Vec<(i64, i64)>,
    pub(crate) histograms: Vec<HistogramRow>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) metadata: Vec<FamilyMetadata>,
}

/// Reference, time, bits of the value, labels.
pub(crate) type Exemplar = (u32, i64, u64, Vec<u8>);

impl Record {
    /// Returns a small record that contains its number.
    pub(crate) fn numbered(number: u32) -> Self {
        let first = number * 3;
        Self {
            tenant: u128::from(number % 2) + 1,
            series: vec![(first, format!("series {first}").into_bytes())],
            refs: vec![first, first + 1, first + 2],
            ts_ms: vec![1_760_400_000_000 + i64::from(number) * 15_000; 3],
            bits: vec![
                f64::from(number).to_bits(),
                (f64::from(number) * 0.1).to_bits(),
                0x7ff0_0000_0000_0002,
            ],
            ..Self::default()
        }
    }

    pub(crate) fn append_to(&self, wal: &mut Wal) -> Result<Position, Error> {
        let series: Vec<_> = self
            .series
            .iter()
            .map(|(series_ref, labels)| (*series_ref, labels.as_slice()))
            .collect();

        let values: Vec<_> = self.bits.iter().map(|bits| f64::from_bits(*bits)).collect();
        let lives: Vec<_> = self
            .lives
            .iter()
            .map(|&(start_ms, ttl_ms)| Life { start_ms, ttl_ms })
            .collect();

        let exemplar = |(series_ref, ts_ms, bits, labels): &Exemplar| ExemplarRow {
            series_ref: *series_ref,
            ts_ms: *ts_ms,
            value: f64::from_bits(*bits),
            labels: labels.clone(),
        };

        wal.append(&WriteRecord {
            tenant: TenantId(self.tenant.into()),
            tenant_name: "",
            series: &series,
            refs: &self.refs,
            ts_ms: &self.ts_ms,
            values: &values,
            lives: &lives,
            histograms: &self.histograms,
            exemplars: &self.exemplars.iter().map(exemplar).collect::<Vec<_>>(),
            metadata: &self.metadata,
        })
    }
}

impl From<OwnedRecord> for Record {
    fn from(record: OwnedRecord) -> Self {
        Self {
            tenant: record.tenant.0.into(),
            series: record.series,
            refs: record.refs,
            ts_ms: record.ts_ms,
            bits: record.values.iter().map(|value| value.to_bits()).collect(),
            lives: record
                .lives
                .iter()
                .map(|life| (life.start_ms, life.ttl_ms))
                .collect(),
            histograms: record.histograms,
            exemplars: record
                .exemplars
                .into_iter()
                .map(|row| (row.series_ref, row.ts_ms, row.value.to_bits(), row.labels))
                .collect(),
            metadata: record.metadata,
        }
    }
}

/// A log that was just opened, with the records of its replay.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) wal: Wal,
    pub(crate) report: ReplayReport,
    pub(crate) replayed: Vec<(SegmentId, Position, Record)>,
}

impl Opened {
    pub(crate) fn positions(&self) -> Vec<u64> {
        self.replayed
            .iter()
            .map(|(_, position, _)| position.0)
            .collect()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.replayed
            .iter()
            .map(|(_, _, record)| record.clone())
            .collect()
    }
}

pub(crate) fn try_open(disk: &SimDisk, config: &Config) -> Result<Opened, Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut replayed = vec![];

    let (wal, report) = Wal::open(
        disk,
        Path::new(DIR),
        writer(),
        config.clone(),
        |segment, position, record| {
            replayed.push((segment, position, Record::from(record)));
            Ok(())
        },
    )?;

    Ok(Opened {
        wal,
        report,
        replayed,
    })
}

pub(crate) fn open(disk: &SimDisk) -> Opened {
    try_open(disk, &Config::default()).unwrap()
}

/// Returns a deep copy of the disk, page cache included: the state after the process was killed
/// while the power stayed on.
pub(crate) fn copy(disk: &SimDisk) -> SimDisk {
    disk.crash(0)
}

/// Appends and syncs the records `numbers`, and returns the size of the open segment after each.
pub(crate) fn write(wal: &mut Wal, numbers: std::ops::Range<u32>) -> Vec<u64> {
    let mut ends = vec![];
    for number in numbers {
        Record::numbered(number).append_to(wal).unwrap();
        wal.sync().unwrap();
        ends.push(wal.segments().last().unwrap().bytes);
    }

    ends
}

pub(crate) fn numbered(numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(Record::numbered).collect()
}
