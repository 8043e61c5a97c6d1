//! The bucket and the data directory: where everything is kept, and who may keep it there.
//!
//! A request goes down through [`Bucket`]: metered ([`metrics`]), bounded, retried ([`retry`]), to
//! S3, to memory or to a [`LocalStore`]. [`keys`] says under which key what lies.
//!
//! - [`Bucket`] is the handle that everything else holds; [`StoreUrl`] says where its bytes are.
//! - [`LocalStore`] is a directory that keeps what it acknowledged through a loss of power.
//! - [`DataDir`] is the local directory of one process, with its lock, its [`WriterIdentity`] and
//!   its [`Ballast`].
//! - [`Claim`] is the right to write to a store: one process has it.
//! - [`Deployment`] keeps processes away from a store that is not theirs; [`probe`] from one that
//!   lies.
//! - [`Chain`] decides who came first, and [`Tenants`] is the first thing built on it.

pub mod ballast;
pub mod bucket;
pub mod chain;
pub mod claim;
pub mod config;
pub mod data_dir;
pub mod deployment;
mod directories;
pub mod error;
mod gauged;
pub mod keys;
pub mod local;
pub mod metrics;
pub mod probe;
pub mod retry;
mod retrying;
mod s3;
pub mod tenants;
pub mod url;

pub use ballast::Ballast;
pub use bucket::Bucket;
pub use chain::{Author, Chain, Created, Entry};
pub use claim::{Claim, LogLeft, TakeOver};
pub use config::{Config, Credentials, S3Config};
pub use data_dir::{DataDir, DataDirLock, WriterIdentity};
pub use deployment::Deployment;
pub use error::{CheckError, Error};
pub use local::LocalStore;
pub use metrics::{Metrics, Op};
pub use probe::ProbeReport;
pub use retry::RetryPolicy;
pub use tenants::Tenants;
pub use url::StoreUrl;
