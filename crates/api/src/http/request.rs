//! A request as handlers see it.
//!
//! [`door`] is what every role asks of a request; [`tenant`] and [`viewer`] say whose it is and what
//! it may see; [`intake`] reads bodies, and [`form`] the parameters of the URL and of a form, with
//! times and durations as [`go_time`] reads them.

pub(crate) mod door;
pub(crate) mod form;
pub(crate) mod go_time;
pub(crate) mod intake;
pub(crate) mod tenant;
pub(crate) mod viewer;
