//! Properties of arbitrary texts.

use duramen_syntax::{parse, prettify};
use proptest::prelude::*;

/// Pieces of which texts are made that often parse, or almost.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "foo",
        "a:b",
        "sum",
        "rate",
        "topk",
        "info",
        "offset",
        "bool",
        "on",
        "ignoring",
        "by",
        "without",
        "group_left",
        "fill",
        "and",
        "or",
        "unless",
        "atan2",
        "anchored",
        "smoothed",
        "start",
        "end",
        "step",
        "range",
        "min_of",
        "max_of",
        "(",
        ")",
        "()",
        "{",
        "}",
        "{}",
        "[",
        "]",
        "[5m]",
        "[1h:5m]",
        ":",
        ",",
        "=",
        "!=",
        "=~",
        "!~",
        "==",
        "<=",
        "</",
        ">/",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "@",
        "1",
        "0x1F",
        "1_000",
        "5m",
        "1h30m",
        "0",
        "Inf",
        "NaN",
        "\"x\"",
        "'\\xff'",
        "`\\`",
        "\"",
        "#",
        "\n",
        " ",
        "é",
        "\u{fffd}",
        "{\"a.b\", c=~\"d.*\"}",
        "(foo)",
    ])
}

/// Expressions with valid syntax, but arbitrary types.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-2.5",
        "0x1F",
        "1e300",
        "1e-300",
        "Inf",
        "NaN",
        "5m",
        "1h30m",
        "\"a\\n\\xff\"",
        "foo",
        "a:b",
        "foo{a=\"b\"}",
        "{\"x y\"!=\"\", \"u.v\", z=~\"a|b\"}",
        "foo offset 5m",
        "foo offset -1.5",
        "foo @ 12.3456",
        "foo @ end() offset (1+step())",
        "foo anchored",
        "rate(foo[5m])",
        "rate(foo[0.0001])",
        "rate(foo[(5s)] smoothed @ 3)",
        "rate(foo[-step()+2*range()^2])",
        "rate(foo[max_of(1,2)%3] offset -min_of(1s,2))",
        "time()",
        "start()",
        "max_of(1, 2)",
        "fill",
        "sum",
        "offset",
        "info(foo, {})",
        "foo offset 0.0001",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "== bool",
            ">",
            ">/",
            "</",
            "and",
            "or",
            "unless",
            "+ on(a)",
            "* ignoring()",
            "/ on(a, \"b c\") group_left(d)",
            "- ignoring(a) group_right",
            "+ fill(1e21)",
            "< bool on() fill_left(-1) fill_right(2m)",
        ]);

        let wrapper = prop::sample::select(vec![
            ("(", ")"),
            ("-", ""),
            ("+", ""),
            ("- -", ""),
            ("sum(", ")"),
            ("sum by (a, \"b.c\") (", ")"),
            ("avg without () (", ")"),
            ("topk(3, ", ")"),
            ("count_values(\"v\", ", ")"),
            ("abs(", ")"),
            ("max_over_time((", ")[1h:])"),
            ("sum_over_time((", ")[1h:5m] @ start() offset -5m)"),
            ("label_replace(", ", 'a', 'b', `c`, \"d\")"),
        ]);

        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (wrapper, inner).prop_map(|((before, after), inner)| format!("{before}{inner}{after}")),
        ]
    })
}

/// The tree as text without positions, for comparison. Numbers are printed, so NaN equals itself.
fn shape(text: &str) -> String {
    let tree = format!(
        "{:?}",
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    );

    let mut pieces = tree.split("PosRange {");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |shape, piece| {
        shape + piece.split_once('}').map_or(piece, |(_, rest)| rest)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        let _ = parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn text_of_known_pieces_never_panics(pieces in prop::collection::vec(piece(), 0..14)) {
        let text = pieces.concat();
        if let Err(error) = parse(&text) {
            prop_assert!(error.position.end <= text.len());
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_tree(text in expression()) {
        if let Ok(expr) = parse(&text) {
            let line = expr.to_string();
            prop_assert_eq!(shape(&line), shape(&text), "{} from {}", line, text);
            prop_assert_eq!(shape(&prettify(&expr).expect("short enough")), shape(&line));
        }
    }
}
