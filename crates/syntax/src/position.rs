//! Positions in the query text.

/// A span of the query text, in bytes, `[start, end)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PosRange {
    pub start: usize,
    pub end: usize,
}

impl PosRange {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The range from the start of `self` to the end of `last`, which comes later in the text.
    pub fn to(self, last: Self) -> Self {
        Self::new(self.start, last.end)
    }
}

/// Line and column of a byte offset, both counted from 1. Columns count bytes, as Prometheus does.
/// An offset beyond the text counts as its end.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);

    (line, before.len() - line_start + 1)
}
