//! A query before it is parsed.

use std::sync::Arc;

/// A query before it is parsed. Its text is parsed during its turn.
#[derive(Clone, Debug)]
pub struct Query {
    text: Arc<str>,
}

impl Query {
    pub fn new(text: &str) -> Self {
        Self {
            text: Arc::from(text),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
