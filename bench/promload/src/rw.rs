//! The `.rw` file: write requests, ready to send.
//!
//! A [`Header`] line, then records `u32 len | u32 samples | u32 shard | bytes`, little-endian,
//! where `bytes` is a snappy block of a protobuf `WriteRequest`. Records of one shard must be sent
//! in order; shards are independent, because a series lives in one shard.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};

use crate::header::Header;
use crate::wire::{put_series, walk};

/// A request that says it is larger than this once decompressed is taken for damage.
const REQUEST_BYTES_MAX: usize = 256 << 20;
const RECORD_HEAD_LEN: u64 = 12;

/// Writes a `.rw` file: collects samples by shard and writes a record when one has a full batch.
pub(crate) struct RwWriter {
    file: BufWriter<File>,
    pending: Vec<Pending>,
    encoder: snap::raw::Encoder,
    compressed: Vec<u8>,
    batch: u32,
    header: Header,
}

#[derive(Clone, Default)]
struct Pending {
    request: Vec<u8>,
    samples: u32,
}

impl RwWriter {
    /// `batch` is the number of samples in a full request.
    pub(crate) fn create(path: &str, shards: usize, batch: u32) -> Result<Self> {
        ensure!(
            shards > 0 && batch > 0,
            "a file needs a shard and a batch of one at least"
        );

        let file = File::create(path).with_context(|| format!("create a file. path=`{path}`"))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&Header::default().to_line())?;

        Ok(Self {
            file,
            pending: vec![Pending::default(); shards],
            encoder: snap::raw::Encoder::new(),
            compressed: vec![],
            batch,
            header: Header {
                start_ms: i64::MAX,
                end_ms: i64::MIN,
                ..Header::default()
            },
        })
    }

    /// `labels` are encoded; all samples of a series go to the same `shard`.
    #[inline]
    pub(crate) fn push(
        &mut self,
        shard: usize,
        labels: &[u8],
        ts_ms: i64,
        value: f64,
    ) -> Result<()> {
        let pending = &mut self.pending[shard];
        put_series(&mut pending.request, labels, ts_ms, value);
        pending.samples += 1;
        self.header.samples += 1;
        self.header.start_ms = self.header.start_ms.min(ts_ms);
        self.header.end_ms = self.header.end_ms.max(ts_ms);

        if pending.samples >= self.batch {
            self.write_record(shard)?;
        }

        Ok(())
    }

    fn write_record(&mut self, shard: usize) -> Result<()> {
        let Pending { request, samples } = &mut self.pending[shard];
        if *samples == 0 {
            return Ok(());
        }

        self.compressed
            .resize(snap::raw::max_compress_len(request.len()), 0);

        let len = self.encoder.compress(request, &mut self.compressed)?;
        for field in [u32::try_from(len)?, *samples, u32::try_from(shard)?] {
            self.file.write_all(&field.to_le_bytes())?;
        }

        self.file.write_all(&self.compressed[..len])?;
        self.header.requests += 1;
        self.header.proto_bytes += request.len() as u64;
        request.clear();
        *samples = 0;

        Ok(())
    }

    /// Writes what is pending and the header. Not synced to disk.
    pub(crate) fn finish(mut self, series: u64, interval_ms: i64, note: String) -> Result<Header> {
        for shard in 0..self.pending.len() {
            self.write_record(shard)?;
        }

        let mut header = Header {
            series,
            interval_ms,
            note,
            ..self.header
        };

        if header.samples == 0 {
            (header.start_ms, header.end_ms) = (0, 0);
        }

        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;

        file.write_all_at(&header.to_line(), 0)?;
        Ok(header)
    }
}

/// Where a record's bytes are.
#[derive(Debug)]
pub(crate) struct Record {
    offset: u64,
    pub(crate) len: u32,
    pub(crate) samples: u32,
    pub(crate) shard: u32,
}

/// An open `.rw` file and the index of its records; the payload stays on disk.
#[derive(Debug)]
pub(crate) struct RwFile {
    file: File,
    pub(crate) header: Header,
    pub(crate) records: Vec<Record>,
}

impl RwFile {
    pub(crate) fn open(path: &str) -> Result<Self> {
        Self::open_inner(path).with_context(|| format!("open a data file. path=`{path}`"))
    }

    fn open_inner(path: &str) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut line = [0; Header::LEN];

        file.read_exact_at(&mut line, 0)?;

        let header = Header::parse(&line)?;
        let mut records = vec![];
        let mut at = Header::LEN as u64;

        while at < size {
            let record = Self::record_at(&file, at)
                .with_context(|| format!("record cut short. offset=`{at}`"))?;
            let end = record.offset + u64::from(record.len);
            ensure!(
                end <= size,
                "record cut short. offset=`{at}`, end=`{end}`, size=`{size}`"
            );

            records.push(record);
            at = end;
        }

        Ok(Self {
            file,
            header,
            records,
        })
    }

    fn record_at(file: &File, at: u64) -> Result<Record> {
        let mut fields = [[0; 4]; 3];
        file.read_exact_at(fields.as_flattened_mut(), at)?;

        let [len, samples, shard] = fields.map(u32::from_le_bytes);
        Ok(Record {
            offset: at + RECORD_HEAD_LEN,
            len,
            samples,
            shard,
        })
    }

    /// Reads the compressed request of `record` into `buf`, which is resized to it.
    pub(crate) fn read(&self, record: &Record, buf: &mut Vec<u8>) -> Result<()> {
        buf.resize(record.len as usize, 0);
        self.file.read_exact_at(buf, record.offset)?;
        Ok(())
    }

    /// Decodes every record in file order; the arguments are those of [`walk`].
    pub(crate) fn for_each(&self, mut on_sample: impl FnMut(&[u8], i64, f64)) -> Result<()> {
        let mut compressed = vec![];
        let mut decoder = RequestDecoder::default();

        for record in &self.records {
            self.read(record, &mut compressed)?;
            walk(decoder.decompress(&compressed)?, &mut on_sample)?;
        }

        Ok(())
    }
}

/// Decompresses write requests into one buffer that it keeps.
#[derive(Default)]
pub(crate) struct RequestDecoder {
    decoder: snap::raw::Decoder,
    request: Vec<u8>,
}

impl RequestDecoder {
    pub(crate) fn decompress(&mut self, compressed: &[u8]) -> Result<&[u8]> {
        let len = snap::raw::decompress_len(compressed)?;
        ensure!(
            len <= REQUEST_BYTES_MAX,
            "write request too large. bytes=`{len}`, max=`{REQUEST_BYTES_MAX}`"
        );

        if self.request.len() < len {
            self.request.resize(len, 0);
        }

        let len = self
            .decoder
            .decompress(compressed, &mut self.request[..len])?;
        Ok(&self.request[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put_label;

    fn scratch(name: &str) -> String {
        let dir = std::env::temp_dir();
        dir.join(format!("promload-{}-{name}", std::process::id()))
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn samples_come_back_and_a_cut_file_is_refused() {
        let path = scratch("cut.rw");
        let mut labels = vec![];
        put_label(&mut labels, "__name__", "up");

        let mut writer = RwWriter::create(&path, 2, 3).unwrap();
        for k in 0..10 {
            writer.push(k % 2, &labels, k as i64, k as f64).unwrap();
        }

        let header = writer.finish(2, 1, "test".into()).unwrap();
        assert_eq!(
            (
                header.samples,
                header.requests,
                header.start_ms,
                header.end_ms
            ),
            (10, 4, 0, 9)
        );

        let mut values = vec![];
        RwFile::open(&path)
            .unwrap()
            .for_each(|_, ts_ms, value| values.push((ts_ms, value)))
            .unwrap();

        values.sort_by_key(|v| v.0);
        assert_eq!(values, (0..10).map(|k| (k, k as f64)).collect::<Vec<_>>());

        let bytes = std::fs::read(&path).unwrap();
        for cut in [1, 20, bytes.len() - Header::LEN - 5, bytes.len() - 100] {
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            assert!(RwFile::open(&path).is_err(), "cut={cut}");
        }

        std::fs::remove_file(&path).unwrap();
    }
}
