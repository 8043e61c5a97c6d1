//! Compares our regexes with the answers of Go.

use duramen_model::GoRegex;
use duramen_testkit::shared;

/// The answers of Go. `../goregex/main.go` makes the file and describes its format.
const GOLDEN: &str = include_str!("../golden/goregex.tsv");

/// Undoes the escapes of a field.
fn unescape(field: &str) -> String {
    let mut out = String::new();
    let mut chars = field.chars();

    while let Some(next) = chars.next() {
        let escaped = if next == '\\' {
            chars.next()
        } else {
            Some(next)
        };

        out.push(match (next, escaped) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('0')) => '\0',
            (_, other) => other.expect("an escape has two characters"),
        });
    }

    out
}

/// Our answer to one line, in the format of the file.
fn ours(fields: &[String]) -> String {
    let parsed = GoRegex::parse(&fields[1]);

    match (fields[0].as_str(), parsed) {
        ("e", Ok(_)) => "parsed".to_owned(),
        (_, Err(error)) => error.to_string(),
        ("m", Ok(regex)) => regex.is_match(&fields[2]).to_string(),
        (_, Ok(regex)) => regex
            .replace_all_expand(&fields[2], &fields[3])
            .unwrap_or_else(|| "no match".to_owned()),
    }
}

#[test]
fn generated_patterns_are_answered_as_by_go() {
    let mut differing = Vec::new();

    for line in GOLDEN.lines() {
        let mut fields: Vec<String> = line.split('\t').map(unescape).collect();
        let wanted = fields.pop().unwrap();
        let given = ours(&fields);

        if given != wanted {
            differing.push(format!("{fields:?}: go `{wanted}`, ours `{given}`"));
        }
    }

    assert!(GOLDEN.lines().count() > 6000);
    assert!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

/// Undoes the escapes of a probe's subject. Returns `None` when it is not UTF-8, because labels are
/// always UTF-8.
fn probe_subject(field: &str) -> Option<String> {
    (!field.contains(r"\xff")).then(|| {
        let plain = field.replace(r"\n", "\n").replace(r"\v", "\u{b}");
        plain
            .replace(r"\x07", "\u{7}")
            .replace(r"\x1b", "\u{1b}")
            .replace(r"\x01", "\u{1}")
    })
}

#[test]
fn the_probes_are_answered_as_by_go() {
    let Some(file) = shared::path("conformance/regex/regex_cases.tsv") else {
        return;
    };
    let probes = std::fs::read_to_string(file).unwrap();
    let mut probed = 0;
    let mut skipped = 0;
    let mut differing = Vec::new();

    for line in probes.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [wanted, pattern, subject] = fields[..] else {
            panic!("a probe has three fields. line=`{line}`")
        };
        let Some(subject) = probe_subject(subject) else {
            skipped += 1;
            continue;
        };

        probed += 1;

        let given = match GoRegex::parse(pattern) {
            Err(_) => "ERR".to_owned(),
            Ok(regex) => regex.is_match(&subject).to_string(),
        };

        if given != wanted {
            differing.push(format!("{line}: ours `{given}`"));
        }
    }

    println!("{probed} probes, {skipped} of invalid UTF-8 left out");
    assert!(probed >= 90, "probed=`{probed}`");

    assert!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
}
