//! Object stores within the process whose GETs a test controls.
//!
//! - `hooked`: a store over another one, with a hook that answers its GETs.
//! - `trips`: a hook that counts GETs, and the trips that depend on each other.

mod hooked;
mod trips;

pub use hooked::{Hooked, OnGet};
pub use trips::{Trips, TripsCount};
