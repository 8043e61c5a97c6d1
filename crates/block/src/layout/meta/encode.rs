//! Writes `meta`.

use std::io;

use crate::layout::meta::numbers::Out;
use crate::layout::meta::{
    BODY_BYTES_MAX, CHUNKS_MAX, Described, FENCE_BYTES_MAX, Fence, MAGIC, Meta, PAGES_MAX,
    SECTION_FENCES, SECTION_FILES, SeriesMeta,
};
use crate::layout::pages::{Chunk, Page, Pages};

/// The body is small, so a high level costs little.
const ZSTD_LEVEL: i32 = 19;

/// Returns the bytes of `meta`. An error if the block is too large to be described.
pub(crate) fn encode(meta: &Meta) -> io::Result<Vec<u8>> {
    let mut body = Out::default();

    let mut files = Out::default();
    put_files(&mut files, &meta.files);
    put_section(&mut body, SECTION_FILES, &files);

    if !meta.fences.is_empty() {
        let mut fences = Out::default();
        put_fences(&mut fences, &meta.fences);
        put_section(&mut body, SECTION_FENCES, &fences);
    }

    let body = body.0;
    let count = |of: fn(&Pages) -> usize| meta.files.iter().map(|f| of(&f.pages)).sum::<usize>();
    let chunks = count(|pages| pages.chunks.len());
    let pages = count(|pages| pages.pages.len());

    if body.len() > BODY_BYTES_MAX || chunks > CHUNKS_MAX || pages > PAGES_MAX {
        return Err(io::Error::other("the block is too large for its meta"));
    }

    let packed = zstd::bulk::compress(&body, ZSTD_LEVEL)?;
    let mut out = MAGIC.to_vec();

    for length in [body.len(), packed.len()] {
        let length = u32::try_from(length).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_le_bytes());
    }

    out.extend_from_slice(&packed);

    for extents in meta.files.iter().map(|described| &described.file.extents) {
        for i in 0..extents.len() {
            out.extend_from_slice(&extents.checksum(i).to_le_bytes());
        }
    }

    Ok(out)
}

fn put_section(body: &mut Out, kind: u8, section: &Out) {
    body.0.push(kind);
    body.text(&section.0);
}

fn put_files(out: &mut Out, files: &[Described]) {
    out.length(files.len());

    for Described {
        file,
        pages,
        series,
    } in files
    {
        out.text(file.name.as_bytes());
        out.varint(file.bytes);
        put_pages(out, pages);

        // So that a reader which does not know the file finds the next one.
        let mut own = Out::default();
        if let Some(series) = series {
            put_series(&mut own, series);
        }

        out.text(&own.0);
    }
}

fn put_pages(out: &mut Out, pages: &Pages) {
    let groups = pages.group_rows.len();
    let by_column = || {
        (0..pages.columns).flat_map(move |column| {
            (0..groups).filter_map(move |group| pages.chunk(group * pages.columns + column))
        })
    };

    let of_chunks = |read: fn(&Chunk, &[Page]) -> u64| {
        by_column()
            .map(|(chunk, pages)| read(chunk, pages))
            .collect::<Vec<_>>()
    };

    out.length(pages.columns);
    out.length(groups);
    out.numbers(&numbers(pages.group_rows.iter().copied()));
    out.numbers(&of_chunks(|_, pages| pages.len() as u64));
    out.numbers(&of_chunks(|chunk, _| u64::from(chunk.dictionary_bytes)));
    out.numbers(&of_chunks(|chunk, _| u64::from(chunk.has_values)));

    for column in 0..pages.columns {
        let chunks = || (0..groups).filter_map(|group| pages.chunk(group * pages.columns + column));
        let all = chunks().flat_map(|(_, pages)| pages);
        let but_last = chunks().flat_map(|(_, pages)| pages.split_last().map_or(&[][..], |p| p.1));

        out.numbers(&numbers(all.map(|page| page.bytes)));
        out.numbers(&numbers(but_last.map(|page| page.rows)));
    }
}

fn put_series(out: &mut Out, SeriesMeta { schema, names }: &SeriesMeta) {
    let flags = u64::from(schema.histograms) | u64::from(schema.exemplars) << 1;
    out.varint(flags);
    out.length(schema.promoted.len());

    for name in &schema.promoted {
        out.text(name.as_bytes());
    }

    for bounds in names {
        out.text(bounds.first.as_bytes());
        out.text(bounds.last.as_bytes());
    }
}

/// Labels have one more than their length, so that 0 can stand for none.
fn put_fences(out: &mut Out, fences: &[Fence]) {
    out.length(fences.len());
    out.numbers(&fences.iter().map(|f| f.first_sample).collect::<Vec<_>>());

    for labels in fences.iter().map(|fence| &fence.labels) {
        match labels {
            Some(labels) if labels.encoded().len() <= FENCE_BYTES_MAX => {
                out.length(labels.encoded().len() + 1);
                out.0.extend_from_slice(labels.encoded());
            }
            _ => out.length(0),
        }
    }
}

fn numbers(numbers: impl Iterator<Item = u32>) -> Vec<u64> {
    numbers.map(u64::from).collect()
}
