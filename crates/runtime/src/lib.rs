//! What every role stands on: clock, named and supervised tasks, threads that compute, the pace of
//! what they do, the disk, how much memory there is.

pub mod clock;
pub mod disk;
pub mod memory;
pub mod pace;
pub mod process;
pub mod tasks;
pub mod workers;

pub use clock::{Clock, MockClock, SystemClock};
pub use disk::real::RealDisk;
pub use disk::{Disk, DiskFile};
pub use memory::{MemoryLimit, MemoryLimitSource};
pub use pace::Pace;
pub use process::{Liveness, ProcessMark};
pub use tasks::{OnFailure, Tasks};
pub use workers::Workers;
