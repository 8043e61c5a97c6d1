//! Object stores within the process whose requests a test controls.
//!
//! - `hooked`: a store over another one, with a hook that answers its GETs.
//! - `trips`: a hook that counts GETs, and the trips that depend on each other.
//! - `paced`: a store whose requests of all kinds take one trip each.
//! - `sim`: a store with a clock of its own, whose processes fail, stop and die at any request.

mod hooked;
mod paced;
mod sim;
mod trips;

pub use hooked::{Hooked, OnGet};
pub use paced::Paced;
pub use sim::{SimClient, SimCounts, SimStore};
pub use trips::{Trips, TripsCount};
