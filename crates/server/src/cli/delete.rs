//! The subcommand `delete`: asks a running server to delete series, and what became of deletions.

use clap::{Args, Subcommand};
use reqwest::{Method, header};

use super::client::{Server, data};

/// Deletes series, and shows what became of earlier deletions. It asks a running server, which must
/// allow it with --http-admin-api.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Delete {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum What {
    Series(Series),
    List(List),
    Show(Show),
    Clean(Clean),
}

/// Deletes the samples of series. No query finds them any more when this ends. Prints the id of the
/// deletion.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Series {
    /// Selectors, such as `up{job="a"}`. A series must match one of them.
    #[arg(required = true, value_name = "SELECTOR")]
    selectors: Vec<String>,

    /// The first time, as Unix seconds or RFC 3339; all times without it.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,

    /// The last time.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,

    /// Delete only floats that pass a comparison with a number, such as "> 5".
    #[arg(long, value_name = "TEST")]
    value: Option<String>,

    /// Who asks, for the receipt.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,

    #[command(flatten)]
    server: Server,
}

/// Lists the deletions, the last one first.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct List {
    #[command(flatten)]
    server: Server,
}

/// Shows the receipt of a deletion: what was deleted, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Show {
    /// The id of the deletion.
    id: String,

    #[command(flatten)]
    server: Server,
}

/// Has deleted samples removed from the store soon.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Clean {
    #[command(flatten)]
    server: Server,
}

const PATH: &str = "/api/v1/admin/tsdb";

impl Delete {
    /// Asks the server. Returns what it answers.
    pub(crate) async fn run(&self) -> anyhow::Result<String> {
        match &self.what {
            What::Series(series) => series.run().await,
            What::List(List { server }) => data(server, &format!("{PATH}/deletions")).await,
            What::Show(Show { id, server }) => {
                data(server, &format!("{PATH}/deletions/{id}")).await
            }
            What::Clean(Clean { server }) => {
                let path = format!("{PATH}/clean_tombstones");
                server.ask(Method::POST, &path, &[]).await?;
                Ok("deleted samples are removed soon".to_owned())
            }
        }
    }
}

impl Series {
    async fn run(&self) -> anyhow::Result<String> {
        let given = [
            ("start", &self.start),
            ("end", &self.end),
            ("value", &self.value),
            ("author", &self.author),
        ];

        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let selectors = self.selectors.iter().map(|text| ("match[]", text.as_str()));
        let parameters: Vec<_> = selectors.chain(given).collect();

        let path = format!("{PATH}/delete_series");
        let answer = self.server.ask(Method::POST, &path, &parameters).await?;
        let place = answer.headers().get(header::LOCATION);
        let place = place.and_then(|place| place.to_str().ok());

        Ok(match place.and_then(|place| place.rsplit('/').next()) {
            Some(id) => id.to_owned(),
            None => "there is nothing of this tenant".to_owned(),
        })
    }
}
