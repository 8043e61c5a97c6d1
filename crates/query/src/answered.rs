//! What a query found, while it is on its way to the client.

use std::ops::Deref;

use crate::turns::Turn;

/// What a query found, with its turn. Until the turn is dropped, the query counts as running. Keep
/// it until a large answer is sent.
#[derive(Debug)]
pub struct Answered<T> {
    value: T,
    turn: Turn,
}

impl<T> Answered<T> {
    pub(crate) const fn new(value: T, turn: Turn) -> Self {
        Self { value, turn }
    }

    pub fn into_parts(self) -> (T, Turn) {
        (self.value, self.turn)
    }
}

impl<T> Deref for Answered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
