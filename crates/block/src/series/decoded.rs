//! Decoded columns of the series file, and the matchers that test them.

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, MapArray, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use duramen_model::Matcher;
use duramen_runtime::Pace;

use crate::layout::rows::SeriesRows;
use crate::layout::schema::{EXEMPLAR_ROWS, FIRST_ROW, HISTOGRAM_ROWS, MAX_TS, MIN_TS, ROWS};
use crate::read::record_batch::column;

/// Clears `pass` for the rows that the matcher rejects. Each distinct value of a dictionary is
/// tested once.
pub(crate) async fn apply(
    matcher: &Matcher,
    column: Option<&ArrayRef>,
    pass: &mut [bool],
    pace: &mut Pace,
) {
    if let Some(dictionary) = column.and_then(Dictionary::of) {
        let mut passes = Vec::with_capacity(dictionary.values.len());
        for value in dictionary.values {
            let value = value.unwrap_or("");
            passes.push(matcher.matches(value));
            pace.done(value.len().max(16)).await;
        }

        let absent = matcher.matches_empty();
        for (row, pass) in pass.iter_mut().enumerate() {
            *pass &= dictionary
                .key(row)
                .map_or(absent, |key| passes.get(key).copied().unwrap_or(absent));
        }
    } else {
        let map = column.and_then(Spilled::of);

        for (row, pass) in pass.iter_mut().enumerate().filter(|(_, pass)| **pass) {
            let value = map
                .iter()
                .flat_map(|map| map.entries(row))
                .find(|(name, _)| *name == matcher.name);

            let value = value.map_or("", |(_, value)| value);
            *pass = matcher.matches(value);
            pace.done(value.len().max(16)).await;
        }
    }
}

/// The number columns of all series of a batch. A column that was not read is empty.
pub(crate) struct Numbers<'a> {
    samples: [&'a [i64]; 2],
    span: [&'a [i64]; 2],
    histograms: [&'a [i64]; 2],
    exemplars: [&'a [i64]; 2],
}

impl<'a> Numbers<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let numbers =
            |name| column::<Int64Array>(batch, name).map_or(&[][..], |column| column.values());
        let times = |name| {
            column::<TimestampMillisecondArray>(batch, name)
                .map_or(&[][..], |column| column.values())
        };

        Self {
            samples: [FIRST_ROW, ROWS].map(numbers),
            span: [MIN_TS, MAX_TS].map(times),
            histograms: HISTOGRAM_ROWS.map(numbers),
            exemplars: EXEMPLAR_ROWS.map(numbers),
        }
    }

    pub(crate) fn rows(&self, row: usize) -> SeriesRows {
        // A negative number becomes a row that no file has.
        let at = |column: &[i64]| column.get(row).map_or(0, |number| number.cast_unsigned());
        let range = |[first, rows]: [&[i64]; 2]| at(first)..at(first).saturating_add(at(rows));
        let time = |column: &[i64], absent| column.get(row).copied().unwrap_or(absent);

        SeriesRows {
            samples: range(self.samples),
            histograms: range(self.histograms),
            exemplars: range(self.exemplars),
            min_ts_ms: time(self.span[0], i64::MIN),
            max_ts_ms: time(self.span[1], i64::MAX),
        }
    }
}

/// A text column, decoded as a dictionary.
pub(crate) struct Dictionary<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    values: &'a StringArray,
}

impl<'a> Dictionary<'a> {
    pub(crate) fn of(column: &'a ArrayRef) -> Option<Self> {
        let keys = column
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()?;
        Some(Self {
            keys,
            values: keys.values().as_any().downcast_ref()?,
        })
    }

    fn key(&self, row: usize) -> Option<usize> {
        self.keys.key(row)
    }

    pub(crate) fn value(&self, row: usize) -> Option<&'a str> {
        Some(self.values.value(self.key(row)?))
    }
}

/// The map of labels that have no column of their own.
pub(crate) struct Spilled<'a> {
    map: &'a MapArray,
    names: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Spilled<'a> {
    pub(crate) fn of(column: &'a ArrayRef) -> Option<Self> {
        let map = column.as_any().downcast_ref::<MapArray>()?;
        Some(Self {
            map,
            names: map.keys().as_any().downcast_ref()?,
            values: map.values().as_any().downcast_ref()?,
        })
    }

    pub(crate) fn entries(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let names = self.names;
        let values = self.values;
        let offsets = self.map.value_offsets();
        let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);

        (at(row)..at(row + 1)).map(move |i| (names.value(i), values.value(i)))
    }
}
