use std::time::Duration;

use proptest::prelude::*;

use super::runes::{RUNE_MAX, fold_char};
use super::shape::Shape;
use super::{GoRegex, automaton, named, parse};

fn regex(pattern: &str) -> GoRegex {
    GoRegex::parse(pattern).unwrap()
}

fn refusal(pattern: &str) -> String {
    GoRegex::parse(pattern).unwrap_err().to_string()
}

fn literals(pattern: &str) -> Option<Vec<String>> {
    regex(pattern).literals().map(<[String]>::to_vec)
}

#[test]
fn a_set_of_literals_is_listed_also_when_it_is_factored() {
    let check =
        |pattern, wanted: &[&str]| assert_eq!(literals(pattern).unwrap(), wanted, "{pattern}");
    check("foo", &["foo"]);
    check("", &[""]);
    check("foo|bar|foo", &["bar", "foo"]);
    check("(foo|bar)", &["bar", "foo"]);
    check("foo(a|b(c|d))?", &["foo", "fooa", "foobc", "foobd"]);
    check("^(?:foo|^bar)$", &["bar", "foo"]);
    check("x[ab]{2}", &["xaa", "xab", "xba", "xbb"]);
    check("(?i)ab", &["AB", "Ab", "aB", "ab"]);
    check(r"10\.0\.0\.1", &["10.0.0.1"]);
    check(r"\Qa.b\E", &["a.b"]);
    check("a||", &["", "a"]);
    check(r"[^\x{0}-\x{10FFFF}]", &[]);
}

#[test]
fn what_is_not_a_small_set_is_not_listed() {
    for pattern in [
        "foo.*", "a+", "[^a]", ".", "[a-z]{2}", "a^b", r"\bfoo", "(?m)^foo", "(^a){2}",
    ] {
        assert_eq!(literals(pattern), None, "{pattern}");
    }

    let many = |count: u32| {
        (0..count)
            .map(|n| format!("v{n}"))
            .collect::<Vec<_>>()
            .join("|")
    };

    assert_eq!(literals(&many(256)).unwrap().len(), 256);
    assert_eq!(literals(&many(257)), None);
    assert!(regex(&many(9000)).is_match("v8999"));
    assert!(!regex(&many(9000)).is_match("v9000"));
}

#[test]
fn a_prefix_is_what_every_match_begins_with() {
    let check = |pattern, wanted| assert_eq!(regex(pattern).literal_prefix(), wanted, "{pattern}");
    check("foo.*", Some("foo"));
    check("foo[0-9]+", Some("foo"));
    check("(foo|fob)[0-9]+", Some("fo"));
    check("foo|fob", Some("fo"));
    check("foo.*|fob.+", Some("fo"));
    check("(?:foo)+", Some("foo"));
    check("(?:foo){2}[^a]", Some("foo"));
    check("foo?[^a]", Some("fo"));
    check("é[^a]|è[^a]", None);
    check("éa[^a]|éb[^a]", Some("é"));
    check("^foo[^a]", Some("foo"));
    check("(?i)foo", None);
    check("(?i)1.5[^a]", Some("1"));
    check(".*foo", None);
    check("(?:foo|)[^a]", None);
}

#[test]
fn the_empty_text_is_told_apart() {
    for (pattern, wanted) in [
        ("", true),
        (".*", true),
        (".+", false),
        ("a|", true),
        ("^$", true),
        (r"\B", true),
    ] {
        assert_eq!(regex(pattern).matches_empty(), wanted, "{pattern}");
    }
}

#[test]
fn names_of_categories_and_scripts_do_not_mind_case_and_separators() {
    for name in [
        "L",
        "lu",
        "Cs",
        "Cn",
        "Lowercase_Letter",
        "letter",
        "Greek",
        "Old_Italic",
        "old-italic",
        "Any",
        "LC",
    ] {
        assert!(named::unicode(name).is_some(), "{name}");
    }

    for name in [
        "",
        "Alphabetic",
        "Lowercase",
        "Grek",
        "Unknown",
        "White_Space",
        "Q",
    ] {
        assert!(named::unicode(name).is_none(), "{name}");
    }
}

#[test]
fn every_name_that_is_listed_has_a_table() {
    for name in named::all_names() {
        assert!(
            named::unicode(name).is_some_and(|set| !set.ranges().is_empty()),
            "{name}"
        );
    }
}

#[test]
fn the_table_of_orbits_misses_no_character() {
    for single in (0..=RUNE_MAX).filter_map(char::from_u32) {
        let whole = super::runes::folded(u32::from(single)).is_some();
        assert_eq!(fold_char(single).is_some(), whole, "{single:?}");
    }
}

#[test]
fn equality_and_hash_are_those_of_the_text() {
    assert_eq!(regex("a|b"), regex("a|b"));
    assert_ne!(regex("a|b"), regex("[ab]"));
    assert_eq!(format!("{:?}", regex("a|b")), r#"GoRegex("a|b")"#);
}

#[test]
fn groups_of_a_fast_shape_are_found() {
    let check = |pattern: &str, subject, template, wanted: Option<&str>| {
        assert_eq!(
            regex(pattern)
                .replace_all_expand(subject, template)
                .as_deref(),
            wanted,
            "{pattern}"
        );
    };

    check("(.*)-(.*)", "a-b-c", "$2/$1", Some("c/a-b"));
    check("(?P<h>foo|bar):.+", "foo:1", "<${h}>", Some("<foo>"));
    check("foo", "foo", "$0$1", Some("foo"));

    check(
        &"(.)".repeat(10),
        "abcdefghij",
        "$10$1$01$11$99999999999",
        Some("ja"),
    );

    check("(?U)(a*)(a*?)", "aa", "$1-$2", Some("-aa"));
    check("foo", "bar", "$0", None);
    check("(foo)", "bar", "$0", None);
}

#[test]
fn the_message_is_gos_and_of_a_long_pattern_its_beginning() {
    assert_eq!(
        refusal("a{1001}"),
        "error parsing regexp: invalid repeat count: `{1001}`"
    );

    assert_eq!(
        refusal("(a"),
        "error parsing regexp: missing closing ): `(a`"
    );

    assert_eq!(
        refusal(r"a\"),
        "error parsing regexp: trailing backslash at end of expression: ``"
    );

    let long = refusal(&format!("({}", "é".repeat(1000)));
    assert!(long.ends_with("é...`") && long.len() < 400, "{long}");
}

/// A spelling of the class `\pL` that is different for each number.
fn spaced(bits: String) -> String {
    format!(r"\p{{{}L}}", bits.replace('0', " ").replace('1', "_"))
}

/// The costliest patterns that we could think of. Each must be refused quickly.
fn hostile() -> Vec<(String, &'static str)> {
    let repeat = |text: &str, count: usize| text.repeat(count);
    vec![
        ("(a{1000}){1000}".into(), "invalid repeat count"),
        ("((a{100}){100}){100}".into(), "invalid repeat count"),
        (repeat("a", 1 << 20), "pattern_bytes_max"),
        (repeat("(a|b)*", 200_000), "pattern_bytes_max"),
        (repeat("(", 200_000), "missing closing )"),
        (repeat("(", 1001) + &repeat(")", 1001), "nests too deeply"),
        (repeat("(", 500) + &repeat(")", 500), "nesting_max"),
        (
            repeat("(?:a", 1001) + &repeat(")*", 1001),
            "nests too deeply",
        ),
        (
            format!("(?:{}){{1000}}", repeat("abc", 80_000)),
            "too large",
        ),
        (
            format!("(?:{}){{1000}}", repeat("abc", 1000)),
            "automaton_bytes_max",
        ),
        (r"\pL{1000}".into(), "automaton_bytes_max"),
        (r"(?i)(?:\pL|\pN|x){500}".into(), "automaton_bytes_max"),
        (repeat(r"\pL", 80_000), "class_ranges_max"),
        (format!("[{}]", repeat(r"\pL", 80_000)), "class_ranges_max"),
        (repeat(r"(?i)\PN", 30_000), "class_ranges_max"),
        (
            format!("(?i){}", repeat(r"[\x{0}-\x{10FFFF}]", 14_000)),
            "class_ranges_max",
        ),
        (
            (0..10_000)
                .map(|n| format!("{n:014b}"))
                .map(spaced)
                .collect(),
            "class_ranges_max",
        ),
        (repeat(".", 250_000), "automaton_bytes_max"),
        (repeat("[ab]", 60_000), "automaton_bytes_max"),
        (repeat("(a|b)", 50_000), "automaton_bytes_max"),
        (repeat("(?:){1000}", 25_000) + "[^a]*", "too large"),
        (repeat("(?:){1000}", 3000) + "[^a]*", "automaton_bytes_max"),
        (
            repeat("(?:.{10}[^a]{0,10}){10}|", 9000),
            "automaton_bytes_max",
        ),
    ]
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time it takes is what is tested"
)]
fn hostile_patterns_are_refused_soon() {
    // It takes less than 50 ms with optimisation on an idle machine. Tests have neither.
    let allowed = Duration::from_millis(if cfg!(debug_assertions) { 5000 } else { 500 });

    for (pattern, wanted) in hostile() {
        let start = std::time::Instant::now();
        let refused = GoRegex::parse(&pattern);
        let took = start.elapsed();
        let head = &pattern[..pattern.len().min(30)];

        println!("{took:?} {head}");

        let message = refused.map_or_else(|error| error.to_string(), |_| "parsed".to_owned());
        assert!(message.contains(wanted), "{head}: {message}");
        assert!(took < allowed, "{head}: {took:?}");
    }
}

#[test]
fn the_deepest_pattern_fits_the_stack_of_a_thread() {
    let deep =
        |open: &str, close: &str, count| format!("{}a{}", open.repeat(count), close.repeat(count));
    let bytes = if cfg!(debug_assertions) {
        2 << 20
    } else {
        512 << 10
    };

    for pattern in [
        deep("[^a](", ")", 124),
        deep("(?:[^b]|", ")", 249),
        deep("(?:b", ")*", 124),
        deep("(", ")*", 124),
        deep("(?:[^a]*|", ")?", 124),
    ] {
        let child = std::thread::Builder::new().stack_size(bytes);
        let matched = child.spawn(move || {
            let regex = GoRegex::parse(&pattern).unwrap();
            regex.compile();
            regex.literals().is_none()
        });
        assert!(matched.unwrap().join().unwrap(), "{bytes} bytes");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time it takes is what is told"
)]
fn long_patterns_of_use_are_accepted() {
    let names = (0..9000)
        .map(|n| format!(r"node-{n}\.example\.org:9100"))
        .collect::<Vec<_>>()
        .join("|");

    for pattern in [
        format!("({names})"),
        names[..60_000].trim_end_matches(|c| c != '|').to_owned() + ".*x.y",
    ] {
        let start = std::time::Instant::now();
        let regex = regex(&pattern);
        println!("{} bytes parsed in {:?}", pattern.len(), start.elapsed());
        assert!(regex.is_match("node-17.example.org:9100"));
        assert!(!regex.is_match("node-17.example.org"));
    }
}

/// Patterns that mix parts with a fast shape and a few parts without one.
fn patterns() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "é",
        "ab",
        ".*",
        ".+",
        ".{2,}",
        ".*?",
        "(a|b)",
        "(?:ab|)",
        "a?",
        "[ab]",
        "[ab]{1,2}",
        "(?i)a",
        "^",
        "$",
        "(?:^a|b)",
        "(?:a$|b)",
        "(?:.*|b)",
        "a{0}",
        ".",
        "[^a]",
        "(?-s).*",
        r"\b",
        "|",
    ]);

    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_fast_shape_answers_as_the_automaton_does(
        pattern in patterns(),
        subjects in prop::collection::vec("[abé😀\nA-]{0,5}", 8),
    ) {
        let parsed = parse::parse(&pattern).unwrap();
        let automaton = automaton::compile(&parsed.node, parsed.bytes);
        let regex = regex(&pattern);

        for subject in subjects.iter().map(String::as_str).chain(regex.literals().unwrap_or_default().iter().map(String::as_str)) {
            let wanted = automaton.is_match(super::go_regex::anchored(subject));
            prop_assert_eq!(regex.is_match(subject), wanted, "{} on {:?}", pattern, subject);
            prop_assert_eq!(regex.matches_empty(), automaton.is_match(super::go_regex::anchored("")), "{}", pattern);

            if wanted {
                prop_assert!(subject.starts_with(regex.literal_prefix().unwrap_or_default()));
                prop_assert!(regex.literals().is_none_or(|all| all.iter().any(|one| one == subject)));
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(pattern in r"([a-z0-9(){}\[\]|*+?^$.,\\:<>=!P-]|\\[pPxQE]|\[:|\(\?){0,24}") {
        if let Ok(regex) = GoRegex::parse(&pattern) {
            prop_assert_eq!(regex.matches_empty(), regex.is_match(""));
        }
    }
}

#[test]
fn shapes_of_dashboards_need_no_automaton() {
    for pattern in [
        "foo",
        "foo|bar",
        "foo.*",
        ".*foo",
        ".*foo.*",
        ".+",
        "",
        "(foo|bar).*",
        "foo.*bar|x.*",
        "a.*b.+c",
    ] {
        assert_ne!(
            Shape::of(&parse::parse(pattern).unwrap().node).0,
            Shape::Automaton,
            "{pattern}"
        );
    }
}

#[test]
fn the_estimate_is_not_below_what_an_automaton_takes() {
    let repeat = |text: &str, count| text.repeat(count);

    for pattern in [
        "5..".to_owned(),
        "a[0-9]+b".to_owned(),
        r"\pL{60}".to_owned(),
        r"(?i)\pL{10}".to_owned(),
        r"\x{10FFF0}{1000}".to_owned(),
        r"[^\x{1F600}]{500}".to_owned(),
        r"[\x{7F}-\x{10FFFE}]{400}".to_owned(),
        repeat("[a-z]?", 2000),
        repeat("(a|[bc])*", 1000),
        repeat("(?:|a*)", 1000) + "[^a]",
        "(?:(?:(?:a?){10}){10}){10}[^b]".to_owned(),
        "(?:a{0,30}[0-9]){30}".to_owned(),
        repeat(r"\b", 3000) + "[^a]",
        repeat("(?:a[0-9]|)", 1000),
        repeat("a[0-9]{2}|", 3000),
        (0..2000).map(|n| format!("{n}.{n}|")).collect(),
        "(?:a|b|c|d.){1000}".to_owned(),
        repeat("(?i)straße", 1000),
    ] {
        let head: String = pattern.chars().take(30).collect();
        let parsed = parse::parse(&pattern).unwrap();
        let taken = automaton::compile(&parsed.node, parsed.bytes).memory_usage();
        let estimated = automaton::held_bytes(parsed.bytes);
        println!(
            "{head}: estimate {} held {estimated} taken {taken}",
            parsed.bytes
        );
        assert!(taken <= estimated, "{head}: {taken} of {estimated}");
    }
}
