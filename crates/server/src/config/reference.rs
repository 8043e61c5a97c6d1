//! The test that compares `docs/reference/config.md` with the comments in the code.

use std::collections::BTreeMap;

use duramen_settings::leaves;
use serde_json::Value;

use super::Config;
use super::layers::settable;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/config.md"
);

const HEAD: &str = "# Settings

Made from the comments in `crates/server/src/config.rs`; `DURAMEN_BLESS=1 cargo test -p duramen-server --lib reference` writes it anew.

Defaults < the YAML file of `--config FILE` < environment variables < flags. The key `flush.interval` is

- in the file: `flush: {interval: 5m}`,
- the flag `--flush-interval 5m`,
- the variable `DURAMEN_FLUSH_INTERVAL=5m`.

An unknown key is refused at the start, with its line; all other faults are reported together. Durations are as in PromQL (`30s`, `1h30m`), sizes have a unit
(`64MiB`, `2GiB`). `--print-config` prints the effective settings with their origins, `--check-config` only checks them, and `GET /config` shows those of a
running process; secrets are shown as `<secret>`. Settings are read at the start; what each tenant may use is read while the process runs: [limits.md](limits.md).
";

fn page() -> String {
    let tree = serde_json::to_value(Config::default()).expect("plain values have JSON");
    let defaults: BTreeMap<_, _> = leaves(&tree).into_iter().collect();
    let mut page = HEAD.to_owned();
    let mut section = None;

    for argument in settable() {
        let key = argument.get_id().as_str();
        let key_section = key
            .split_once('.')
            .map_or("", |(section, _)| section)
            .to_owned();

        if section.as_ref() != Some(&key_section) {
            let title = if key_section.is_empty() {
                "Without a section".to_owned()
            } else {
                format!("`{key_section}`")
            };

            page.push_str(&format!(
                "\n## {title}\n\n| key | default | |\n|---|---|---|\n"
            ));
            section = Some(key_section);
        }

        let default = match defaults[key] {
            Value::Null => "none".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };

        let help = argument
            .get_long_help()
            .or_else(|| argument.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();

        page.push_str(&format!(
            "| `{key}` | {default} | {} |\n",
            help.replace('\n', " ")
        ));
    }

    page
}

#[test]
fn the_page_is_what_the_comments_say() {
    let wanted = page();
    if std::env::var_os("DURAMEN_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(PAGE, &wanted).unwrap();
    }

    let held = std::fs::read_to_string(PAGE).unwrap();
    assert!(
        held == wanted,
        "docs/reference/config.md is old: DURAMEN_BLESS=1 writes it"
    );
}

#[test]
fn every_key_has_a_text() {
    for argument in settable() {
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();

        assert!(help.len() > 20, "{}: {help:?}", argument.get_id());
    }
}
