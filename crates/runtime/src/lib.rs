//! What every role stands on: time, randomness, threads, the disk and memory of one process.
//!
//! - [`clock`]: the only source of time. Tests set it.
//! - [`entropy`]: the only source of randomness, of ids too. It comes with the clock.
//! - [`tasks`]: named tasks that somebody waits for; [`workers`]: threads that compute, apart from
//!   those that serve requests; [`pace`]: where a long computation lets others in.
//! - [`disk`]: files that survive a loss of power, behind a trait that `testkit` simulates;
//!   [`disk::descriptors`]: what is left when no file can be opened.
//! - [`memory`]: how much there may be; [`process`]: who this process is, and whether another
//!   lives.

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod memory;
pub mod pace;
pub mod process;
pub mod tasks;
pub mod workers;

pub use clock::{Clock, MockClock, SystemClock};
pub use disk::real::RealDisk;
pub use disk::{Disk, DiskFile};
pub use entropy::Entropy;
pub use memory::{MemoryLimit, MemoryLimitSource};
pub use pace::Pace;
pub use process::{Liveness, ProcessMark};
pub use tasks::{OnFailure, Tasks};
pub use workers::Workers;
