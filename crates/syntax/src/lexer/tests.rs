use super::*;

fn kinds(text: &str) -> Vec<TokenKind> {
    lex(text)
        .tokens
        .into_iter()
        .map(|token| token.kind)
        .collect()
}

fn error(text: &str) -> (usize, String) {
    let error = lex(text).error.unwrap_or_else(|| panic!("{text} lexes"));
    (error.start, error.message)
}

#[test]
fn words_are_names_inside_braces() {
    use TokenKind::*;
    assert_eq!(
        kinds("sum{sum=\"x\"} # note"),
        [
            Sum, LeftBrace, Identifier, Assign, String, RightBrace, EndOfInput
        ]
    );

    assert_eq!(
        kinds("fill(1) fill"),
        [Fill, LeftParen, Number, RightParen, Identifier, EndOfInput]
    );

    assert_eq!(kinds("a:b and"), [MetricIdentifier, And, EndOfInput]);
}

#[test]
fn brackets_hold_durations() {
    use TokenKind::*;
    assert_eq!(
        kinds("a[ 5m : step() ]"),
        [
            Identifier,
            LeftBracket,
            Duration,
            Colon,
            Step,
            LeftParen,
            RightParen,
            RightBracket,
            EndOfInput
        ]
    );

    assert_eq!(
        kinds("a[MAX_OF(1,RANGE())]").get(2..4),
        Some([MaxOf, LeftParen].as_slice())
    );
}

#[test]
fn numbers_and_durations_are_told_apart() {
    use TokenKind::*;
    for number in [
        "1", ".5", "5.", "1e3", "1E-3", "0x1F", "0x_f", "1_000", "0755", "Inf", "nan", "09",
    ] {
        assert_eq!(kinds(number), [Number, EndOfInput], "{number}");
    }

    for duration in ["5m", "1h30m", "5ms", "1y2w", "5hs"] {
        assert_eq!(kinds(duration), [Duration, EndOfInput], "{duration}");
    }

    for bad in [
        "1e", "1_", "1__0", "1..2", "1.2.3", "0x1.5", "1ee", "5q", "5m1", "5mm", "0b1",
    ] {
        assert!(
            error(bad).1.starts_with("bad number or duration syntax"),
            "{bad}"
        );
    }
}

#[test]
fn errors_have_a_position() {
    assert_eq!(
        error("a ) b"),
        (3, "unexpected right parenthesis ')'".to_owned())
    );

    assert_eq!(
        error("a \"b\\q\""),
        (2, "unknown escape sequence U+0071 'q'".to_owned())
    );

    assert_eq!(
        error("\"\\400\""),
        (
            0,
            "escape sequence is an invalid Unicode code point".to_owned()
        )
    );

    assert_eq!(
        error("\"\\ud800\""),
        (
            0,
            "escape sequence is an invalid Unicode code point".to_owned()
        )
    );

    assert_eq!(
        error("\"a\nb\""),
        (0, "unterminated quoted string".to_owned())
    );

    assert_eq!(error("a[5m"), (4, "unclosed left bracket".to_owned()));
    assert_eq!(
        error("a!"),
        (1, "unexpected character after '!': '\u{fffd}'".to_owned())
    );

    assert_eq!(error("é"), (0, "unexpected character: 'é'".to_owned()));
    assert_eq!(
        error("a{b!c}"),
        (
            3,
            "unexpected character after '!' inside braces: 'c'".to_owned()
        )
    );
}
