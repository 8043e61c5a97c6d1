//! Patterns of literals with wildcards between them.

/// A literal, then gaps, each with a literal behind it. `foo.*bar.+` is `foo`, then (0, `bar`),
/// then (1, ``).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    head: String,
    gaps: Vec<Gap>,
}

/// At least `chars_min` characters of any kind, then the literal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    chars_min: usize,
    literal: String,
}

impl Glob {
    pub(super) fn empty() -> Self {
        Self::literal("")
    }

    pub(super) fn literal(text: &str) -> Self {
        Self {
            head: text.to_owned(),
            gaps: Vec::new(),
        }
    }

    pub(super) fn wildcard(chars_min: usize) -> Self {
        Self {
            head: String::new(),
            gaps: vec![Gap {
                chars_min,
                literal: String::new(),
            }],
        }
    }

    /// The text that every match begins with.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    pub(super) fn into_head(self) -> String {
        self.head
    }

    /// The only text that matches, if there is no wildcard.
    pub(super) fn as_literal(&self) -> Option<&str> {
        self.gaps.is_empty().then_some(&self.head)
    }

    /// The approximate size of a copy, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.head.len()
            + self
                .gaps
                .iter()
                .map(|gap| size_of::<Gap>() + gap.literal.len())
                .sum::<usize>()
    }

    /// The glob that matches `self` followed by `next`.
    pub(super) fn join(&self, next: &Self) -> Self {
        let mut joined = self.clone();
        joined.last_literal().push_str(&next.head);

        for gap in &next.gaps {
            match joined.gaps.last_mut() {
                Some(last) if last.literal.is_empty() => {
                    last.chars_min += gap.chars_min;
                    last.literal.push_str(&gap.literal);
                }
                _ => joined.gaps.push(gap.clone()),
            }
        }

        joined
    }

    fn last_literal(&mut self) -> &mut String {
        match self.gaps.last_mut() {
            Some(gap) => &mut gap.literal,
            None => &mut self.head,
        }
    }

    /// Whether the whole subject matches. Each literal is matched at its leftmost place: any later
    /// place would only leave less for the rest.
    ///
    /// Empty literals are not compared. Their pointer is dangling, and a comparison with masked
    /// loads takes some 80 ns there, even for zero bytes.
    pub(super) fn is_match(&self, subject: &str) -> bool {
        let mut rest = subject;
        if !self.head.is_empty() {
            let Some(behind) = subject.strip_prefix(self.head.as_str()) else {
                return false;
            };

            rest = behind;
        }

        let Some((last, inner)) = self.gaps.split_last() else {
            return rest.is_empty();
        };

        for gap in inner {
            let found = skip(rest, gap.chars_min)
                .and_then(|rest| Some(&rest[rest.find(gap.literal.as_str())?..]));
            let Some(found) = found else { return false };
            rest = &found[gap.literal.len()..];
        }

        let Some(rest) = skip(rest, last.chars_min) else {
            return false;
        };

        last.literal.is_empty() || rest.ends_with(last.literal.as_str())
    }
}

fn skip(text: &str, chars: usize) -> Option<&str> {
    let mut left = text.chars();
    for _ in 0..chars {
        left.next()?;
    }

    Some(left.as_str())
}
