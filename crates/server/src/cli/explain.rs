//! The subcommand `explain`: asks a running server for the operators of a query.

use clap::Args;
use reqwest::Method;

use super::client::{Server, text_of};

/// Shows the operators of a query and, with --analyze, what each of them did and read. It asks a
/// running server.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Explain {
    /// A PromQL expression.
    query: String,

    #[command(flatten)]
    server: Server,

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
    let path = "/api/v1/explain";
    let parameters = command.parameters();
    let answer = command.server.ask(Method::POST, path, &parameters).await?;

    text_of(answer).await
}
