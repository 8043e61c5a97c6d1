//! The subcommand `tenants`: asks a running server to list, rename, clone and delete tenants.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::{Server, data, data_of};

/// Lists, renames, clones and deletes the tenants of a store. It asks a running server: with one tenant
/// --http-admin-api must allow it, with several it is asked at --http-operator-listen.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Tenants {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum What {
    Ls(List),
    Rename(Rename),
    Clone(CloneOf),
    Delete(Delete),
    Receipt(Receipt),
}

/// Lists the tenants in the order of their adding, and those that were deleted.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct List {
    #[command(flatten)]
    server: Server,
}

/// Gives a tenant another name. Its data stays where it is, and the old name is free.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Rename {
    from: String,
    to: String,

    #[command(flatten)]
    server: Server,
}

/// Makes a tenant that begins with what another one has now. No sample is copied: what both have
/// stays in one place until merges and retention let go of it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct CloneOf {
    from: String,
    to: String,

    #[command(flatten)]
    server: Server,
}

/// Deletes a tenant with all that it has, and prints its receipt. Its name is free at once; its
/// objects go by and by. What is deleted does not come back.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Delete {
    name: String,

    #[command(flatten)]
    server: Server,
}

/// Says what is left in the store of a tenant that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
struct Receipt {
    /// The id, which `delete` and `ls` print.
    id: String,

    #[command(flatten)]
    server: Server,
}

const PATH: &str = "/api/v1/admin/tenants";

impl Tenants {
    /// Asks the server. Returns what it answers.
    pub(crate) async fn run(&self) -> anyhow::Result<String> {
        match &self.what {
            What::Ls(List { server }) => data(server, PATH).await,
            What::Rename(Rename { from, to, server }) => {
                let path = format!("{PATH}/rename");
                let names = [("from", from.as_str()), ("to", to.as_str())];
                server.ask(Method::POST, &path, &names).await?;
                Ok(format!("{from} is {to} now"))
            }
            What::Clone(CloneOf { from, to, server }) => {
                let path = format!("{PATH}/clone");
                let names = [("from", from.as_str()), ("to", to.as_str())];
                data_of(server.ask(Method::POST, &path, &names).await?).await
            }
            What::Delete(Delete { name, server }) => {
                let path = format!("{PATH}/delete");
                let answer = server.ask(Method::POST, &path, &[("name", name)]).await?;
                data_of(answer).await
            }
            What::Receipt(Receipt { id, server }) => {
                data(server, &format!("{PATH}/deleted/{id}")).await
            }
        }
    }
}
