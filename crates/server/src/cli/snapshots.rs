//! The subcommand `snapshots`: asks a running server to make, list and drop named snapshots.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{Server, data};

/// Makes, lists and drops named snapshots. It asks a running server, which must allow it with
/// --http-admin-api.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Snapshots {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum What {
    Create(Create),
    Ls(List),
    Drop(Drop),
}

/// Flushes a tenant and gives the state after it a name, so that its blocks are kept. Queries and
/// exports ask for it with as_of.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Create {
    /// From 1 to 100 letters, digits and -_.
    name: String,

    #[command(flatten)]
    server: Server,
}

/// Lists the named snapshots, by name.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct List {
    #[command(flatten)]
    server: Server,
}

/// Drops a named snapshot. What only it has kept is deleted by and by.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Drop {
    name: String,

    #[command(flatten)]
    server: Server,
}

const PATH: &str = "/api/v1/admin/tsdb";

impl Snapshots {
    /// Asks the server. Returns what it answers.
    pub(crate) async fn run(&self) -> anyhow::Result<String> {
        match &self.what {
            What::Create(Create { name, server }) => {
                let path = format!("{PATH}/create_snapshot");
                server.ask(Method::POST, &path, &[("name", name)]).await?;
                Ok(format!("as_of=snapshot:{name} asks for it"))
            }
            What::Ls(List { server }) => data(server, &format!("{PATH}/snapshots")).await,
            What::Drop(Drop { name, server }) => {
                let path = format!("{PATH}/drop_snapshot");
                server.ask(Method::POST, &path, &[("name", name)]).await?;
                Ok(format!("{name} is dropped"))
            }
        }
    }
}
