//! What is deleted: series by their labels, a time, and maybe only some values.

use std::fmt;

use crate::labels::LabelsIter;
use crate::{Matcher, NameBounds, TimeRange};

/// The samples that a deletion takes away.
#[derive(Clone, Debug, PartialEq)]
pub struct Deletion {
    /// A series is meant if it passes all matchers of one of the selectors.
    pub selectors: Vec<Vec<Matcher>>,
    pub range: TimeRange,
    /// Only floats that pass the test. Histograms and exemplars pass none.
    pub value: Option<ValueTest>,
}

/// A test of a float, such as `> 5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueTest {
    pub op: ValueOp,
    pub operand: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOp {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    NotEqual,
}

/// The operators as they are written. A prefix of another one comes after it.
const OPS: [(&str, ValueOp); 6] = [
    (">=", ValueOp::AtLeast),
    ("<=", ValueOp::AtMost),
    ("==", ValueOp::Equal),
    ("!=", ValueOp::NotEqual),
    (">", ValueOp::Above),
    ("<", ValueOp::Below),
];

impl Deletion {
    /// Whether the deletion means the series with these encoded labels.
    pub fn means(&self, encoded: &[u8]) -> bool {
        self.selectors
            .iter()
            .any(|selector| passes(selector, encoded))
    }

    /// Whether a series with a name in these bounds may be meant. False only if none can.
    pub fn may_mean(&self, names: &NameBounds) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| names.may_match(selector))
    }

    /// Whether a series that passes `matchers` may be meant. False only if none can.
    pub fn may_meet(&self, matchers: &[Matcher]) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| may_meet(selector, matchers))
    }
}

/// Whether the series with these encoded labels passes all matchers.
pub fn passes(matchers: &[Matcher], encoded: &[u8]) -> bool {
    let value = |wanted: &str| {
        let mut labels = LabelsIter::over(encoded);
        labels.find_map(|(name, value)| (name == wanted).then_some(value))
    };

    matchers
        .iter()
        .all(|matcher| matcher.matches(value(&matcher.name).unwrap_or("")))
}

/// Whether one series may pass the matchers of both. It cannot if one wants a value of a label that
/// the other refuses.
fn may_meet(one: &[Matcher], other: &[Matcher]) -> bool {
    let refuses = |wants: &[Matcher], judges: &[Matcher]| {
        wants.iter().any(|wanted| {
            let crate::MatchOp::Equal(value) = &wanted.op else {
                return false;
            };

            let mut same = judges.iter().filter(|judge| judge.name == wanted.name);
            same.any(|judge| !judge.matches(value))
        })
    };

    !refuses(one, other) && !refuses(other, one)
}

impl ValueTest {
    /// Parses a test such as `> 5` or `value > 5`. `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("value").unwrap_or(text).trim_start();

        let (op, rest) = OPS
            .iter()
            .find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?)))?;
        let operand: f64 = rest.trim().parse().ok()?;

        (!operand.is_nan()).then_some(Self { op, operand })
    }

    /// Whether a value passes. NaN passes only `!=`.
    pub fn passes(self, value: f64) -> bool {
        match self.op {
            ValueOp::Above => value > self.operand,
            ValueOp::AtLeast => value >= self.operand,
            ValueOp::Below => value < self.operand,
            ValueOp::AtMost => value <= self.operand,
            #[expect(clippy::float_cmp, reason = "the test asks for the very number")]
            ValueOp::Equal => value == self.operand,
            #[expect(clippy::float_cmp, reason = "the test asks for the very number")]
            ValueOp::NotEqual => value != self.operand,
        }
    }
}

impl fmt::Display for ValueTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPS.iter().find(|(_, op)| *op == self.op);
        let sign = sign.map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.operand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    fn deletion(selectors: Vec<Vec<Matcher>>) -> Deletion {
        Deletion {
            selectors,
            range: TimeRange::ALL,
            value: None,
        }
    }

    #[test]
    fn a_series_is_meant_by_any_selector_that_it_passes_as_a_whole() {
        let series = Labels::from_pairs([("__name__", "up"), ("job", "a")]).unwrap();
        let means = |selectors| deletion(selectors).means(series.encoded());

        let up = Matcher::equal("__name__", "up");
        let other = Matcher::equal("job", "b");

        assert!(means(vec![vec![up.clone()]]));
        assert!(!means(vec![vec![up.clone(), other.clone()]]));
        assert!(means(vec![vec![other], vec![up]]));
        assert!(means(vec![vec![Matcher::equal("absent", "")]]));
        assert!(!means(Vec::new()));
    }

    #[test]
    fn a_request_for_another_value_of_a_label_is_not_met() {
        let of = |value| vec![Matcher::equal("job", value)];
        let like = |pattern| vec![Matcher::regex("job", pattern).unwrap()];
        let a = deletion(vec![of("a")]);

        assert!(a.may_meet(&of("a")) && a.may_meet(&like("a|b")) && a.may_meet(&[]));
        assert!(!a.may_meet(&of("b")) && !a.may_meet(&like("b.*")));
        assert!(!deletion(vec![like("b.*")]).may_meet(&of("a")));
        assert!(deletion(vec![of("b"), of("a")]).may_meet(&of("a")));
    }

    #[test]
    fn tests_of_values_are_read_and_printed() {
        for (text, printed, passes, fails) in [
            ("> 5", "> 5", 5.5, 5.0),
            ("value>=5", ">= 5", 5.0, 4.0),
            (" value <-1e3 ", "< -1000", -1001.0, -1000.0),
            ("<= 0.1", "<= 0.1", 0.1, 0.2),
            ("== 7", "== 7", 7.0, 8.0),
            ("!= 7", "!= 7", f64::NAN, 7.0),
            ("< inf", "< inf", 0.0, f64::INFINITY),
        ] {
            let test = ValueTest::parse(text).expect(text);
            assert_eq!(test.to_string(), printed);
            assert_eq!(ValueTest::parse(printed), Some(test));
            assert!(test.passes(passes) && !test.passes(fails), "{text}");
        }

        for text in [
            "",
            "5",
            "> ",
            "> x",
            "= 5",
            "> nan",
            "valuee > 5",
            "> 5 > 3",
        ] {
            assert_eq!(ValueTest::parse(text), None, "{text}");
        }

        assert!(!ValueTest::parse("> 5").unwrap().passes(f64::NAN));
    }
}
