//! The test that compares `docs/reference/http.md` with the table of routes.

use std::path::PathBuf;

use crate::http::docs::endpoint::{Answer, Description};
use crate::http::routes;

const HEAD: &str = "# HTTP API

Written by the tests of `api` from the table of its routes; `DURAMEN_BLESS=1 cargo test -p duramen-api --lib reference` writes
it anew. The same table makes the OpenAPI document at `/api/v1/openapi.yaml`. Everything is also served under `/prometheus` and
`/api/prom`, and with slashes doubled or at the end. An asterisk marks a parameter that is needed. GET serves HEAD as well.

A POST takes its parameters as a form (`application/x-www-form-urlencoded` or `multipart/form-data`); another body is refused. Errors under
`/api/` have the envelope of Prometheus (`status`, `errorType`, `error`), those of the remote protocols and all others are plain text.

| path | methods | parameters | answer |
|---|---|---|---|
";

fn line(endpoint: &Description) -> String {
    let methods: Vec<String> = endpoint
        .methods
        .iter()
        .map(|method| method.to_uppercase())
        .collect();

    let parameter = |p: &crate::http::docs::endpoint::Parameter| {
        format!("`{}`{}", p.name, if p.is_required { "\\*" } else { "" })
    };
    let parameters: Vec<String> = endpoint.parameters.iter().map(parameter).collect();

    let answer = match endpoint.answer {
        Answer::Data(_) | Answer::DataOrNothing(_) | Answer::DataOrText(_) => "200",
        Answer::Raw(media_type) => media_type,
        Answer::Json(_) => "application/json",
        Answer::Nothing | Answer::Accepted => "204",
        Answer::Absent(code) => &code.to_string(),
    };

    let path = endpoint.path;
    let summary = endpoint.summary;

    format!(
        "| `{path}` | {} | {} | {answer}: {summary} |\n",
        methods.join(" "),
        parameters.join(" ")
    )
}

#[test]
fn the_reference_in_the_docs_is_that_of_the_routes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/http.md");
    let wanted: String = std::iter::once(HEAD.to_owned())
        .chain(routes::descriptions().iter().map(line))
        .collect();

    if std::env::var_os("DURAMEN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &wanted).unwrap();
    }

    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/reference/http.md is not that of the routes; DURAMEN_BLESS=1 writes it anew"
    );
}
