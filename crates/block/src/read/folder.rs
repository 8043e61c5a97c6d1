//! The stats of a block whose entry is not at hand, from the files in its folder.

use std::path::Path;
use std::sync::Arc;

use duramen_model::{BlockFile, BlockStats, TimeRange};
use duramen_runtime::Disk;
use parquet::file::metadata::ParquetMetaDataReader;

use crate::error::Error;
use crate::layout::file_names::{
    EXEMPLARS_FILE, HISTOGRAMS_FILE, META_FILE, METADATA_FILE, SAMPLES_FILE, SERIES_FILE,
};
use crate::write::folder::DiskReader;
use crate::write::rows_file::encode_error;

/// Returns stats with which the block in folder `dir` can be opened. A manifest has better ones:
/// these believe `meta` as it is, have the widest range of times, no names, and no life span. This
/// call blocks.
pub fn stats_of_folder(disk: &Arc<dyn Disk>, dir: &Path) -> Result<BlockStats, Error> {
    let meta_path = dir.join(META_FILE);
    let meta = disk.read(&meta_path).map_err(|source| Error::Folder {
        path: meta_path,
        source,
    })?;

    let mut stats = BlockStats {
        series: 0,
        samples: 0,
        histograms: 0,
        exemplars: 0,
        families: 0,
        ttl_max_ms: 0,
        min_ts_ms: TimeRange::ALL.start_ms(),
        max_ts_ms: TimeRange::ALL.last_ms(),
        names: None,
        files: Vec::new(),
        meta_bytes: meta.len() as u64,
        meta_crc32c: crc32c::crc32c(&meta),
    };

    let files: [(&'static str, &mut u64); 5] = [
        (SERIES_FILE, &mut stats.series),
        (SAMPLES_FILE, &mut stats.samples),
        (HISTOGRAMS_FILE, &mut stats.histograms),
        (EXEMPLARS_FILE, &mut stats.exemplars),
        (METADATA_FILE, &mut stats.families),
    ];

    for (name, rows) in files {
        if let Some((count, bytes)) = rows_of(disk, dir, name)? {
            *rows = count;
            stats.files.push(BlockFile {
                name: name.to_owned(),
                bytes,
            });
        }
    }

    Ok(stats)
}

/// Returns the number of rows and of bytes of a file, or `None` if it does not exist.
fn rows_of(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    name: &'static str,
) -> Result<Option<(u64, u64)>, Error> {
    let path = dir.join(name);
    let file = match DiskReader::open(disk, path.clone()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Folder { path, source }),
    };

    let bytes = parquet::file::reader::Length::len(&file);
    let parsed = ParquetMetaDataReader::new().parse_and_finish(&file);
    let parsed = parsed.map_err(|error| encode_error(name, error))?;
    let rows = parsed.file_metadata().num_rows().cast_unsigned();

    Ok(Some((rows, bytes)))
}
