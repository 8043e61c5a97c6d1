//! `docs/reference/limits.md` equals the comments in the code.

use std::collections::BTreeMap;
use std::fmt::Write;

use duramen_limits::Limits;
use serde_json::Value;

const SOURCE: &str = include_str!("../../src/limits.rs");
const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/limits.md"
);

/// The sections of the file and their types.
const SECTIONS: [(&str, &str); 4] = [
    ("ingest", "IngestLimits"),
    ("ha", "HaLimits"),
    ("query", "QueryLimits"),
    ("retention", "RetentionLimits"),
];

const HEAD: &str = "# The limits file

Made from the comments in `crates/limits/src/limits.rs`; `DURAMEN_BLESS=1 cargo test -p duramen-limits` writes it anew.

`--limits-file FILE` names a YAML file with the limits of each tenant. The process reads it at the start, and a fault then stops the process. It reads the file again when its
content has changed (checked every 10 s), on SIGHUP, and on `POST /-/reload`; after a fault, the previous limits stay in force. The values below apply without a file, and to keys
that the file does not set. A tenant's value has precedence over that of `defaults`, key by key.

```yaml
defaults:
  ingest: {series_max: 1000000}
  ha: {enabled: true}
tenants:
  team-a:
    ingest: {series_max: 5000000, samples_per_second: 200000}
    query: {timeout: 5m}
    retention: {period: 400d, rules: [{selector: '{env=\"dev\"}', period: 7d}]}
```

Durations are as in PromQL (`30s`, `1h30m`), and sizes have a unit (`64MiB`, `512KiB`). `null` means no limit, for the keys that say so. `GET /api/v1/limits` returns the limits of the
tenant that asks, and which of them the file has changed.
";

/// The fields of the struct `name` in `source`, in order, and the texts of their comments.
fn fields(source: &str, name: &str) -> Vec<(String, String)> {
    let body = source
        .split_once(&format!("pub struct {name} {{"))
        .expect("the struct is there")
        .1;

    let body = body.split_once("\n}").expect("it ends").0;
    let mut found = Vec::new();
    let mut comment = String::new();

    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment = format!("{comment} {}", text.trim()).trim().to_owned();
        } else if let Some(field) = line.strip_prefix("pub ") {
            let field = field.split(':').next().unwrap_or_default();
            found.push((field.to_owned(), std::mem::take(&mut comment)));
        }
    }

    found
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "`null`".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn page() -> String {
    let defaults = serde_json::to_value(Limits::default()).expect("limits are text");
    let mut page = HEAD.to_owned();

    for (section, name) in SECTIONS {
        writeln!(
            page,
            "\n## `{section}`\n\n| key | default | |\n|---|---|---|"
        )
        .expect("limits are text");

        for (field, text) in fields(SOURCE, name) {
            writeln!(
                page,
                "| `{field}` | {} | {text} |",
                shown(&defaults[section][&field])
            )
            .expect("limits are text");
        }
    }

    page
}

#[test]
fn the_page_is_what_the_comments_say() {
    let page = page();
    if std::env::var_os("DURAMEN_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(PAGE, &page).unwrap();
    }

    assert!(
        std::fs::read_to_string(PAGE).unwrap() == page,
        "docs/reference/limits.md is old: DURAMEN_BLESS=1 writes it"
    );
}

#[test]
fn every_key_has_a_text() {
    let defaults = serde_json::to_value(Limits::default()).unwrap();

    for (section, name) in SECTIONS {
        let texts: BTreeMap<_, _> = fields(SOURCE, name).into_iter().collect();
        let keys: Vec<_> = defaults[section].as_object().unwrap().keys().collect();

        assert!(
            keys.iter()
                .all(|key| texts.get(*key).is_some_and(|text| text.ends_with('.'))),
            "{section}: {texts:#?}"
        );

        assert_eq!(keys.len(), texts.len(), "{section}");
    }

    assert_eq!(defaults.as_object().unwrap().len(), SECTIONS.len());
}
