//! Decodes `exemplars.parquet`.

use arrow::array::{
    Array, Float64Array, MapArray, RecordBatch, StringArray, TimestampMillisecondArray,
};
use duramen_model::{Exemplar, Labels, LabelsBuilder};
use parquet::errors::{ParquetError, Result};

use crate::layout::schema::LABELS_MAP;
use crate::read::record_batch::column;

/// Appends all rows of `batch`.
pub(crate) fn append(batch: &RecordBatch, out: &mut Vec<Exemplar>) -> Result<()> {
    let ts: &TimestampMillisecondArray = column(batch, "ts")?;
    let values: &Float64Array = column(batch, "value")?;
    let labels: &MapArray = column(batch, LABELS_MAP)?;
    let texts = |texts: &dyn Array| texts.as_any().downcast_ref::<StringArray>().cloned();

    let (Some(names), Some(texts)) = (texts(labels.keys()), texts(labels.values())) else {
        return Err(ParquetError::General(
            "labels of exemplars are no texts".to_owned(),
        ));
    };

    let offset = |row: usize| usize::try_from(labels.value_offsets()[row]).unwrap_or(0);
    let mut builder = LabelsBuilder::default();

    for row in 0..batch.num_rows() {
        builder.clear();
        for i in offset(row)..offset(row + 1) {
            builder.push(names.value(i), texts.value(i));
        }

        let unsorted =
            || ParquetError::General("the labels of an exemplar are no label set".to_owned());
        let labels = Labels::from_encoded(builder.encoded()).ok_or_else(unsorted)?;

        out.push(Exemplar {
            ts_ms: ts.value(row),
            value: values.value(row),
            labels,
        });
    }

    Ok(())
}
