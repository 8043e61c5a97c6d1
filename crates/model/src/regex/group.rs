//! Parentheses: groups that capture, groups that do not, and flags.

use super::parse::{Frame, Parser, finish};
use super::tree::Term;
use super::{Error, Fault};

impl Parser<'_> {
    pub(super) fn open_group(&mut self) -> Result<(), Error> {
        if self.rest().starts_with("(?") {
            return self.perl_group();
        }

        self.at += 1;
        self.open_capture(None);
        Ok(())
    }

    fn open_capture(&mut self, name: Option<String>) {
        self.groups.push(name);

        // There are fewer groups than bytes in the pattern, and its length is limited.
        let index = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.open.push(Frame::new(self.flags, Some(index)));
    }

    /// Parses `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:`.
    fn perl_group(&mut self) -> Result<(), Error> {
        let start = self.at;
        let rest = self.rest();

        let name_at = match rest {
            _ if rest.starts_with("(?P<") && rest.len() > 4 => Some(4),
            _ if rest.starts_with("(?<") && rest.len() > 3 => Some(3),
            _ => None,
        };

        if let Some(name_at) = name_at {
            let Some(end) = rest.find('>') else {
                return Err(Error::syntax(Fault::InvalidNamedCapture, rest));
            };

            self.at += end + 1;

            let name = &rest[name_at..end];
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
            {
                return self.fault(Fault::InvalidNamedCapture, start);
            }

            self.open_capture(Some(name.to_owned()));
            return Ok(());
        }

        self.at += 2;
        self.flag_group(start)
    }

    fn flag_group(&mut self, start: usize) -> Result<(), Error> {
        let mut flags = self.flags;
        let mut on = true;
        let mut seen = false;

        while let Some(next) = self.bump() {
            match next {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_newline = on,
                'U' => flags.ungreedy = on,
                '-' if on => (on, seen) = (false, false),
                ':' | ')' if on || seen => {
                    if next == ':' {
                        self.open.push(Frame::new(self.flags, None));
                    }

                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }

            seen |= next != '-';
        }

        self.fault(Fault::InvalidPerlOp, start)
    }

    pub(super) fn close_group(&mut self) -> Result<(), Error> {
        self.at += 1;

        let Some(frame) = self.open.pop() else {
            return Err(Error::syntax(Fault::UnexpectedParen, self.pattern));
        };

        let mut term = finish(frame.branches, frame.terms, self.pattern)?;
        self.flags = frame.flags;
        term.grouped = true;

        self.push(match frame.capture {
            Some(index) => Term::capture(index, term),
            None => term,
        })
    }
}
