//! Parses queries and selectors: on the workers, during the turn, and within the timeout of the
//! request.

use std::sync::Arc;

use duramen_model::{Matcher, Regexes};
use duramen_syntax::{Bounds, Expr};

use super::{Asker, Querier, Query};
use crate::error::Error;
use crate::selector::{matchers, selector};

/// The maximum cost of selectors that are only checked.
const CHECKED_TEXT_BYTES_MAX: usize = 64 << 10;
const CHECKED_REGEX_BYTES_MAX: usize = 8 << 20;

impl Querier {
    /// Checks that texts are selectors that need at least one label to be present.
    pub async fn check_selectors(&self, texts: Vec<String>) -> Result<(), Error> {
        self.compute(move || {
            let bounds = checked_bounds();
            for text in &texts {
                excluding(&selector(text, &bounds)?)?;
            }

            Ok(())
        })
        .await?
    }

    /// Checks that a text is a selector.
    pub async fn check_open_selector(&self, text: String) -> Result<(), Error> {
        self.compute(move || selector(&text, &checked_bounds()).map(drop))
            .await?
    }
}

fn checked_bounds() -> Bounds {
    let regexes = Arc::new(Regexes::new(CHECKED_REGEX_BYTES_MAX));
    Bounds {
        text_bytes_max: CHECKED_TEXT_BYTES_MAX,
        regexes,
    }
}

/// Refuses a selector that matches series without any label.
fn excluding(matchers: &[Matcher]) -> Result<(), Error> {
    if matchers.iter().all(Matcher::matches_empty) {
        return Err(Error::EmptyMatcher);
    }

    Ok(())
}

impl Asker {
    /// Returns the limits for all texts of this request together.
    fn bounds(&self) -> Bounds {
        Bounds {
            text_bytes_max: self.limits.query.text_bytes_max,
            regexes: Arc::clone(&self.regexes),
        }
    }

    /// Parses the text of a query and compiles its regexes. It can be cancelled between two
    /// regexes.
    pub(super) async fn read(&self, query: &Query) -> Result<Expr, Error> {
        let expr = duramen_syntax::parse_within(query.text(), &self.bounds())?;
        self.compile().await;
        Ok(expr)
    }

    /// Parses selectors that need at least one label to be present.
    pub(super) async fn selectors(&self, texts: &[String]) -> Result<Vec<Vec<Matcher>>, Error> {
        let selectors = self.open_selectors(texts).await?;
        for matchers in &selectors {
            excluding(matchers)?;
        }

        Ok(selectors)
    }

    /// Parses selectors that may match everything, or have no matchers at all.
    pub(super) async fn open_selectors(
        &self,
        texts: &[String],
    ) -> Result<Vec<Vec<Matcher>>, Error> {
        let bounds = self.bounds();
        let mut selectors = Vec::with_capacity(texts.len());

        for text in texts {
            selectors.push(selector(text, &bounds)?);
            tokio::task::yield_now().await;
        }

        self.compile().await;
        Ok(selectors)
    }

    /// Compiles the matchers of all selectors in an expression, in the order of the text.
    pub(super) fn selectors_in(&self, expr: &Expr) -> Result<Vec<Vec<Matcher>>, Error> {
        let mut found = Vec::new();
        expr.walk(&mut |expr| match expr {
            Expr::VectorSelector(selector) => found.push(matchers(selector, &self.regexes)),
            Expr::MatrixSelector { selector, .. } => found.push(matchers(selector, &self.regexes)),
            _ => {}
        });

        found.into_iter().collect()
    }

    /// Compiles the regexes that were parsed and need it, so that no match has to compile one.
    async fn compile(&self) {
        compile(&self.regexes).await;
    }
}

/// Compiles regexes one by one. Each is small, so it is compiled in one go.
async fn compile(regexes: &Regexes) {
    for regex in regexes.automata() {
        regex.compile();
        tokio::task::yield_now().await;
    }
}
