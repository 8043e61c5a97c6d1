//! The limits as their users read of them.

mod reference;
