//! A query as it was asked.

use std::sync::Arc;

/// A query as it was asked. Its text is read during its turn.
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
