//! What the write-ahead log promises, on a disk that forgets what was not synced.

mod crash;
mod damage;
mod durability;
mod faults;
mod files;
mod golden;
mod round_trip;
mod support;
