//! Prints a tree on one line, in upstream's form.

use std::fmt::{self, Display, Formatter};

use duramen_model::METRIC_NAME;
use duramen_model::duration::format_ms;

use crate::ast::{
    AggregateOp, At, BinaryOp, Cardinality, DurationExpr, DurationKind, DurationOp, Expr, Grouping,
    LabelMatcher, MatchOp, OffsetSpec, UnaryOp, VectorMatching, VectorSelector,
};
use crate::duration::seconds_to_ms;
use crate::growing_stack::on_growing_stack;
use crate::number::{format_decimal, format_general};
use crate::quoted::{quote, quote_bytes};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        on_growing_stack(|| self.write(f))
    }
}

impl Expr {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number {
                value, is_duration, ..
            } => f.write_str(&number(*value, *is_duration)),
            Self::String {
                value, bytes: None, ..
            } => f.write_str(&quote(value)),
            Self::String {
                bytes: Some(bytes), ..
            } => f.write_str(&quote_bytes(bytes)),
            Self::VectorSelector(selector) => {
                write_series(f, selector)?;
                write_at(f, selector.at)?;
                write_range_ends(f, selector)?;

                write_offset(f, &selector.offset)
            }
            Self::MatrixSelector {
                selector, range, ..
            } => {
                write_series(f, selector)?;
                write!(f, "[{}]", whole_duration(range))?;
                write_range_ends(f, selector)?;
                write_at(f, selector.at)?;

                write_offset(f, &selector.offset)
            }
            Self::Subquery { expr, .. } => write!(f, "{expr}{}", SubquerySuffix(self)),
            Self::Call { func, args, .. } => {
                write!(f, "{}(", func.name)?;
                write_list(f, args)?;
                f.write_str(")")
            }
            Self::Aggregate {
                op,
                grouping,
                param,
                expr,
                ..
            } => {
                write!(
                    f,
                    "{}(",
                    AggregateHead {
                        op: *op,
                        grouping: grouping.as_ref()
                    }
                )?;

                if let Some(param) = param {
                    write!(f, "{param}, ")?;
                }

                write!(f, "{expr})")
            }
            Self::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                matching,
                ..
            } => {
                let head = BinaryHead {
                    op: *op,
                    return_bool: *return_bool,
                    matching: matching.as_ref(),
                };

                if is_infinite_base(*op, lhs) {
                    f.write_str("Inf")?;
                } else {
                    lhs.fmt(f)?;
                }

                write!(f, " {head} {rhs}")
            }
            Self::Unary { op, expr, .. } => write!(f, "{}{expr}", op.as_str()),
            Self::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

/// Whether this left operand is printed as `Inf`. Infinity is printed as `+Inf` elsewhere, but here
/// the plus sign would be parsed as a sign of the whole power.
pub(crate) fn is_infinite_base(op: BinaryOp, lhs: &Expr) -> bool {
    op == BinaryOp::Pow
        && matches!(
            lhs,
            Expr::Number {
                value: f64::INFINITY,
                ..
            }
        )
}

fn number(value: f64, is_duration: bool) -> String {
    if is_duration {
        format_ms(seconds_to_ms(value))
    } else {
        format_decimal(value)
    }
}

fn write_list(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }

        item.fmt(f)?;
    }

    Ok(())
}

/// A label name, in quotes unless it is a plain word.
struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let plain = chars
            .next()
            .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
            && chars.all(|c| c == '_' || c.is_ascii_alphanumeric());

        if plain {
            f.write_str(self.0)
        } else {
            f.write_str(&quote(self.0))
        }
    }
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    let names: Vec<LabelName<'_>> = labels.iter().map(|label| LabelName(label)).collect();
    f.write_str("(")?;
    write_list(f, &names)?;

    f.write_str(")")
}

impl Display for LabelMatcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            LabelName(&self.name),
            self.op.as_str(),
            quote(&self.value)
        )
    }
}

/// Prints the name and the matchers of a selector. Matchers are sorted as text.
fn write_series(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or_default();
    let is_of_name = |matcher: &LabelMatcher| {
        matcher.name == METRIC_NAME
            && matcher.op == MatchOp::Equal
            && matcher.value == name
            && !name.is_empty()
    };

    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| !is_of_name(matcher))
        .map(ToString::to_string)
        .collect();

    matchers.sort_unstable();
    f.write_str(name)?;

    // Empty braces are needed if there is no name.
    if !matchers.is_empty() || name.is_empty() {
        write!(f, "{{{}}}", matchers.join(","))?;
    }

    Ok(())
}

fn write_range_ends(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    if selector.anchored {
        f.write_str(" anchored")?;
    }

    if selector.smoothed {
        f.write_str(" smoothed")?;
    }

    Ok(())
}

fn write_at(f: &mut Formatter<'_>, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
        Some(At::TimestampMs(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: &OffsetSpec) -> fmt::Result {
    match offset {
        OffsetSpec::Ms(0) => Ok(()),
        OffsetSpec::Ms(ms) => write!(f, " offset {}", format_ms(*ms)),
        OffsetSpec::Expr(duration) => write!(f, " offset {duration}"),
    }
}

/// A duration that stands alone. A number is printed as a duration too, unless it is finer than a
/// millisecond.
pub(crate) fn whole_duration(duration: &DurationExpr) -> String {
    match duration.kind {
        DurationKind::Literal {
            seconds,
            is_duration: false,
        } => {
            let ms = seconds_to_ms(seconds);
            if ms as f64 / 1000.0 == seconds {
                format_ms(ms)
            } else {
                format_decimal(seconds)
            }
        }
        _ => duration.to_string(),
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        on_growing_stack(|| self.write(f))
    }
}

impl DurationExpr {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_str("(")?;
        }

        match &self.kind {
            DurationKind::Literal {
                seconds,
                is_duration,
            } => f.write_str(&number(*seconds, *is_duration))?,
            DurationKind::Step => f.write_str("step()")?,
            DurationKind::Range => f.write_str("range()")?,
            // A plus sign has no effect.
            DurationKind::Unary {
                op: UnaryOp::Plus,
                expr,
            } => write!(f, "{expr}")?,
            DurationKind::Unary { op, expr } => write!(f, "{}{expr}", op.as_str())?,
            DurationKind::Binary {
                op: op @ (DurationOp::Min | DurationOp::Max),
                lhs,
                rhs,
            } => {
                write!(f, "{}({lhs}, {rhs})", op.as_str())?;
            }
            DurationKind::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.as_str())?,
        }

        if self.wrapped {
            f.write_str(")")?;
        }

        Ok(())
    }
}

/// The part of an aggregation before its parenthesis.
pub(crate) struct AggregateHead<'a> {
    pub(crate) op: AggregateOp,
    pub(crate) grouping: Option<&'a Grouping>,
}

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;

        let (word, labels) = match self.grouping {
            Some(Grouping::Without(labels)) => ("without", labels),
            Some(Grouping::By(labels)) if !labels.is_empty() => ("by", labels),
            // Grouping by no labels is the same as no grouping.
            _ => return Ok(()),
        };

        write!(f, " {word} ")?;
        write_labels(f, labels)?;
        f.write_str(" ")
    }
}

/// A binary operator with its modifiers.
pub(crate) struct BinaryHead<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: Option<&'a VectorMatching>,
}

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if self.return_bool {
            f.write_str(" bool")?;
        }

        let Some(matching) = self.matching else {
            return Ok(());
        };

        let group = match matching.card {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };

        if matching.on || !matching.labels.is_empty() || group.is_some() {
            f.write_str(if matching.on { " on " } else { " ignoring " })?;
            write_labels(f, &matching.labels)?;
        }

        if let Some(group) = group {
            write!(f, " {group} ")?;
            write_labels(f, &matching.include)?;
        }

        write_fill(f, matching)
    }
}

fn write_fill(f: &mut Formatter<'_>, matching: &VectorMatching) -> fmt::Result {
    if let (true, Some(value)) = (matching.fill_joint, matching.fill_left) {
        return write!(f, " fill ({})", format_general(value));
    }

    for (word, value) in [
        ("fill_left", matching.fill_left),
        ("fill_right", matching.fill_right),
    ] {
        if let Some(value) = value {
            write!(f, " {word} ({})", format_general(value))?;
        }
    }

    Ok(())
}

/// The part of a subquery after its expression. It prints nothing for other expressions.
pub(crate) struct SubquerySuffix<'a>(pub(crate) &'a Expr);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Expr::Subquery {
            range,
            step,
            offset,
            at,
            ..
        } = self.0
        else {
            return Ok(());
        };

        let step = step.as_ref().map(whole_duration).unwrap_or_default();
        write!(f, "[{}:{step}]", whole_duration(range))?;
        write_at(f, *at)?;

        write_offset(f, offset)
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn check(text: &str, printed: &str) {
        assert_eq!(parse(text).expect(text).to_string(), printed);
        assert_eq!(parse(printed).expect(printed).to_string(), printed);
    }

    #[test]
    fn selectors_print_with_sorted_matchers_and_fixed_order_of_modifiers() {
        check(
            "foo{z=\"1\", a!~'b', \"x.y\"=~`c`}",
            "foo{\"x.y\"=~\"c\",a!~\"b\",z=\"1\"}",
        );

        check("{\"foo\"}", "{__name__=\"foo\"}");
        check("{__name__=\"\", a=\"b\"}", "{__name__=\"\",a=\"b\"}");
        check(
            "a offset 90m @ 1.5 anchored",
            "a @ 1.500 anchored offset 1h30m",
        );

        check(
            "a[5m] offset -60s @ end() smoothed",
            "a[5m] smoothed @ end() offset -1m",
        );

        check("a[300:] @ start()", "a[5m:] @ start()");
        check("info(a, {})", "info(a, {})");
    }

    #[test]
    fn durations_print_as_written_but_for_spaces_and_plus_signs() {
        check("a[ 1h-2*STEP() ]", "a[1h - 2 * step()]");
        check("a offset +(5)", "a offset (5)");
        check("a[(5)]", "a[(5)]");
        check("a[-(5m)+ +range():(90)]", "a[-(5m) + range():(90)]");
        check("a[range():1s]", "a[range():1s]");
        check("a[0.0005]", "a[0.0005]");
    }

    #[test]
    fn aggregations_and_matching_print_in_full() {
        check("sum(a) by(b,\"c d\")", "sum by (b, \"c d\") (a)");
        check("sum by () (a)", "sum(a)");
        check("sum without () (a)", "sum without () (a)");
        check("a + ignoring() b", "a + b");
        check(
            "a + ignoring() group_left b",
            "a + ignoring () group_left () b",
        );

        check(
            "a <= bool on(x) group_right(y) fill_right(1e30) fill_left(-5m) b",
            "a <= bool on (x) group_right (y) fill_left (-300) fill_right (1e+30) b",
        );

        check("a + fill(Inf) b", "a + fill (+Inf) b");
        check(
            "a + fill_left(5) fill_right(5) b",
            "a + fill_left (5) fill_right (5) b",
        );
    }

    #[test]
    fn literals_print_so_that_they_read_back() {
        check("0x10", "16");
        check("-1e-3", "-0.001");
        check("-90s", "-1m30s");
        check("Inf ^ 2", "Inf ^ 2");
        check("-Inf", "-Inf");
        check("\"\\ufffd\"", "\"\\ufffd\"");
        check("`a\"b\\`", "\"a\\\"b\\\\\"");
    }
}
