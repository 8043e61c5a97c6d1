//! The subcommand `explain`: asks a server that runs for the operators of a query.

use anyhow::Context;
use clap::Args;

/// Asks a server for the operators of a query, and with --analyze for what each of them did and read.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Explain {
    /// A PromQL expression.
    query: String,

    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7480")]
    url: String,

    /// The tenant, where the server has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// Evaluate the query.
    #[arg(long)]
    analyze: bool,

    /// When to evaluate: Unix seconds or RFC 3339; now without it.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["start", "end", "step"])]
    time: Option<String>,

    /// The first step of a range.
    #[arg(long, value_name = "TIME", requires_all = ["end", "step"])]
    start: Option<String>,

    /// The last step of a range.
    #[arg(long, value_name = "TIME", requires = "start")]
    end: Option<String>,

    /// Between two steps.
    #[arg(long, value_name = "DURATION", requires = "start")]
    step: Option<String>,

    /// As which text it is printed.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

impl Explain {
    fn parameters(&self) -> Vec<(&'static str, &str)> {
        let given = [("time", &self.time), ("start", &self.start), ("end", &self.end), ("step", &self.step)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let analyze = if self.analyze { "true" } else { "false" };
        [("query", &*self.query), ("analyze", analyze), ("format", &*self.format)].into_iter().chain(given).collect()
    }
}

/// Prints what the server says.
pub fn explain(asked: &Explain) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(ask(asked))?;
    #[expect(clippy::print_stdout, reason = "it is asked for on the command line")]
    {
        println!("{}", text.trim_end());
    }
    Ok(())
}

async fn ask(asked: &Explain) -> anyhow::Result<String> {
    let url = format!("{}/api/v1/explain", asked.url.trim_end_matches('/'));
    let mut request = reqwest::Client::new().post(&url).form(&asked.parameters());
    if let Some(tenant) = &asked.tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }
    let answer = request.send().await.with_context(|| format!("ask {url}"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("read the answer of {url}"))?;
    anyhow::ensure!(status.is_success(), "the server refuses. status=`{status}`, answer=`{}`", text.trim());
    Ok(text)
}
