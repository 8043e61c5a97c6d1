//! What every role stands on: clock, named and supervised tasks, backoff, the disk.

pub mod clock;
pub mod disk;
pub mod tasks;

pub use clock::{Clock, MockClock, SystemClock};
pub use disk::{Disk, DiskFile, RealDisk};
pub use tasks::{OnFailure, Tasks};
