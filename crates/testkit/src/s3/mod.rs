//! An S3 server within the test's own process, over real HTTP on the loop-back address.
//!
//! The code under test uses its own client, so the client's retries, time-outs and error mapping
//! are tested too. The server is linearizable: one lock is around the objects, so every read and
//! every list sees all writes that were committed before it.
//!
//! A request whose body has arrived is carried out even if the client has gone away, as in a real
//! store. So a write that timed out for its client may still be committed later.
//!
//! - [`S3`] is the running server: its contents, switches, counters and log (`server`, `options`).
//! - A request is parsed (`call`, `chunked`, `range`) and carried out (`exchange`, `bucket`:
//!   `objects`, `multipart`, `list`). Then it is logged (`records`) and answered (`answer`, `xml`).
//! - [`Rule`] and [`FaultPlan`] make requests fail, slow or odd (`faults`, `latency`), in the same
//!   way for the same seed.
//! - [`Gate`] stops a request at an exact point until the test lets it go.
//!
//! Limits: signatures are not verified (only the access key is read), old versions of objects are
//! not kept, and there is only one bucket.

mod answer;
mod bucket;
mod call;
mod chunked;
mod clock;
mod exchange;
mod faults;
mod gate;
mod latency;
mod list;
mod multipart;
mod objects;
mod options;
mod range;
mod records;
mod server;
mod xml;

pub use call::Op;
pub use faults::{Fault, FaultPlan, Point, Rule, RuleId, When};
pub use gate::Gate;
pub use latency::Latency;
pub use objects::ObjectInfo;
pub use options::S3Options;
pub use range::ByteRange;
pub use records::{Counts, RequestLog};
pub use server::S3;
