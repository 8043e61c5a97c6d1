//! The basis of every role: time, randomness, threads, disk and memory of one process.
//!
//! - [`clock`]: the only source of time. Tests set it.
//! - [`entropy`]: the only source of randomness, of ids too. It comes with the clock.
//! - [`tasks`]: named tasks that are watched and joined. [`workers`]: threads for computations,
//!   separate from those that serve requests. [`priority`]: which threads run first. [`pace`]: lets
//!   a long computation yield. [`flights`]: one piece of work for all who wait for its result.
//! - [`disk`]: files that survive a loss of power, behind a trait that `testkit` simulates.
//!   [`disk::descriptors`]: a reserve of file descriptors.
//! - [`memory`]: the memory limit of the process. [`process`]: identifies this process, and checks
//!   whether another one still runs.

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod flights;
pub mod memory;
pub mod pace;
pub mod priority;
pub mod process;
pub mod tasks;
pub mod workers;

pub use clock::{Clock, MockClock, SystemClock};
pub use disk::real::RealDisk;
pub use disk::{Disk, DiskFile};
pub use entropy::Entropy;
pub use flights::{Flight, Flights};
pub use memory::{MemoryLimit, MemoryLimitSource};
pub use pace::Pace;
pub use process::{Liveness, ProcessMark};
pub use tasks::{OnFailure, Tasks};
pub use workers::Workers;
