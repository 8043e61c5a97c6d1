//! Gets and verifies extents of one file. The Parquet decoders read them as if the whole file were
//! here.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use duramen_cache::Expected;
use duramen_runtime::Flight;
use duramen_source::{Read, Reads};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Error;
use crate::layout::meta::FileMeta;
use crate::read::cache::{ExtentCache, ExtentKey};
use crate::read::cost::GetCost;
use crate::read::fetcher::{Fetcher, Landed};
use crate::read::get::{Get, GetError};
use crate::read::gets;
use crate::read::options::OpenOptions;

/// Where one file of a block is, and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: Path,
    pub(crate) dir: Arc<Path>,
    pub(crate) index: u32,
    pub(crate) meta: Arc<FileMeta>,
    pub(crate) cost: GetCost,
    pub(crate) cache: Option<Arc<ExtentCache>>,
    pub(crate) fetcher: Arc<Fetcher>,
}

/// The extents that are at hand, and those that are on their way.
struct Begun {
    pieces: Vec<(u64, Bytes)>,
    flights: Vec<(Flight<Landed>, Payer)>,
}

/// The reader who began a flight. Its cost counts for that reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payer {
    ThisReader,
    AnotherReader,
}

/// Which caches the extents of a GET go to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Memory,
    DiskToo,
}

impl RemoteFile {
    /// Describes file `index` of the folder `dir`, which is read as `options` say.
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        dir: &Arc<Path>,
        index: usize,
        meta: FileMeta,
        options: &OpenOptions,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            key: Path::clone(dir).join(meta.name.as_str()),
            dir: Arc::clone(dir),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            meta: Arc::new(meta),
            cost: options.cost,
            cache: options.cache.clone(),
            fetcher: Arc::clone(&options.fetcher),
        }
    }

    /// Returns the extents that cover `wanted`. Those that are neither in a cache nor on their way
    /// to another reader are fetched side by side, in one trip, by as few GETs as the cost of the
    /// store allows.
    ///
    /// Every extent is verified before it is returned or cached. If the check fails, the extent is
    /// fetched once more, because a proxy may cut a response or flip a bit. The second failure is
    /// [`Error::Checksum`] or [`Error::Size`].
    pub(crate) async fn fetch(
        &self,
        wanted: &[Range<u64>],
        reads: &Reads,
    ) -> Result<SparseFile, Error> {
        let mut extents = self.covering(wanted);
        let on_disk = self.take_from_disk(&mut extents, reads).await;
        let Begun {
            mut pieces,
            flights,
        } = self.begin(&extents, reads);

        pieces.extend(on_disk);

        let landing = flights
            .into_iter()
            .map(|(flight, payer)| async move { (flight.await, payer) });
        let mut landing: FuturesUnordered<_> = landing.collect();

        while let Some((landed, payer)) = landing.next().await {
            let landed = landed.ok_or_else(|| Error::stopped(self.key.clone()))?;
            if payer == Payer::ThisReader {
                reads.add_all(&landed.reads);
            }

            pieces.extend(landed.extents?);
        }

        // A run that another reader began may have extents that are in the cache too.
        pieces.sort_unstable_by_key(|(start, _)| *start);
        pieces.dedup_by_key(|(start, _)| *start);

        Ok(SparseFile {
            size: self.meta.bytes,
            pieces: pieces.into(),
        })
    }

    /// Returns the extents that cover `wanted`, in ascending order.
    fn covering(&self, wanted: &[Range<u64>]) -> Vec<usize> {
        let mut extents: Vec<usize> = wanted
            .iter()
            .flat_map(|range| self.meta.extents.covering(range))
            .collect();

        extents.sort_unstable();
        extents.dedup();
        extents
    }

    /// Returns those of `wanted` that are on the disk and not in memory, and takes them from
    /// `wanted`.
    async fn take_from_disk(&self, wanted: &mut Vec<usize>, reads: &Reads) -> Vec<(u64, Bytes)> {
        let Some(cache) = &self.cache else {
            return Vec::new();
        };

        let extents = &self.meta.extents;
        let expected = |extent| {
            let range = extents.range(extent);
            Expected {
                crc: extents.checksum(extent),
                length: range.end - range.start,
            }
        };

        let asked = wanted
            .iter()
            .map(|&extent| (self.cache_key(extent), expected(extent)));
        let found = cache.find_on_disk(asked).await;

        // Both are in the order of the extents.
        let mut pieces = Vec::with_capacity(found.len());
        let mut found = found.into_iter().peekable();

        wanted.retain(|&extent| {
            let is_next = |(key, _): &(ExtentKey, Bytes)| key.extent as usize == extent;
            let Some((_, bytes)) = found.next_if(is_next) else {
                return true;
            };

            reads.add(Read::DiskHits, 1);
            reads.add(Read::DiskBytes, bytes.len() as u64);
            pieces.push((extents.range(extent).start, bytes));
            false
        });

        pieces
    }

    /// Takes the extents that are in memory, joins the flights that bring others, and starts
    /// flights for the rest.
    fn begin(&self, wanted: &[usize], reads: &Reads) -> Begun {
        let mut pieces = Vec::with_capacity(wanted.len());
        let mut flights = Vec::new();
        let mut missing = Vec::new();
        let mut board = self.fetcher.flights.board();

        for &extent in wanted {
            // A flight leaves the board after its extents are in the cache, so the board comes
            // first. A flight that was joined brings its neighbours too.
            let joined = board.find(&self.cache_key(extent));
            if let Some(flight) = joined {
                if !flights.iter().any(|(known, _)| flight.is(known)) {
                    reads.add(Read::Shared, 1);
                    flights.push((flight, Payer::AnotherReader));
                }
            } else if let Some(bytes) = self.cached(extent) {
                reads.add(Read::CacheHits, 1);
                reads.add(Read::CacheBytes, bytes.len() as u64);
                pieces.push((self.meta.extents.range(extent).start, bytes));
            } else {
                missing.push(extent);
            }
        }

        let goal = self.goal(reads);
        for run in gets::plan(&missing, |i| self.meta.extents.range(i), self.cost) {
            let keys = run.clone().map(|extent| self.cache_key(extent)).collect();
            let part = Arc::new(reads.part());
            let work = self.clone().bring(run, part, goal);
            let flight = self.fetcher.flights.start(&mut board, keys, work);
            flights.push((flight, Payer::ThisReader));
        }

        Begun { pieces, flights }
    }

    /// Checks `bytes`, which must be the whole file, and puts its extents into the cache. Returns
    /// the file if the bytes are right.
    pub(crate) fn verified(&self, bytes: &Bytes) -> Option<SparseFile> {
        let whole = 0..self.meta.extents.len();
        let extents = if bytes.len() as u64 == self.meta.bytes {
            self.split(&whole, bytes.clone()).ok()?
        } else {
            return None;
        };

        self.keep(whole, &extents, Goal::DiskToo);
        Some(SparseFile {
            size: self.meta.bytes,
            pieces: Arc::new([(0, bytes.clone())]),
        })
    }

    fn cached(&self, extent: usize) -> Option<Bytes> {
        self.cache.as_ref()?.get(&self.cache_key(extent))
    }

    /// Where the extents go that a selection gets from now on.
    fn goal(&self, reads: &Reads) -> Goal {
        let so_far = reads.get(Read::GetBytes);
        let cache = self.cache.as_ref();

        match cache.filter(|cache| cache.admits(so_far)) {
            Some(_) => Goal::DiskToo,
            None => Goal::Memory,
        }
    }

    fn keep(&self, run: Range<usize>, extents: &[(u64, Bytes)], goal: Goal) {
        let Some(cache) = &self.cache else { return };
        for (extent, (_, bytes)) in run.zip(extents) {
            let key = self.cache_key(extent);
            if goal == Goal::DiskToo {
                cache.write_behind(&key, self.meta.extents.checksum(extent), bytes);
            }

            cache.insert(key, bytes);
        }
    }

    fn cache_key(&self, extent: usize) -> ExtentKey {
        ExtentKey {
            dir: Arc::clone(&self.dir),
            file: self.index,
            // The body of `meta` has at most 64 MiB and a checksum for each extent, so the number
            // fits.
            extent: u32::try_from(extent).unwrap_or(u32::MAX),
        }
    }

    /// Gets the extents `run`, which are neighbours, by one GET, and by a second one if the first
    /// brought damage.
    async fn bring(self, run: Range<usize>, reads: Arc<Reads>, goal: Goal) -> Landed {
        let mut extents = self.try_run(&run, &reads).await;
        if extents.as_ref().is_err_and(GetError::is_damage) {
            extents = self.try_run(&run, &reads).await;
        }

        if let Ok(extents) = &extents {
            self.keep(run, extents, goal);
        }

        Landed { extents, reads }
    }

    async fn try_run(
        &self,
        run: &Range<usize>,
        reads: &Reads,
    ) -> Result<Vec<(u64, Bytes)>, GetError> {
        let extents = &self.meta.extents;
        let get = Get {
            store: Arc::clone(&self.store),
            key: self.key.clone(),
            size: self.meta.bytes,
            range: Some(extents.range(run.start).start..extents.range(run.end - 1).end),
        };

        let bytes = self.fetcher.get(&get, reads).await?;
        self.split(run, bytes)
    }

    /// Splits the bytes of the extents `run` and compares each with its checksum.
    fn split(&self, run: &Range<usize>, mut bytes: Bytes) -> Result<Vec<(u64, Bytes)>, GetError> {
        let extents = &self.meta.extents;
        let mut pieces = Vec::with_capacity(run.len());

        for index in run.clone() {
            let extent = extents.range(index);
            let length = usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX);
            let piece = bytes.split_to(length.min(bytes.len()));
            let expected = extents.checksum(index);
            let actual = crc32c::crc32c(&piece);

            if expected != actual {
                return Err(GetError::Checksum {
                    key: self.key.clone(),
                    offset: extent.start,
                    expected,
                    actual,
                });
            }

            pieces.push((extent.start, piece));
        }

        Ok(pieces)
    }
}

/// A file of which only some extents are in memory. It is an error to read outside of them.
#[derive(Clone, Debug)]
pub(crate) struct SparseFile {
    size: u64,
    /// The extents, ascending by offset. They do not overlap.
    pieces: Arc<[(u64, Bytes)]>,
}

impl SparseFile {
    /// Whether both are the same extents in memory.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pieces, &other.pieces)
    }

    /// Makes a file of `size` bytes of its extents, which ascend.
    #[cfg(test)]
    pub(crate) fn of(size: u64, pieces: Vec<(u64, Bytes)>) -> Self {
        Self {
            size,
            pieces: pieces.into(),
        }
    }

    /// Returns the number of bytes that are in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.pieces.iter().map(|(_, bytes)| bytes.len()).sum()
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
