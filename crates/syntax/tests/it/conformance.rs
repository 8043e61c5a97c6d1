//! Upstream's own test cases. The scores are committed and may only rise.

use std::path::Path;

use duramen_syntax::{ParseError, parse, prettify};
use duramen_testkit::shared;
use serde_json::Value;

/// The number of cases whose text is one expression.
const EXPRESSIONS: usize = 355;
/// The number of cases with the right result. Two texts were cut short when the file was made: the
/// full texts are accepted, and the short ones are correctly refused.
const RIGHT: usize = 353;
const REFUSALS: usize = 146;
/// All except one, whose text was cut short too.
const SAME_TEXT: usize = 145;
const SAME_PLACE: usize = 146;
/// The number of printing cases that print as they were, apart from spaces. The file does not have
/// the printed form of the others.
const PRINTED: usize = 120;

struct Case {
    text: String,
    fails: bool,
    message: Option<String>,
    place: Option<(usize, usize)>,
}

impl Case {
    fn new(case: &Value) -> Self {
        let text = case["input"].as_str().expect("a text");

        // If upstream's text has a byte that is not UTF-8, the file has the letter with that
        // number.
        let damaged = text.matches('ÿ').count();
        let offset = |index: usize| {
            case["pos"][index]
                .as_u64()
                .map(|at| usize::try_from(at).expect("small"))
        };

        Self {
            text: text.replace('ÿ', "\u{fffd}"),
            fails: case["fail"].as_bool().expect("a flag"),
            message: case["errors"][0].as_str().map(str::to_owned),
            place: offset(0).zip(offset(1).map(|end| end + 2 * damaged)),
        }
    }
}

/// One JSON value per line.
fn json_lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("readable");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The last part of the file has descriptions of series, which are another language.
fn expressions(cases: &[Value]) -> Vec<Case> {
    let is_series = |case: &Value| {
        case["input"]
            .as_str()
            .is_some_and(|text| text.contains("\t\t0+50x2"))
    };

    let end = cases.iter().position(is_series).unwrap_or(cases.len());
    cases[..end].iter().map(Case::new).collect()
}

#[test]
fn expressions_are_accepted_and_refused_like_upstream() {
    let Some(folder) = shared::path("conformance/parser") else {
        return;
    };
    let cases = expressions(&json_lines(&folder.join("parser_cases.jsonl")));
    let mut right = 0;
    let mut refusals = 0;
    let mut same_text = 0;
    let mut same_place = 0;

    for case in &cases {
        let outcome = parse(&case.text);

        if outcome.is_err() == case.fails {
            right += 1;
        } else {
            println!(
                "wrong: {:?}: {}",
                case.text,
                outcome
                    .as_ref()
                    .map_or_else(ToString::to_string, |_| "accepted".into())
            );
        }

        let (true, Err(error)) = (case.fails, outcome) else {
            continue;
        };
        refusals += 1;

        same_text += usize::from(check(
            case,
            "text",
            case.message.as_deref() == Some(error.message.as_str()),
            &error,
        ));

        let place = Some((error.position.start, error.position.end));
        same_place += usize::from(check(
            case,
            "place",
            case.place.is_none() || case.place == place,
            &error,
        ));
    }

    println!(
        "{} expressions, {right} right, {refusals} refused, {same_text} same text, {same_place} same place",
        cases.len()
    );

    assert_eq!(cases.len(), EXPRESSIONS);
    assert!(right >= RIGHT, "{right}");
    assert!(refusals >= REFUSALS, "{refusals}");
    assert!(same_text >= SAME_TEXT, "{same_text}");
    assert!(same_place >= SAME_PLACE, "{same_place}");
}

fn check(case: &Case, what: &str, same: bool, error: &ParseError) -> bool {
    if !same {
        println!(
            "{what} differs: {:?}: {error:?}, wanted {:?} at {:?}",
            case.text, case.message, case.place
        );
    }

    same
}

#[test]
fn printed_expressions_read_back() {
    let Some(folder) = shared::path("conformance/parser") else {
        return;
    };
    let cases = json_lines(&folder.join("printer_prettier_cases.jsonl"));
    let mut printed = 0;

    for case in &cases {
        let text = case["in"].as_str().expect("a text");
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let line = expr.to_string();
        let pretty = prettify(&expr).expect("short enough");

        for form in [&line, &pretty] {
            let again = parse(form).unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_eq!(again.to_string(), line, "from {text}");
        }

        // If upstream's case gives the printed form in another way, the file just repeats the text.
        // So the layout is not compared.
        let squeezed = |text: &str| text.replace([' ', '\n'], "");
        if squeezed(case["out"].as_str().expect("a text")) == squeezed(&line) {
            printed += 1;
        } else {
            println!("printed differently: {text:?}: {line}");
        }
    }

    println!(
        "{} texts printed, {printed} of them as they were",
        cases.len()
    );

    assert!(printed >= PRINTED, "{printed}");
}

#[test]
fn every_query_of_the_test_scripts_is_accepted() {
    let Some(folder) = shared::path("conformance/promqltest") else {
        return;
    };
    let mut queries = 0;

    for file in std::fs::read_dir(folder).expect("readable") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("readable");

        for query in text.lines().filter_map(script_query) {
            queries += 1;

            let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            for form in [expr.to_string(), prettify(&expr).expect("short enough")] {
                let again = parse(&form).unwrap_or_else(|error| panic!("{form}: {error}"));
                assert_eq!(again.to_string(), expr.to_string(), "from {query}");
            }
        }
    }

    println!("{queries} queries");
    assert!(queries > 1000, "{queries}");
}

#[test]
fn queries_of_the_compliance_tester_are_accepted() {
    let Some(file) = shared::path("conformance/promql-compliance-queries.yml") else {
        return;
    };
    let text = std::fs::read_to_string(file).expect("readable");
    let mut queries = 0;

    for entry in text.split("- query: ").skip(1) {
        let query = entry
            .lines()
            .next()
            .unwrap_or_default()
            .trim_matches(['\'', '"']);

        // The other queries are templates, or have quotes escaped for YAML, or should fail.
        let is_plain = !query.contains("{{") && !query.contains("''") && !query.contains('\\');
        if !is_plain || entry.contains("should_fail: true") {
            continue;
        }

        queries += 1;
        parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }

    println!("{queries} queries");
    assert!(queries > 50, "{queries}");
}

/// The query of a line. Lines are `eval instant at <time> <query>` or `eval range from <time> to
/// <time> step <duration> <query>`.
fn script_query(line: &str) -> Option<&str> {
    let line = line.trim();
    let words_before = match line.split_whitespace().take(3).collect::<Vec<_>>()[..] {
        [eval, "instant", "at"] if eval.starts_with("eval") => 4,
        [eval, "instant", _] if eval.starts_with("eval") => 2,
        [eval, "range", "from"] if eval.starts_with("eval") => 8,
        _ => return None,
    };

    let mut rest = line;
    for _ in 0..words_before {
        rest = rest.trim_start().split_once(char::is_whitespace)?.1;
    }

    Some(rest.trim())
}
