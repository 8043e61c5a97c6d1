//! Decodes `metadata.parquet`.

use arrow::array::{RecordBatch, StringArray, TimestampMillisecondArray};
use duramen_model::{FamilyMetadata, MetricType};
use parquet::errors::{ParquetError, Result};

use crate::read::record_batch::column;

/// Appends all rows of `batch`.
pub(crate) fn append(batch: &RecordBatch, out: &mut Vec<FamilyMetadata>) -> Result<()> {
    let text = |name| column::<StringArray>(batch, name);
    let families = text("family")?;
    let kinds = text("type")?;
    let helps = text("help")?;
    let units = text("unit")?;
    let last_seen: &TimestampMillisecondArray = column(batch, "last_seen")?;

    for row in 0..batch.num_rows() {
        let unknown = || ParquetError::General("a type of metrics has no known name".to_owned());
        out.push(FamilyMetadata {
            family: families.value(row).to_owned(),
            kind: MetricType::named(kinds.value(row)).ok_or_else(unknown)?,
            help: helps.value(row).to_owned(),
            unit: units.value(row).to_owned(),
            last_seen_ms: last_seen.value(row),
        });
    }

    Ok(())
}
