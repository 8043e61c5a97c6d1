//! An S3 server inside the test's own process, over real HTTP on the loop-back address.
//!
//! It is spoken to with whatever client the code under test uses, so that the client's own retries,
//! time-outs and error mapping are part of what is tested. It is linearizable: one lock stands
//! around the objects, so every read and every list sees all that was committed before it.
//!
//! A request whose body has arrived is carried out even if its client has gone away meanwhile, as a
//! real store would: a write that timed out for its client may still land later.
//!
//! - [`S3`] is the running server: contents, switches, counters, log.
//! - [`Rule`] and [`FaultPlan`] make requests fail, slowly or in odd ways, the same way for the
//!   same seed.
//! - [`Gate`] stops a request at an exact point until the test lets it go.
//!
//! What it is not: signatures are not verified (only that a key signed), old versions of objects
//! are not kept, and there is one bucket.

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
