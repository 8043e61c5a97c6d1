//! Requests, as handlers see them.
//!
//! [`door`] has the checks of every role. [`tenant`] is the tenant of a request, and [`viewer`]
//! what a request may see of the process. [`intake`] reads bodies. [`form`] reads the parameters of
//! the URL and of a form, with times and durations as [`go_time`] reads them.

pub(crate) mod door;
pub(crate) mod form;
pub(crate) mod go_time;
pub(crate) mod intake;
pub(crate) mod tenant;
pub(crate) mod viewer;
