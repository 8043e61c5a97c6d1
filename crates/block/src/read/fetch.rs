//! Gets and verifies extents of one file. The Parquet decoders read them as if the whole file were
//! here.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use duramen_source::{Read, Reads};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Error;
use crate::layout::meta::FileMeta;
use crate::read::cache::{ExtentCache, ExtentKey};

/// How many GETs of one selection run at the same time.
const GETS_MAX: usize = 16;

/// Where one file of a block is, and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: Path,
    pub(crate) dir: Arc<Path>,
    pub(crate) index: u32,
    pub(crate) meta: Arc<FileMeta>,
    pub(crate) gap_bytes_max: u64,
    pub(crate) cache: Option<Arc<ExtentCache>>,
}

impl RemoteFile {
    /// Returns the extents that cover `wanted`. Those that are not in the cache are fetched
    /// concurrently, by as few GETs as the gap rule allows.
    ///
    /// Every extent is verified before it is returned or cached. If the check fails, the extent is
    /// fetched once more, because a proxy may cut a response or flip a bit. The second failure is
    /// [`Error::Checksum`] or [`Error::Size`].
    pub(crate) async fn fetch(
        &self,
        wanted: &[Range<u64>],
        reads: &Reads,
    ) -> Result<SparseFile, Error> {
        let mut indexes: Vec<usize> = wanted
            .iter()
            .flat_map(|range| self.meta.extents.covering(range))
            .collect();

        indexes.sort_unstable();
        indexes.dedup();

        let mut pieces = Vec::with_capacity(indexes.len());
        let mut missing = Vec::new();

        for index in indexes {
            match self.cached(index) {
                Some(bytes) => {
                    reads.add(Read::CacheHits, 1);
                    reads.add(Read::CacheBytes, bytes.len() as u64);
                    pieces.push((self.meta.extents.range(index).start, bytes));
                }
                None => missing.push(index),
            }
        }

        let runs = coalesce(
            missing,
            |index| self.meta.extents.range(index),
            self.gap_bytes_max,
        );

        let mut answers = stream::iter(runs.into_iter().map(|run| self.get_run(run, reads)))
            .buffer_unordered(GETS_MAX);
        while let Some(answer) = answers.try_next().await? {
            pieces.extend(answer);
        }

        pieces.sort_unstable_by_key(|(start, _)| *start);
        Ok(SparseFile {
            size: self.meta.bytes,
            pieces: pieces.into(),
        })
    }

    /// Returns the whole file if `bytes` have its length and checksums.
    pub(crate) fn verified(&self, bytes: &Bytes) -> Option<SparseFile> {
        let extents = &self.meta.extents;
        let at = |offset: u64| usize::try_from(offset).ok();

        let holds = |i: usize| {
            let range = extents.range(i);
            let piece = bytes.get(at(range.start)?..at(range.end)?)?;
            (crc32c::crc32c(piece) == extents.checksum(i)).then_some(())
        };

        let whole =
            bytes.len() as u64 == self.meta.bytes && (0..extents.len()).all(|i| holds(i).is_some());
        whole.then(|| SparseFile {
            size: self.meta.bytes,
            pieces: Arc::new([(0, bytes.clone())]),
        })
    }

    fn cached(&self, extent: usize) -> Option<Bytes> {
        self.cache.as_ref()?.get(&self.cache_key(extent)?)
    }

    fn cache_key(&self, extent: usize) -> Option<ExtentKey> {
        Some(ExtentKey {
            dir: Arc::clone(&self.dir),
            file: self.index,
            extent: u32::try_from(extent).ok()?,
        })
    }

    /// Gets the extents `run`, which are neighbours, by one GET.
    async fn get_run(&self, run: Range<usize>, reads: &Reads) -> Result<Vec<(u64, Bytes)>, Error> {
        let answer = match self.try_run(run.clone(), reads).await {
            Err(Error::Checksum { .. } | Error::Size { .. }) => {
                self.try_run(run.clone(), reads).await?
            }
            other => other?,
        };

        if let Some(cache) = &self.cache {
            for (extent, (_, bytes)) in run.zip(&answer) {
                if let Some(key) = self.cache_key(extent) {
                    cache.insert(key, bytes);
                }
            }
        }

        Ok(answer)
    }

    async fn try_run(&self, run: Range<usize>, reads: &Reads) -> Result<Vec<(u64, Bytes)>, Error> {
        let extents = &self.meta.extents;
        let range = extents.range(run.start).start..extents.range(run.end - 1).end;
        reads.add(Read::Gets, 1);

        let mut bytes = self.get(range.clone()).await?;
        reads.add(Read::GetBytes, bytes.len() as u64);

        let mut answer = Vec::with_capacity(run.len());

        for index in run {
            let extent = extents.range(index);
            let length = usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX);
            let piece = bytes.split_to(length.min(bytes.len()));
            let expected = extents.checksum(index);
            let actual = crc32c::crc32c(&piece);

            if expected != actual {
                return Err(Error::Checksum {
                    key: self.key.clone(),
                    offset: extent.start,
                    expected,
                    actual,
                });
            }

            answer.push((extent.start, piece));
        }

        Ok(answer)
    }

    /// Gets exactly the bytes `range`.
    async fn get(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let wrong_size = |actual| Error::Size {
            key: self.key.clone(),
            expected: self.meta.bytes,
            actual,
        };

        let options = GetOptions::default().with_range(Some(range.clone()));
        let answer = match self.store.get_opts(&self.key, options).await {
            Ok(answer) => answer,
            Err(source) => {
                // If the file was cut, the range may lie behind its end, and each store reports
                // that with an error of its own. So ask for the size.
                let size = self.store.head(&self.key).await.map(|object| object.size);
                return Err(match size {
                    Ok(size) if size != self.meta.bytes => wrong_size(size),
                    _ => Error::Get {
                        key: self.key.clone(),
                        source,
                    },
                });
            }
        };

        if answer.meta.size != self.meta.bytes {
            return Err(wrong_size(answer.meta.size));
        }

        let bytes = answer.bytes().await.map_err(|source| Error::Get {
            key: self.key.clone(),
            source,
        })?;

        if bytes.len() as u64 != range.end - range.start {
            return Err(wrong_size(range.start + bytes.len() as u64));
        }

        Ok(bytes)
    }
}

/// Joins ascending extents to runs. Two extents are joined if the gap between them is at most
/// `gap_bytes_max`; the gap is then read as well. Pure.
fn coalesce(
    extents: Vec<usize>,
    range: impl Fn(usize) -> Range<u64>,
    gap_bytes_max: u64,
) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();

    for extent in extents {
        match runs.last_mut() {
            Some(run) if range(extent).start - range(run.end - 1).end <= gap_bytes_max => {
                run.end = extent + 1
            }
            _ => runs.push(extent..extent + 1),
        }
    }

    runs
}

/// A file of which only some extents are in memory. It is an error to read outside of them.
#[derive(Clone, Debug)]
pub(crate) struct SparseFile {
    size: u64,
    /// The extents, ascending by offset. They do not overlap.
    pieces: Arc<[(u64, Bytes)]>,
}

impl SparseFile {
    /// Makes a file of `size` bytes of its extents, which ascend.
    #[cfg(test)]
    pub(crate) fn of(size: u64, pieces: Vec<(u64, Bytes)>) -> Self {
        Self {
            size,
            pieces: pieces.into(),
        }
    }

    /// Returns at most `length` bytes from `start` on, all of one piece.
    fn piece(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let absent = || {
            ParquetError::EOF(format!(
                "bytes were not fetched. offset=`{start}`, length=`{length}`"
            ))
        };

        let at = self
            .pieces
            .partition_point(|(offset, _)| *offset <= start)
            .checked_sub(1)
            .ok_or_else(absent)?;

        let (offset, bytes) = self.pieces.get(at).ok_or_else(absent)?;
        let from = usize::try_from(start - offset)
            .ok()
            .filter(|from| *from < bytes.len())
            .ok_or_else(absent)?;

        Ok(bytes.slice(from..bytes.len().min(from.saturating_add(length))))
    }
}

impl Length for SparseFile {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for SparseFile {
    type T = SparseReader;

    fn get_read(&self, start: u64) -> Result<SparseReader, ParquetError> {
        Ok(SparseReader {
            file: self.clone(),
            offset: start,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length == 0 {
            return Ok(Bytes::new());
        }

        let first = self.piece(start, length)?;
        if first.len() == length {
            return Ok(first);
        }

        let mut whole = Vec::with_capacity(length);
        whole.extend_from_slice(&first);

        while whole.len() < length {
            whole.extend_from_slice(&self.piece(start + whole.len() as u64, length - whole.len())?);
        }

        Ok(whole.into())
    }
}

/// Reads the file sequentially from an offset.
#[derive(Debug)]
pub(crate) struct SparseReader {
    file: SparseFile,
    offset: u64,
}

impl io::Read for SparseReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.offset >= self.file.size {
            return Ok(0);
        }

        let mut piece = self
            .file
            .piece(self.offset, out.len())
            .map_err(io::Error::other)?;

        let length = piece.len();
        piece.copy_to_slice(&mut out[..length]);
        self.offset += length as u64;

        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use super::{SparseFile, coalesce};

    #[test]
    fn neighbours_and_small_gaps_are_one_run() {
        let range = |i: usize| (i as u64 * 100)..(i as u64 * 100 + 100);
        assert_eq!(coalesce(vec![0, 1, 3, 7], range, 0), [0..2, 3..4, 7..8]);
        assert_eq!(coalesce(vec![0, 1, 3, 7], range, 100), [0..4, 7..8]);
        assert_eq!(coalesce(vec![], range, 100), Vec::<Range<usize>>::new());
    }

    #[test]
    fn a_sparse_file_gives_what_it_has_and_an_error_for_the_rest() {
        let pieces = vec![
            (10, Bytes::from_static(b"abc")),
            (13, Bytes::from_static(b"def")),
        ];

        let file = SparseFile {
            size: 100,
            pieces: pieces.into(),
        };

        assert_eq!(&file.get_bytes(11, 4).unwrap()[..], b"bcde");

        for (start, length) in [(9, 1), (12, 10), (16, 1), (99, 1)] {
            assert!(file.get_bytes(start, length).is_err(), "{start}");
        }

        let mut six = [0; 6];
        file.get_read(10).unwrap().read_exact(&mut six).unwrap();

        assert_eq!(&six, b"abcdef");
    }
}
