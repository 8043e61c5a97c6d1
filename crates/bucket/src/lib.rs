//! The bucket and the data directory: where all data is kept, and which process may write it.
//!
//! A request passes through [`Bucket`]: it is counted ([`metrics`]), limited in number and retried
//! ([`retry`]). Then it goes to S3, to memory or to a [`LocalStore`]. [`keys`] has the keys of all
//! objects.
//!
//! - [`Bucket`] is the handle for all requests. [`StoreUrl`] says where the store is.
//! - [`LocalStore`] is a store in a directory. What it acknowledges survives a loss of power.
//! - [`Opening`] is the start of a process at its store: the probe, the deployment, the claim and the
//!   tenants, in few trips.
//! - [`DataDir`] is the local directory of one process, with its lock, its [`WriterIdentity`] and
//!   its [`Ballast`].
//! - [`Claim`] is the right to write to a store. One process has it.
//! - [`Deployment`] protects a store from processes of other deployments. [`probe`] refuses a store
//!   that does not keep its promises, and measures the [`StoreCost`].
//! - [`Chain`] decides who came first. [`Tenants`] is built on it.

pub mod ballast;
pub mod bucket;
pub mod chain;
pub mod claim;
pub mod config;
pub mod cost;
pub mod data_dir;
pub mod deployment;
mod directories;
pub mod error;
mod gauged;
pub mod keys;
pub mod local;
pub mod metrics;
pub mod opening;
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
pub use config::{Access, Config, Credentials, S3Config};
pub use cost::StoreCost;
pub use data_dir::{DataDir, DataDirLock, WriterIdentity};
pub use deployment::Deployment;
pub use error::{CheckError, Error};
pub use local::LocalStore;
pub use metrics::{Metrics, Op};
pub use opening::{Opening, OpeningError};
pub use probe::ProbeReport;
pub use retry::RetryPolicy;
pub use tenants::{DeletedTenant, GROUP, NotRenamed, Tenant, Tenants};
pub use url::StoreUrl;
