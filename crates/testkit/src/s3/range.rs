//! The `Range` header, and the bytes that it selects of an object.

/// The requested range of bytes. In the header both ends are inclusive; here the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `[start, end)`.
    Bounded { start: u64, end: u64 },
    /// From `start` to the end of the object.
    From(u64),
    /// The last bytes of the object, as many as this.
    Last(u64),
}

/// Why a `Range` header gives no single range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRange {
    /// It is not a valid byte range. HTTP says to ignore it.
    Malformed,
    /// It has several ranges, which S3 does not support.
    Several,
}

impl ByteRange {
    /// Parses `bytes=a-b`, `bytes=a-` or `bytes=-n`.
    pub(super) fn parse(header: &str) -> Result<Self, NoRange> {
        let spec = header
            .trim()
            .strip_prefix("bytes=")
            .ok_or(NoRange::Malformed)?;

        if spec.contains(',') {
            return Err(NoRange::Several);
        }

        let (first, last) = spec.split_once('-').ok_or(NoRange::Malformed)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| NoRange::Malformed);

        match (first.trim(), last.trim()) {
            ("", last) => Ok(Self::Last(number(last)?)),
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => {
                let start = number(first)?;
                let last = number(last)?;

                if last < start {
                    return Err(NoRange::Malformed);
                }

                Ok(Self::Bounded {
                    start,
                    end: last.saturating_add(1),
                })
            }
        }
    }

    /// Returns the bytes `[start, end)` of an object of `size` bytes, cut at its end. `None` (416)
    /// if there is no such byte.
    pub(super) fn within(self, size: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Self::Bounded { start, end } => (start, end.min(size)),
            Self::From(start) => (start, size),
            Self::Last(count) => (size.saturating_sub(count), size),
        };

        (start < end).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, size: u64, expected: Option<(u64, u64)>) {
        let range = ByteRange::parse(header).unwrap();
        assert_eq!(range.within(size), expected, "{header} of {size}");
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        check("bytes=0-0", 10, Some((0, 1)));
        check("bytes=2-4", 10, Some((2, 5)));
        check("bytes=8-99", 10, Some((8, 10)));
        check("bytes=3-", 10, Some((3, 10)));
        check("bytes=-3", 10, Some((7, 10)));
        check("bytes=-99", 10, Some((0, 10)));
        check("bytes=0-18446744073709551615", 10, Some((0, 10)));
    }

    #[test]
    fn a_range_without_a_byte_is_not_satisfiable() {
        check("bytes=10-", 10, None);
        check("bytes=10-12", 10, None);
        check("bytes=-0", 10, None);
        check("bytes=0-", 0, None);
    }

    #[test]
    fn what_is_no_single_range_says_why() {
        for header in ["bytes=", "bytes=-", "bytes=5-2", "lines=0-1", "bytes=a-b"] {
            assert_eq!(
                ByteRange::parse(header),
                Err(NoRange::Malformed),
                "{header}"
            );
        }

        assert_eq!(ByteRange::parse("bytes=0-1,4-5"), Err(NoRange::Several));
    }
}
