//! Requests of the command line to a running server.

use anyhow::Context;
use clap::Args;
use reqwest::{Method, Response};
use serde_json::Value as Json;

/// The server that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Server {
    /// The server's URL.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7480")]
    url: String,

    /// The tenant, if the server has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl Server {
    /// Sends a request with a form. Fails with the server's reason if it refuses.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let mut request = reqwest::Client::new().request(method, &url);

        if !parameters.is_empty() {
            request = request.form(parameters);
        }

        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }

        let answer = request.send().await.with_context(|| {
            format!("no answer (--url says which server is asked). url=`{url}`")
        })?;

        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }

        let text = text_of(answer).await?;
        anyhow::bail!(
            "{}. status=`{}`, url=`{url}`",
            refusal(&text),
            status.as_u16()
        );
    }
}

/// Returns the `data` of an answer, for people.
pub(crate) async fn data(server: &Server, path: &str) -> anyhow::Result<String> {
    let answer = server.ask(Method::GET, path, &[]).await?;
    data_of(answer).await
}

/// Returns the `data` of an answer that is there, for people.
pub(crate) async fn data_of(answer: Response) -> anyhow::Result<String> {
    let text = text_of(answer).await?;
    let json: Json = serde_json::from_str(&text).context("the answer is no JSON")?;

    Ok(serde_json::to_string_pretty(&json["data"])?)
}

/// Returns the body of an answer.
pub(crate) async fn text_of(answer: Response) -> anyhow::Result<String> {
    let url = answer.url().clone();
    let text = answer.text().await;
    text.with_context(|| format!("read the answer of {url}"))
}

/// Returns the server's reason for refusing.
fn refusal(answer: &str) -> String {
    let why = serde_json::from_str::<Json>(answer)
        .ok()
        .and_then(|json| json["error"].as_str().map(str::to_owned));
    why.unwrap_or_else(|| answer.trim().to_owned())
}
