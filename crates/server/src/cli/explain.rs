//! The subcommand `explain`: asks a running server for the operators of a query.

use anyhow::Context;
use clap::Args;
use serde_json::Value as Json;

/// Shows the operators of a query and, with --analyze, what each of them did and read. It asks a
/// running server.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Explain {
    /// A PromQL expression.
    query: String,

    /// The server's URL.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7480")]
    url: String,

    /// The tenant, if the server has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// Evaluate the query, and show what the operators did.
    #[arg(long)]
    analyze: bool,

    /// The time of evaluation, as Unix seconds or RFC 3339; the current time without it.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["start", "end", "step"])]
    time: Option<String>,

    /// The first step of a range.
    #[arg(long, value_name = "TIME", requires_all = ["end", "step"])]
    start: Option<String>,

    /// The last step of a range.
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<String>,

    /// The time between two steps.
    #[arg(long, value_name = "DURATION", requires = "start")]
    step: Option<String>,

    /// The format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

impl Explain {
    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let given = [
            ("time", &self.time),
            ("start", &self.start),
            ("end", &self.end),
            ("step", &self.step),
        ];

        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let analyze = if self.analyze { "true" } else { "false" };

        [
            ("query", &*self.query),
            ("analyze", analyze),
            ("format", &*self.format),
        ]
        .into_iter()
        .chain(given)
        .collect()
    }
}

/// Returns the server's answer.
pub(crate) async fn ask(command: &Explain) -> anyhow::Result<String> {
    let url = format!("{}/api/v1/explain", command.url.trim_end_matches('/'));
    let mut request = reqwest::Client::new()
        .post(&url)
        .form(&command.parameters());

    if let Some(tenant) = &command.tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }

    let answer = request
        .send()
        .await
        .with_context(|| format!("no answer (--url says which server is asked). url=`{url}`"))?;

    let status = answer.status();
    let text = answer
        .text()
        .await
        .with_context(|| format!("read the answer of {url}"))?;

    anyhow::ensure!(
        status.is_success(),
        "{}. status=`{}`, url=`{url}`",
        refusal(&text),
        status.as_u16()
    );

    Ok(text)
}

/// Returns the server's reason for refusing.
fn refusal(answer: &str) -> String {
    let why = serde_json::from_str::<Json>(answer)
        .ok()
        .and_then(|json| json["error"].as_str().map(str::to_owned));
    why.unwrap_or_else(|| answer.trim().to_owned())
}
