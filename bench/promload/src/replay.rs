//! Turns whole series back into write requests in order of time, as a real sender would send them.

use anyhow::{Result, ensure};

use crate::column::{Column, read_col};
use crate::rw::RwWriter;
use crate::wire::{labels_of, put_label};

/// The data to make from a recording.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) file: String,
    pub(crate) out: String,
    pub(crate) batch: u32,
    pub(crate) shards: usize,
    /// Keeps each n-th sample of a series.
    pub(crate) every: usize,
    /// Added to all timestamps.
    pub(crate) shift_ms: i64,
    /// Repeats the set, each time under another value of the label `replica`, when more than 1.
    pub(crate) copies: usize,
}

/// One sample: its time and where it is.
type Event = (i64, u32, u32);

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.every > 0 && options.copies > 0,
        "at least every sample and one copy"
    );

    let (header, mut columns) = read_col(&options.file)?;
    if options.every > 1 {
        columns
            .iter_mut()
            .for_each(|column| thin(column, options.every));
    }

    let labels = copied_labels(&columns, options.copies)?;
    let mut writer = RwWriter::create(&options.out, options.shards, options.batch)?;

    for (ts_ms, column, at) in events(&columns)? {
        let value = columns[column as usize].values[at as usize];

        for copy in 0..options.copies {
            let id = copy * columns.len() + column as usize;
            writer.push(
                id % options.shards,
                &labels[id],
                ts_ms.saturating_add(options.shift_ms),
                value,
            )?;
        }
    }

    let interval_ms = header
        .interval_ms
        .saturating_mul(i64::try_from(options.every)?);
    let note = format!("replay of {} x{}", options.file, options.copies);

    println!(
        "{}",
        writer
            .finish(labels.len() as u64, interval_ms, note)?
            .to_json()
    );

    Ok(())
}

fn thin(column: &mut Column, every: usize) {
    column.ts_ms = column.ts_ms.iter().step_by(every).copied().collect();
    column.values = column.values.iter().step_by(every).copied().collect();
}

fn copied_labels(columns: &[Column], copies: usize) -> Result<Vec<Vec<u8>>> {
    if copies == 1 {
        return Ok(columns.iter().map(|column| column.labels.clone()).collect());
    }

    let mut out = vec![];

    for copy in 0..copies {
        for column in columns {
            let mut labels = labels_of(&column.labels)?;
            labels.push(("replica".to_owned(), format!("r{copy:04}")));
            labels.sort();

            let mut bytes = vec![];
            labels
                .iter()
                .for_each(|(name, value)| put_label(&mut bytes, name, value));
            out.push(bytes);
        }
    }

    Ok(out)
}

fn events(columns: &[Column]) -> Result<Vec<Event>> {
    let mut events = vec![];

    for (i, column) in columns.iter().enumerate() {
        let i = u32::try_from(i)?;
        events.extend(
            column
                .ts_ms
                .iter()
                .zip(0..)
                .map(|(&ts_ms, at)| (ts_ms, i, at)),
        );
    }

    events.sort_unstable();
    Ok(events)
}
