//! Numbers of any width, packed from the low end of 64-bit words.

#[inline]
fn mask(width: usize) -> u64 {
    if width == 64 {
        u64::MAX
    } else {
        (1 << width) - 1
    }
}

/// Appends numbers of 0 to 64 bits.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    words: Vec<u64>,
    len: usize,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u64, width: usize) {
        if width == 0 {
            return;
        }

        let value = value & mask(width);
        let offset = self.len % 64;

        match self.words.last_mut() {
            Some(last) if offset > 0 => *last |= value << offset,
            _ => self.words.push(value),
        }

        if offset + width > 64 {
            self.words.push(value >> (64 - offset));
        }

        self.len += width;
    }

    /// Moves to the next whole word; returns the position in bits.
    pub(crate) fn align(&mut self) -> usize {
        self.len = self.words.len() * 64;
        self.len
    }

    /// The words, with one more so that a reader may look ahead.
    pub(crate) fn into_words(mut self) -> Vec<u64> {
        self.words.push(0);
        self.words
    }
}

/// Reads from a position in bits. Reading past the end is a broken invariant.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    words: &'a [u64],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(words: &'a [u64], at: usize) -> Self {
        Self { words, at }
    }

    #[inline(always)]
    pub(crate) fn get(&mut self, width: usize) -> u64 {
        let word = self.at / 64;
        let offset = self.at % 64;
        self.at += width;

        let mut value = self.words[word] >> offset;
        if offset + width > 64 {
            value |= self.words[word + 1] << (64 - offset);
        }

        value & mask(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_widths_come_back() {
        let mut writer = BitWriter::default();
        for width in 0..=64 {
            writer.put(u64::MAX, width);
            writer.put(1, width);
        }

        let words = writer.into_words();
        let mut reader = BitReader::new(&words, 0);

        for width in 1..=64 {
            assert_eq!(
                (reader.get(width), reader.get(width)),
                (mask(width), 1),
                "width={width}"
            );
        }
    }
}
