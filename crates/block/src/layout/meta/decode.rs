//! Reads `meta`. It trusts nothing in the bytes, and takes no memory because they claim something.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::io::Read;

use duramen_model::{Labels, NameBounds};

use crate::layout::extent::Extents;
use crate::layout::file_names::SERIES_FILE;
use crate::layout::meta::numbers::In;
use crate::layout::meta::{
    BODY_BYTES_MAX, CHUNKS_MAX, COLUMNS_MAX, DICTIONARY_BYTES_MIN, Described, FENCE_BYTES_MAX,
    FILES_MAX, Fence, FileMeta, MAGIC, MAGIC_START, Meta, PAGE_BYTES_MIN, PAGES_MAX, REQUIRED,
    SECTION_FENCES, SECTION_FILES, SeriesMeta,
};
use crate::layout::pages::{Chunk, Page, Pages};
use crate::layout::schema::SeriesSchema;

/// Decodes what [`super::encode::encode`] made. The error says what is wrong.
pub(crate) fn decode(bytes: &[u8]) -> Result<Meta, &'static str> {
    let mut rest = In(bytes);
    version(&mut rest)?;

    let body_bytes = word(&mut rest).filter(|length| *length <= BODY_BYTES_MAX);
    let body_bytes = body_bytes.ok_or("the body of meta is too long")?;
    let packed = word(&mut rest).and_then(|length| rest.take(length));
    let body = unpack(packed.ok_or("meta ends within its body")?, body_bytes)?;

    decode_body(&body, rest.0)
}

/// Decodes an unpacked body and the checksums behind it.
pub(crate) fn decode_body(body: &[u8], checksums: &[u8]) -> Result<Meta, &'static str> {
    let mut checksums = In(checksums);
    let mut sections = In(body);
    let mut files = None;
    let mut fences = None;

    while let Some(kind) = sections.byte() {
        let section = sections.text().ok_or("meta ends within a section")?;
        match kind {
            SECTION_FILES if files.is_none() => {
                files = Some(take_files(In(section), &mut checksums)?);
            }
            SECTION_FENCES if fences.is_none() => fences = Some(section),
            SECTION_FILES | SECTION_FENCES => return Err("a section of meta comes twice"),
            unknown if unknown & REQUIRED != 0 => {
                return Err("meta has a section that this version does not know but must");
            }
            _ => {}
        }
    }

    if !checksums.0.is_empty() {
        return Err("meta has more checksums than extents");
    }

    let files = files.ok_or("meta describes no files")?;
    let series = files.iter().find(|described| described.series.is_some());
    let group_rows = series.map_or(&[][..], |series| &series.pages.group_rows);

    let fences = fences.map_or(Ok(Vec::new()), |section| {
        take_fences(In(section), group_rows).ok_or("the fences of meta")
    })?;

    Ok(Meta { files, fences })
}

fn version(rest: &mut In<'_>) -> Result<(), &'static str> {
    match rest.take(MAGIC.len()) {
        Some(magic) if magic == MAGIC => Ok(()),
        Some(b"DURAMENb") => Err("block format 0 is not supported; this version reads format 1"),
        Some(magic) if magic.starts_with(MAGIC_START) => {
            Err("the block has a later format; this version reads format 1")
        }
        _ => Err("meta does not begin with the magic bytes of a block"),
    }
}

/// Unpacks a body of exactly `length` bytes. Memory is taken for bytes that came out, not for those
/// that are claimed.
fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let wrong = "the body of meta is no zstd frame of its length";
    let mut body = Vec::new();

    let frame = zstd::stream::Decoder::new(packed).map_err(|_| wrong)?;
    let read = frame.take(length as u64 + 1).read_to_end(&mut body);

    match read {
        Ok(read) if read == length => Ok(body),
        _ => Err(wrong),
    }
}

fn take_files(mut rest: In<'_>, checksums: &mut In<'_>) -> Result<Vec<Described>, &'static str> {
    let count = rest
        .length(FILES_MAX)
        .ok_or("the number of files in meta")?;
    let mut left = Left {
        chunks: CHUNKS_MAX,
        pages: PAGES_MAX,
    };

    let mut files: Vec<Described> = Vec::new();

    for _ in 0..count {
        let described = take_file(&mut rest, checksums, &mut left)?;
        if files.iter().any(|f| f.file.name == described.file.name) {
            return Err("meta describes a file twice");
        }

        files.push(described);
    }

    if rest.0.is_empty() {
        Ok(files)
    } else {
        Err("meta has bytes behind its last file")
    }
}

/// How many chunks and pages may still come.
struct Left {
    chunks: usize,
    pages: usize,
}

fn take_file(
    rest: &mut In<'_>,
    checksums: &mut In<'_>,
    left: &mut Left,
) -> Result<Described, &'static str> {
    let name = rest.text().and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or("the name of a file in meta")?.to_owned();
    let bytes = rest.varint().ok_or("the size of a file in meta")?;
    let pages = take_pages(rest, left)?;
    let boundaries = pages.boundaries();

    if boundaries.last().is_none_or(|tail| *tail > bytes) {
        return Err("meta has pages behind the end of a file");
    }

    let extents = Extents::with_checksums(bytes, &boundaries, |count| {
        let bytes = checksums.take(count.checked_mul(4)?)?;
        let words = bytes.as_chunks::<4>().0.iter();
        Some(words.map(|word| u32::from_le_bytes(*word)).collect())
    });

    let extents = extents.ok_or("meta has fewer checksums than extents")?;
    let own = rest.text().ok_or("meta ends within a file")?;
    let series = (name == SERIES_FILE)
        .then(|| take_series(In(own), pages.group_rows.len()).ok_or("the series file in meta"))
        .transpose()?;

    let file = FileMeta {
        name,
        bytes,
        extents,
    };

    Ok(Described {
        file,
        pages,
        series,
    })
}

fn take_pages(rest: &mut In<'_>, left: &mut Left) -> Result<Pages, &'static str> {
    let wrong = "the row groups of a file in meta";
    let columns = rest.length(COLUMNS_MAX).ok_or(wrong)?;
    let groups = rest.length(CHUNKS_MAX).ok_or(wrong)?;
    let count = columns.checked_mul(groups).ok_or(wrong)?;
    left.chunks = left.chunks.checked_sub(count.max(groups)).ok_or(wrong)?;

    let group_rows = rest.small_numbers(groups).ok_or(wrong)?;
    let page_counts = rest.small_numbers(count).ok_or(wrong)?;
    let dictionaries = rest.small_numbers(count).ok_or(wrong)?;
    let has_values = rest.small_numbers(count).ok_or(wrong)?;

    if group_rows.contains(&0) || page_counts.contains(&0) {
        return Err("meta has a row group without rows, or a chunk without pages");
    }

    if dictionaries
        .iter()
        .any(|bytes| (1..DICTIONARY_BYTES_MIN).contains(bytes))
    {
        return Err("meta has a dictionary that is shorter than its header");
    }

    let mut by_column = Vec::with_capacity(columns);
    let mut counts = page_counts.chunks(groups.max(1));

    for _ in 0..columns {
        let counts = counts.next().unwrap_or_default();
        by_column.push(take_column(rest, counts, &group_rows, left)?.into_iter());
    }

    // The lists go column by column, the file row group by row group.
    let mut pages = Pages {
        columns,
        group_rows,
        chunks: Vec::with_capacity(count),
        pages: Vec::new(),
    };

    for group in 0..groups {
        for (column, of_column) in by_column.iter_mut().enumerate() {
            let at = column * groups + group;
            let number = |list: &[u32]| list.get(at).copied().unwrap_or(0);

            pages
                .pages
                .extend(of_column.by_ref().take(number(&page_counts) as usize));

            pages.chunks.push(Chunk {
                dictionary_bytes: number(&dictionaries),
                has_values: number(&has_values) != 0,
                pages_end: u32::try_from(pages.pages.len()).map_err(|_| wrong)?,
            });
        }
    }

    Ok(pages)
}

/// Reads the pages of one column. `counts` has how many there are in each row group.
fn take_column(
    rest: &mut In<'_>,
    counts: &[u32],
    group_rows: &[u32],
    left: &mut Left,
) -> Result<Vec<Page>, &'static str> {
    let wrong = "the pages of a column in meta";
    let count = counts
        .iter()
        .try_fold(0usize, |all, count| all.checked_add(*count as usize))
        .ok_or(wrong)?;

    left.pages = left
        .pages
        .checked_sub(count)
        .ok_or("meta has too many pages")?;

    let bytes = rest.small_numbers(count).ok_or(wrong)?;
    let rows = rest.small_numbers(count - counts.len()).ok_or(wrong)?;

    // A page is shorter than 2^31 bytes in Parquet.
    if bytes
        .iter()
        .any(|bytes| !(PAGE_BYTES_MIN..1 << 31).contains(bytes))
    {
        return Err("meta has a page that is shorter than its header, or too long");
    }

    let mut pages = Vec::with_capacity(count);
    let mut bytes = bytes.into_iter();
    let mut rows = rows.into_iter();

    for (count, group_rows) in counts.iter().zip(group_rows) {
        let mut rows_left = *group_rows;

        for last in (1..=*count).map(|page| page == *count) {
            let rows = if last {
                rows_left
            } else {
                rows.next().unwrap_or(0)
            };

            rows_left = rows_left
                .checked_sub(rows)
                .filter(|_| rows > 0)
                .ok_or("the pages of a column in meta have other rows than the row group")?;

            pages.push(Page {
                bytes: bytes.next().unwrap_or(0),
                rows,
            });
        }
    }

    Ok(pages)
}

fn take_series(mut rest: In<'_>, groups: usize) -> Option<SeriesMeta> {
    let text = |rest: &mut In<'_>| Some(std::str::from_utf8(rest.text()?).ok()?.to_owned());
    let flags = rest.varint()?;
    let promoted = rest.length(COLUMNS_MAX)?;
    let promoted = (0..promoted)
        .map(|_| text(&mut rest))
        .collect::<Option<Vec<_>>>()?;

    let ascend = promoted.is_sorted_by(|a, b| a < b);
    let mut names = Vec::new();

    for _ in 0..groups {
        let first = text(&mut rest)?;
        let last = text(&mut rest)?;
        names.push((first <= last).then_some(NameBounds { first, last })?);
    }

    let schema = SeriesSchema {
        promoted,
        histograms: flags & 1 != 0,
        exemplars: flags & 2 != 0,
    };

    (ascend && flags < 4 && rest.0.is_empty()).then_some(SeriesMeta { schema, names })
}

/// Reads one fence for each row group of the series file, which have `group_rows` rows.
fn take_fences(mut rest: In<'_>, group_rows: &[u32]) -> Option<Vec<Fence>> {
    let count = rest
        .length(group_rows.len())
        .filter(|count| *count == group_rows.len())?;

    let first_samples = rest.numbers(count)?;
    let mut fences: Vec<Fence> = Vec::new();
    let mut sref = 0u64;

    for (rows, first_sample) in group_rows.iter().zip(first_samples) {
        let labels = match rest.length(FENCE_BYTES_MAX + 1)? {
            0 => None,
            length => Some(Labels::from_encoded(rest.take(length - 1)?)?),
        };

        fences.push(Fence {
            sref,
            labels,
            first_sample,
        });
        sref += u64::from(*rows);
    }

    let ascend = fences.is_sorted_by(|a, b| a.first_sample <= b.first_sample);
    let labels: Vec<_> = fences.iter().filter_map(|f| f.labels.as_ref()).collect();
    let sorted = labels.is_sorted_by(|a, b| a.cmp_in_block(b).is_lt());

    (ascend && sorted && rest.0.is_empty()).then_some(fences)
}

fn word(rest: &mut In<'_>) -> Option<usize> {
    let bytes = rest.take(4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}
