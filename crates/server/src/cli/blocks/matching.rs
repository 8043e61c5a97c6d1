//! The selector of `--match`.

use anyhow::Context;
use duramen_model::{Matcher, Regexes};

/// Reads a selector. Without one, every series matches.
pub(super) fn read(selector: Option<&str>) -> anyhow::Result<Vec<Matcher>> {
    let Some(text) = selector else {
        return Ok(Vec::new());
    };

    let parsed = duramen_syntax::parse_selector(text).context("--match")?;
    let regexes = Regexes::default();
    let compiled = parsed.iter().map(|matcher| matcher.compile(&regexes));
    compiled.collect::<Result<_, _>>().context("--match")
}
