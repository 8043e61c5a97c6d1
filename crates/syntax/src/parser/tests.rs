use crate::ast::{At, BinaryOp, Cardinality, DurationKind, Expr, OffsetSpec};
use crate::{PosRange, parse, parse_selector};

/// Prints the expression with all parentheses, to show how operators bind.
fn grouped(text: &str) -> String {
    fn show(expr: &Expr) -> String {
        match expr {
            Expr::Binary { op, lhs, rhs, .. } => {
                format!("({} {} {})", show(lhs), op.as_str(), show(rhs))
            }
            Expr::Unary { op, expr, .. } => format!("({}{})", op.as_str(), show(expr)),
            Expr::Paren { expr, .. } => show(expr),
            other => other.to_string(),
        }
    }

    show(&parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn error(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn check_error(text: &str, place: &str, message: &str) {
    assert_eq!(
        error(text),
        format!("{place}: parse error: {message}"),
        "{text}"
    );
}

#[test]
fn operators_bind_by_precedence() {
    for (text, wanted) in [
        ("a or b and c", "(a or (b and c))"),
        ("a and b unless c", "((a and b) unless c)"),
        ("a == b + c * d ^ e", "(a == (b + (c * (d ^ e))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("a atan2 b % c", "((a atan2 b) % c)"),
        ("a </ 1 + 2 >/ 3", "((a </ (1 + 2)) >/ 3)"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-a * b", "((-a) * b)"),
        ("a ^ -b ^ c * d", "((a ^ (-(b ^ c))) * d)"),
        ("- - +a", "(-(-(+a)))"),
        ("2 - -1", "(2 - -1)"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
    ] {
        assert_eq!(grouped(text), wanted, "{text}");
    }
}

#[test]
fn an_offset_takes_arithmetic_only_in_parentheses() {
    for (text, wanted) in [
        ("a offset 5m + 1", "(a offset 5m + 1)"),
        ("a offset -2 ^ 2", "(a offset -2s ^ 2)"),
        ("a offset -step() * 2", "(a offset -step() * 2)"),
        ("a offset min_of(1, 2) + 3", "(a offset min_of(1, 2) + 3)"),
        ("a offset (1 + 2) + 3", "a offset (1 + 2) + 3"),
        ("a offset -(1 + 2) + 3", "(a offset -(1 + 2) + 3)"),
    ] {
        assert_eq!(grouped(text), wanted, "{text}");
    }
}

#[test]
fn literal_offsets_and_times_are_known_at_once() {
    let Ok(Expr::VectorSelector(selector)) = &parse("a @ -1.5 offset -1.5") else {
        panic!("a selector")
    };
    assert_eq!(
        (selector.offset.clone(), selector.at),
        (OffsetSpec::Ms(-1500), Some(At::TimestampMs(-1500)))
    );

    let Ok(Expr::MatrixSelector {
        selector,
        range,
        pos,
    }) = &parse("a[5m] offset step()")
    else {
        panic!("a range")
    };
    assert!(matches!(selector.offset, OffsetSpec::Expr(_)));
    assert_eq!(
        (selector.pos, *pos),
        (PosRange::new(0, 1), PosRange::new(0, 19))
    );

    assert_eq!(range.literal_seconds(), Some(300.0));
}

#[test]
fn arithmetic_in_durations_is_kept_until_the_query_runs() {
    let evaluate = |text: &str| match &parse(&format!("a[{text}]")) {
        Ok(Expr::MatrixSelector { range, .. }) => range
            .evaluate_ms(15_000, 3_600_000)
            .map_err(|error| error.to_string()),
        other => panic!("{other:?}"),
    };

    assert_eq!(evaluate("1m + 2 * 3 ^ 2"), Ok(78_000));
    assert_eq!(evaluate("-2 ^ 2 + 10"), Ok(6_000));
    assert_eq!(evaluate("max_of(step(), 10s) % 4"), Ok(3_000));
    assert_eq!(evaluate("range() / 2"), Ok(1_800_000));

    // A calculated value is truncated, and a literal is rounded.
    assert_eq!(
        (evaluate("step() / 16"), evaluate("0.9375")),
        (Ok(937), Ok(938))
    );

    assert_eq!(
        (evaluate("-step() / 16"), evaluate("0.9374")),
        (Ok(-937), Ok(937))
    );

    assert_eq!(
        evaluate("1 / (step() - 15)"),
        Err("2:18: division by zero".to_owned())
    );

    assert_eq!(
        evaluate("1 % (step() - 15)"),
        Err("2:18: modulo by zero".to_owned())
    );

    assert_eq!(
        evaluate("10 ^ range()"),
        Err("2:14: duration is NaN or infinite".to_owned())
    );

    let Ok(Expr::MatrixSelector { range, .. }) = &parse("a[(5)]") else {
        panic!("a range")
    };
    assert!(range.wrapped && matches!(range.kind, DurationKind::Unary { .. }));
    assert_eq!(range.pos, PosRange::new(2, 4));
}

#[test]
fn vectors_match_and_scalars_do_not() {
    let matching = |text: &str| match &parse(text) {
        Ok(Expr::Binary { matching, .. }) => matching
            .clone()
            .map(|matching| (matching.card, matching.on, matching.labels)),
        other => panic!("{other:?}"),
    };

    assert_eq!(
        matching("a + b"),
        Some((Cardinality::OneToOne, false, vec![]))
    );

    assert_eq!(
        matching("a and on(x) b"),
        Some((Cardinality::ManyToMany, true, vec!["x".to_owned()]))
    );

    assert_eq!(
        matching("a * ignoring(x) group_right b").map(|(card, ..)| card),
        Some(Cardinality::OneToMany)
    );

    assert_eq!(matching("a + on() 1"), None);
    assert_eq!(matching("1 + 1"), None);
}

#[test]
fn words_are_names_where_no_keyword_can_stand() {
    for text in [
        "sum",
        "by{by=\"x\"}",
        "offset offset 5m",
        "fill + fill",
        "start",
        "min_of",
        "sum by (bool, on, atan2) (group)",
    ] {
        assert_eq!(parse(text).expect(text).to_string(), text);
    }

    assert!(matches!(
        parse("a Or b"),
        Ok(Expr::Binary {
            op: BinaryOp::Or,
            ..
        })
    ));

    for text in ["bool", "on", "ignoring", "group_left", "atan2"] {
        check_error(
            text,
            "1:1",
            &format!(
                "unexpected <{}{text}>",
                if text == "atan2" { "op:" } else { "" }
            ),
        );
    }
}

#[test]
fn a_syntax_error_is_worded_by_the_innermost_rule_that_can() {
    check_error(
        "sum(a b)",
        "1:7",
        "unexpected identifier \"b\" in aggregation",
    );

    check_error(
        "sum(rate(a b))",
        "1:12",
        "unexpected identifier \"b\" in aggregation",
    );

    check_error("rate(a b)", "1:8", "unexpected identifier \"b\"");
    check_error(
        "sum(a{b c})",
        "1:9",
        "unexpected identifier \"c\" in label matching, expected label matching operator",
    );

    check_error(
        "sum by (a b) (c)",
        "1:11",
        "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
    );

    check_error(
        "a + on(b) group_left == c",
        "1:22",
        "unexpected <op:==> in grouping opts, expected \"(\"",
    );

    check_error(
        "a @ start",
        "1:10",
        "unexpected end of input in @, expected timestamp",
    );

    check_error(
        "a[5m 5m]",
        "1:6",
        "unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\"",
    );

    check_error(
        "a[5m:5m 5m]",
        "1:9",
        "unexpected duration \"5m\" in subquery selector, expected \"]\"",
    );

    check_error(
        "a[5m:*]",
        "1:6",
        "unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or \"]\"",
    );

    check_error("a + fill(b) c", "1:10", "unexpected identifier \"b\"");
    check_error("\n  a b", "2:5", "unexpected identifier \"b\"");
}

#[test]
fn the_first_of_several_faults_is_told() {
    check_error("f(a, $)", "1:6", "unexpected character: '$'");
    check_error(
        "nope(a offset 1m offset 1m)",
        "1:6",
        "offset may not be set multiple times",
    );

    check_error(
        "a @ 1 @ 2",
        "1:1",
        "@ <timestamp> may not be set multiple times",
    );

    check_error(
        "a anchored smoothed",
        "1:1",
        "anchored and smoothed modifiers cannot be used together",
    );

    check_error(
        "a[1h:] smoothed",
        "1:1",
        "smoothed modifier is not supported for subqueries",
    );

    check_error(
        "abs(a) anchored",
        "1:1",
        "anchored modifier not implemented",
    );

    check_error("a[-9e10]", "1:4", "duration out of range");
    check_error("a offset -9.5e10", "1:10", "duration out of range");

    check_error(
        "sum by (\"\") (a)",
        "1:9",
        "invalid label name for grouping: \"\"",
    );
}

#[test]
fn a_regex_that_go_refuses_is_told_with_the_words_of_go() {
    check_error(
        "a{b=~\"(\"}",
        "1:3",
        "error parsing regexp: missing closing ): `(`",
    );

    check_error(
        "{a=\"b\", c!~`x**`}",
        "1:9",
        "error parsing regexp: invalid nested repetition operator: `**`",
    );

    check_error(
        "{a=~\"x*\", b!~\".+\", c!=\"d\"}",
        "1:1",
        "vector selector must contain at least one non-empty matcher",
    );

    assert!(parse("{a=~\"x+\"}").is_ok());
    assert!(parse("{a!~\"x*\"}").is_ok());
}

#[test]
fn types_are_checked() {
    check_error(
        "sum(1)",
        "1:5",
        "expected type instant vector in aggregation expression, got scalar",
    );

    check_error(
        "a + b[5m]",
        "1:5",
        "binary expression must contain only scalar and instant vector types",
    );

    check_error(
        "1[5m:]",
        "1:1",
        "subquery is only allowed on instant vector, got scalar instead",
    );

    check_error(
        "label_join(a, \"b\")",
        "1:1",
        "expected at least 3 argument(s) in call to \"label_join\", got 2",
    );

    check_error(
        "info(a, 1)",
        "1:1",
        "expected type instant vector in call to function \"info\", got scalar",
    );

    check_error(
        "a + fill(1) 2",
        "1:1",
        "filling in missing series only allowed between instant vectors",
    );

    check_error(
        "a and fill(1) b",
        "1:1",
        "filling in missing series not allowed for set operators",
    );

    check_error(
        "max_of(a, 1)",
        "1:8",
        "expected type scalar in call to function \"max_of\", got instant vector",
    );

    check_error("{\"a\", b=\"c\"}{}", "1:13", "unexpected \"{\"");
    assert!(parse("info(a, {})").is_ok());
}

#[test]
fn strings_keep_bytes_that_are_not_utf8() {
    let Ok(Expr::String { value, bytes, .. }) = &parse(r#""a\xff""#) else {
        panic!("a string")
    };
    assert_eq!(
        (value.as_str(), bytes.as_deref()),
        ("a\u{fffd}", Some(b"a\xff".as_slice()))
    );

    assert_eq!(
        parse(r#""a\xff""#).expect("a string").to_string(),
        r#""a\xff""#
    );
}

#[test]
fn an_empty_text_has_no_place() {
    assert_eq!(
        error(""),
        "unknown position: parse error: no expression found in input"
    );

    check_error(" # nothing", "1:1", "no expression found in input");
}

#[test]
fn a_selector_alone_may_select_everything() {
    let matchers = |text: &str| {
        parse_selector(text)
            .map(|matchers| matchers.len())
            .map_err(|error| error.to_string())
    };

    assert_eq!(matchers("a{b=\"c\"}"), Ok(2));
    assert_eq!(matchers("{}"), Ok(0));
    assert_eq!(matchers("{\"a\", b=~\".*\"}"), Ok(2));
    assert_eq!(
        matchers("a offset 5m"),
        Err("1:3: parse error: unexpected <offset>".to_owned())
    );

    assert_eq!(
        matchers("a + b"),
        Err("1:3: parse error: unexpected <op:+>".to_owned())
    );

    assert_eq!(
        matchers(""),
        Err("unknown position: parse error: unexpected end of input".to_owned())
    );

    assert_eq!(
        matchers("a{b=~\"(\"}").map_err(|error| error.contains("regexp")),
        Err(true)
    );
}
