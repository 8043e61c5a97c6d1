//! Turns the output of operators into the value of an answer.

use duramen_model::Labels;

use crate::answer::{InstantSeries, RangeSeries, SampleValue, Value};
use crate::engine::planned::RowOrder;
use crate::error::Error;
use crate::exec::support::cancellation::{Cancellation, sorted};
use crate::grid::Grid;
use crate::kernels::Window;
use crate::kernels::extended::{self, Ends};
use crate::plan::lookup::Lookup;
use crate::vector::{Row, Sample, Vector, decoded};

/// Puts a sample at each end of the windows. The result of a query shows nothing else of the
/// samples around its windows.
pub(super) fn settle(
    series: &mut Vec<RangeSeries>,
    lookup: &Lookup,
    ends: Ends,
    time_ms: i64,
) -> Result<(), Error> {
    if series.iter().any(|series| !series.histograms.is_empty()) {
        let modifier = if ends == Ends::Anchored {
            "anchored"
        } else {
            "smoothed"
        };

        return Err(Error::execution(format!(
            "{modifier} modifier is not supported with histograms"
        )));
    }

    for series in &mut *series {
        let (ts, values): (Vec<_>, Vec<_>) = series.points.iter().copied().unzip();
        let start_ms = lookup.start_ms(time_ms);
        let end_ms = lookup.end_ms(time_ms);
        let range_ms = lookup.range_ms;

        let window = Window {
            ts: &ts,
            values: &values,
            start_ms,
            end_ms,
            range_ms,
            falls: true,
            time_ms,
        };

        series.points = extended::settled(&window, ends);
    }

    series.retain(|series| !series.points.is_empty());
    Ok(())
}

/// Returns the series in the order of an answer.
pub(super) fn matrix(
    series: Vec<RangeSeries>,
    cancellation: &Cancellation,
) -> Result<Value, Error> {
    Ok(Value::Matrix(joined(sorted(
        series,
        cancellation,
        |a, b| a.labels.cmp(&b.labels),
    )?)?))
}

/// Joins series with the same labels into one. It is an error if they have samples at the same
/// time.
fn joined(sorted: Vec<RangeSeries>) -> Result<Vec<RangeSeries>, Error> {
    let mut out: Vec<RangeSeries> = Vec::with_capacity(sorted.len());

    for series in sorted {
        let Some(same) = out.last_mut().filter(|last| last.labels == series.labels) else {
            out.push(series);
            continue;
        };

        same.points.extend(series.points);
        same.points.sort_by_key(|point| point.0);
        same.histograms.extend(series.histograms);
        same.histograms.sort_by_key(|point| point.0);

        let floats = same.points.iter().map(|point| point.0);
        let mut times: Vec<i64> = floats
            .chain(same.histograms.iter().map(|point| point.0))
            .collect();
        times.sort_unstable();

        if times.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::same_labels());
        }
    }

    Ok(out)
}

/// Returns the value of an instant query: the only step of a vector.
pub(super) fn instant_value(
    vector: &Vector,
    ts_ms: i64,
    order: &RowOrder,
    cancellation: &Cancellation,
) -> Result<Value, Error> {
    let row = |row: Row<'_>| {
        let value = match row.cell(0)?.decode() {
            Sample::Float(value) => SampleValue::Float(value),
            Sample::Histogram(histogram) => SampleValue::Histogram(histogram),
        };

        Some(InstantSeries {
            labels: Labels::from_encoded_trusted(row.labels),
            ts_ms,
            value,
        })
    };

    let series: Vec<_> = vector.rows().filter_map(row).collect();
    Ok(Value::Vector(match order {
        RowOrder::Labels => sorted(series, cancellation, |a, b| a.labels.cmp(&b.labels))?,
        RowOrder::Query => series,
    }))
}

/// Returns the value of a range query: all steps of a vector.
pub(super) fn range_value(
    vector: &Vector,
    grid: &Grid,
    cancellation: &Cancellation,
) -> Result<Value, Error> {
    let row = |row: Row<'_>| {
        let points: Vec<_> = (0..grid.steps)
            .filter_map(|step| Some((grid.at(step), row.get(step)?)))
            .collect();
        let histograms = row
            .histograms
            .iter()
            .map(|(step, bytes)| (grid.at(step), decoded(bytes)))
            .collect();

        RangeSeries {
            labels: Labels::from_encoded_trusted(row.labels),
            points,
            histograms,
        }
    };

    let series: Vec<_> = vector.rows().map(row).collect();
    Ok(Value::Matrix(sorted(series, cancellation, |a, b| {
        a.labels.cmp(&b.labels)
    })?))
}
