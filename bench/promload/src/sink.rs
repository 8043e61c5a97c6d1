//! The smallest possible receiver: the floor of the protocol itself, measured with the same client.
//!
//! Kernel TCP, HTTP, snappy, protobuf and series identity, one after the other. Loopback only;
//! nothing is durable.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::identity::{SeriesTable, hash_labels};
use crate::rw::RequestDecoder;
use crate::wire::walk;

/// How far a request is taken before it is acknowledged; each mode includes those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Mode {
    /// HTTP only.
    Discard,
    /// And decompress.
    Snappy,
    /// And walk over the samples.
    Decode,
    /// And find the number of each series.
    Identify,
    /// And append to a buffer of the series' last 32 samples.
    Buffer,
}

const BODY_BYTES_MAX: usize = 256 << 20;
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";

/// Serves until the process is ended, one thread per connection. A broken request ends its
/// connection.
pub(crate) fn run(port: u16, mode: Mode) -> Result<()> {
    let listener =
        TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("listen. port=`{port}`"))?;

    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = serve(stream, mode) {
                eprintln!("connection ended: {error:#}");
            }
        });
    }

    Ok(())
}

fn serve(stream: TcpStream, mode: Mode) -> Result<()> {
    stream.set_nodelay(true)?;

    let mut input = BufReader::with_capacity(1 << 18, stream);
    let mut body = vec![];
    let mut decoder = RequestDecoder::default();
    let mut series = Series::default();

    while let Some(length) = content_length(&mut input)? {
        body.resize(length, 0);
        input.read_exact(&mut body)?;

        if mode > Mode::Discard {
            let request = decoder.decompress(&body)?;
            black_box(take(request, mode, &mut series)?);
        }

        input.get_mut().write_all(ANSWER)?;
    }

    Ok(())
}

/// Reads a request's head; `None` when the client has closed the connection.
fn content_length(input: &mut impl BufRead) -> Result<Option<usize>> {
    let mut length = 0;
    let mut line = String::new();

    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }

        if line.trim_end().is_empty() {
            return Ok(Some(length));
        }

        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
            ensure!(
                length <= BODY_BYTES_MAX,
                "request too large. bytes=`{length}`"
            );
        }
    }
}

fn take(request: &[u8], mode: Mode, series: &mut Series) -> Result<u64> {
    let mut sum = 0;

    match mode {
        Mode::Discard | Mode::Snappy => {}
        Mode::Decode => walk(request, |labels, ts, value| {
            sum ^= labels.len() as u64 ^ ts as u64 ^ value.to_bits()
        })?,
        Mode::Identify => walk(request, |labels, _, _| {
            sum ^= series.identify(labels) as u64
        })?,
        Mode::Buffer => walk(request, |labels, ts, value| {
            let id = series.identify(labels);
            series.buffers[id].push(ts, value);
            sum ^= id as u64;
        })?,
    }

    Ok(sum)
}

/// The series of one connection: the client keeps a series on one connection.
#[derive(Default)]
struct Series {
    by_hash: SeriesTable<u32>,
    buffers: Vec<Buffer>,
    /// Senders repeat one order at each scrape: for each series the hash and number of the one seen
    /// after it.
    next: Vec<(u64, u32)>,
    previous: usize,
}

impl Series {
    fn identify(&mut self, labels: &[u8]) -> usize {
        let hash = hash_labels(labels);
        let id = match self.next.get(self.previous) {
            Some(&(expected, id)) if expected == hash => id,
            _ => self.look_up(hash),
        };

        self.previous = id as usize;
        self.previous
    }

    fn look_up(&mut self, hash: u64) -> u32 {
        let fresh = self.buffers.len() as u32;
        let id = *self.by_hash.entry(hash).or_insert(fresh);

        if id == fresh {
            self.buffers.push(Buffer::default());
            self.next.push((0, 0));
        }

        if let Some(next) = self.next.get_mut(self.previous) {
            *next = (hash, id);
        }

        id
    }
}

#[derive(Clone, Default)]
struct Buffer {
    count: u32,
    samples: [(i64, f64); 32],
}

impl Buffer {
    fn push(&mut self, ts_ms: i64, value: f64) {
        self.samples[self.count as usize % 32] = (ts_ms, value);
        self.count = self.count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_its_number_in_any_order() {
        let mut series = Series::default();
        let ids: Vec<usize> = [b"a", b"b", b"c", b"a", b"c", b"b"]
            .map(|labels| series.identify(labels))
            .to_vec();

        assert_eq!(ids, [0, 1, 2, 0, 2, 1]);
    }
}
