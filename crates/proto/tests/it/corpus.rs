//! A committed corpus of bodies of remote write 1.0, sound and damaged. What our decoder reads of a
//! body, prost reads as well, with the same floats and labels.
//!
//! `DURAMEN_BLESS=1` makes the corpus anew: bodies that are written by hand below, and random
//! damage to them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write;
use std::path::PathBuf;

use duramen_model::Life;
use duramen_proto::{WriteRequest, wire};
use duramen_testkit::prompb::{Message, v1};

use crate::sent::{Pairs, limits};

/// The labels of a series and its floats: time, bits and ttl.
type Read = (Pairs, Vec<(i64, u64, i64)>);

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/write-v1.txt")
}

/// Returns what our decoder reads. `None` if it refuses any part, a text is not UTF-8, or there is
/// nothing to store: prost also judges the texts of a series that brings nothing.
fn ours(body: &[u8]) -> Option<Vec<Read>> {
    let request = WriteRequest::decode_v1(body, &limits(body)).ok()?;
    let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
    let text_of = |pairs: Vec<(&[u8], &[u8])>| -> Option<Pairs> {
        pairs
            .into_iter()
            .map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect()
    };

    for exemplar in &request.exemplars {
        text_of(request.exemplar_labels(exemplar).ok()?)?;
    }

    for metadata in &request.metadata {
        for bytes in [metadata.family, metadata.help, metadata.unit] {
            text(bytes)?;
        }
    }

    let read = request.series.iter().enumerate().map(|(at, series)| {
        let life = |at: usize| request.lives.get(at).copied().unwrap_or(Life::NONE);
        let floats = series.samples().map(|at| {
            (
                request.ts_ms[at],
                request.values[at].to_bits(),
                life(at).ttl_ms,
            )
        });

        let labels = text_of(request.labels(at).ok()?)?;
        assert_eq!(labels.len(), request.labels_count(at));
        Some((labels, floats.collect()))
    });

    let read: Vec<Read> = read.collect::<Option<_>>()?;
    (!read.is_empty()).then_some(read)
}

/// Returns what prost reads, without series that bring nothing.
fn theirs(body: &[u8]) -> Option<Vec<Read>> {
    let request = v1::WriteRequest::decode(body).ok()?;
    let brings = |series: &&v1::TimeSeries| {
        !(series.samples.is_empty() && series.histograms.is_empty() && series.exemplars.is_empty())
    };

    let read = request.timeseries.iter().filter(brings).map(|series| {
        let labels = series
            .labels
            .iter()
            .map(|label| (label.name.clone(), label.value.clone()));
        let floats = series
            .samples
            .iter()
            .map(|sample| (sample.timestamp, sample.value.to_bits(), sample.ttl_ms));

        (labels.collect(), floats.collect())
    });

    Some(read.collect())
}

fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut label = Vec::new();
    wire::put_bytes(&mut label, 1, name);
    wire::put_bytes(&mut label, 2, value);
    field(1, &label)
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    wire::put_bytes(&mut field, number, bytes);
    field
}

fn sample(value: Option<f64>, ts_ms: Option<i64>) -> Vec<u8> {
    let mut sample = Vec::new();
    if let Some(value) = value {
        wire::put_fixed64(&mut sample, 1, value.to_bits());
    }

    if let Some(ts_ms) = ts_ms {
        wire::put_varint_field(&mut sample, 2, ts_ms.cast_unsigned());
    }

    field(2, &sample)
}

/// Series in every form for which the decoder has a path of its own, and those next to it.
fn by_hand() -> Vec<Vec<u8>> {
    const NOW_MS: i64 = 1_760_400_000_000;

    let name = label(b"__name__", b"up");
    let plain = sample(Some(1.5), Some(NOW_MS));
    let times = [
        0,
        1,
        -1,
        1 << 35,
        (1 << 35) - 1,
        (1 << 42) - 1,
        1 << 42,
        i64::MIN,
    ];
    let mut series: Vec<Vec<u8>> = times
        .iter()
        .flat_map(|ts| [Some(0.5), None].map(|value| [&*name, &*sample(value, Some(*ts))].concat()))
        .collect();

    // A time of six bytes that says less than six, and a sample whose fields are turned round.
    let long_time = [
        &[9][..],
        &2.5f64.to_bits().to_le_bytes(),
        &[16, 0x81, 0x80, 0x80, 0x80, 0x80, 0],
    ]
    .concat();
    let turned = [&[16, 5, 9][..], &2.5f64.to_bits().to_le_bytes()].concat();
    let with_ttl = [&long_time[..], &[0x18, 7]].concat();
    let open = [&long_time[..long_time.len() - 1], &[0x81]].concat();
    let short = [&long_time[..10], &[5, 0x18, 0x87, 0x80, 0x80, 0]].concat();

    for odd in [
        &long_time,
        &turned,
        &with_ttl,
        &open,
        &short,
        &long_time[..9].to_vec(),
        &vec![16, 1, 16, 2],
    ] {
        series.push([&*name, &*field(2, odd)].concat());
    }

    series.extend([
        [&*plain, &*name].concat(),
        [&*name, &*plain, &*label(b"late", b"x")].concat(),
        [
            &*name,
            &*label(b"long", &[b'v'; 200]),
            &*label(b"short", b"x"),
            &*plain,
        ]
        .concat(),
        [&*name, &*label(b"edge", &[b'v'; 117]), &*plain].concat(),
        [&*name, &*label(b"edge", &[b'v'; 118]), &*plain].concat(),
        [
            &*name,
            &*label(b"", b""),
            &*label(b"not utf8", b"\xff"),
            &*plain,
        ]
        .concat(),
        [&[0x8a, 0x00, 2, 10, 0][..], &*name, &*plain].concat(),
        [&[0x0a, 0x80, 0x00][..], &*name, &*plain].concat(),
        [
            &*name,
            &*sample(Some(2.0), None),
            &*sample(None, None),
            &*plain,
            &*plain,
        ]
        .concat(),
        [&*name, &*plain, &[0x0a, 0x7f][..]].concat(),
        [&*name, &*plain, &[0x78, 1][..]].concat(),
        name.clone(),
        plain,
        Vec::new(),
    ]);

    let mut bodies: Vec<Vec<u8>> = series.iter().map(|series| field(1, series)).collect();
    let sound = bodies.iter().filter(|body| ours(body).is_some());
    bodies.push(sound.flatten().copied().collect());
    bodies
}

/// The corpus made anew: the bodies by hand, and damage to each.
fn made() -> String {
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };

    let mut lines = String::new();
    let mut line = |body: &[u8]| {
        body.iter()
            .for_each(|byte| write!(lines, "{byte:02x}").unwrap());
        lines.push('\n');
    };

    for body in by_hand() {
        line(&body);

        for _ in 0..8 {
            let mut damaged = body.clone();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                match (random(4), damaged.get_mut(at)) {
                    (0, Some(byte)) => *byte = random(256).to_le_bytes()[0],
                    (1, Some(byte)) => *byte ^= 1 << random(8),
                    (2, Some(_)) => _ = damaged.remove(at),
                    _ => damaged.insert(at, random(256).to_le_bytes()[0]),
                }
            }

            line(&damaged);
        }
    }

    lines
}

#[test]
fn what_is_read_of_the_corpus_is_what_prost_reads() {
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        std::fs::create_dir_all(path().parent().unwrap()).unwrap();
        std::fs::write(path(), made()).unwrap();
    }

    let corpus = std::fs::read_to_string(path()).unwrap();
    let mut read = 0;
    let mut refused = 0;

    for line in corpus.lines() {
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let body: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();

        match ours(&body) {
            None => refused += 1,
            ours => {
                assert_eq!(ours, theirs(&body), "{line}");
                read += 1;
            }
        }
    }

    assert!(read > 60 && refused > 100, "{read} read, {refused} refused");
}
