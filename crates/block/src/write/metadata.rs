//! Writes the whole of `metadata.parquet`, one row for each metric family.

use duramen_model::FamilyMetadata;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;

use crate::layout::schema;
use crate::write::encode::Recipe;
use crate::write::folder::BlockFileWriter;
use crate::write::row_groups::GroupsWriter;

/// The rows of a row group.
const GROUP_ROWS: usize = 16_384;

/// Writes the file of `families`, which must ascend by name. Nothing is synced.
pub(crate) fn write(
    out: BlockFileWriter,
    families: &[FamilyMetadata],
    zstd_level: i32,
) -> Result<()> {
    let mut file = GroupsWriter::create(out, schema::metadata()?, zstd_level)?;
    let name = Recipe::encoded(zstd_level, usize::MAX, Encoding::PLAIN)?;
    let text = Recipe::dictionary(zstd_level, usize::MAX)?;
    let time = Recipe::encoded(zstd_level, usize::MAX, Encoding::DELTA_BINARY_PACKED)?;

    for rows in families.chunks(GROUP_ROWS) {
        let texts = |field: fn(&FamilyMetadata) -> &str| {
            rows.iter()
                .map(|row| ByteArray::from(field(row)))
                .collect::<Vec<_>>()
        };

        let last_seen: Vec<i64> = rows.iter().map(|row| row.last_seen_ms).collect();
        let chunks = [
            name.encode::<ByteArrayType>(&file.column(0), &texts(|row| &row.family), None, None)?,
            text.encode::<ByteArrayType>(
                &file.column(1),
                &texts(|row| row.kind.as_str()),
                None,
                None,
            )?,
            name.encode::<ByteArrayType>(&file.column(2), &texts(|row| &row.help), None, None)?,
            text.encode::<ByteArrayType>(&file.column(3), &texts(|row| &row.unit), None, None)?,
            time.encode::<Int64Type>(&file.column(4), &last_seen, None, None)?,
        ];

        file.append(chunks)?;
    }

    file.finish()
}
