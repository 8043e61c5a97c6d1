//! One door for everything that reads.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Tenants;
use duramen_model::labels::LabelsIter;
use duramen_model::{Labels, Matcher, TenantId, TenantName, TimeRange};
use duramen_promql::{Answer, Engine, QueryContext, QueryLimits};
use duramen_runtime::Clock;
use duramen_source::{Columns, SeriesRequest, SeriesSource};
use duramen_syntax::Expr;
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::selector::matchers;

/// Settings of the querier.
#[derive(Clone, Debug)]
pub struct Config {
    /// The longest evaluation; a request may ask for less.
    pub query_timeout: Duration,
    /// Queries in evaluation at once; more wait for up to [`Config::query_timeout`].
    pub query_concurrency_max: usize,
    /// Series that `series`, `labels` and label values may walk through.
    pub metadata_series_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { query_timeout: Duration::from_secs(120), query_concurrency_max: 20, metadata_series_max: 10_000_000 }
    }
}

/// A query that was read: its text, to which remarks on the answer point, and its tree.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    expr: Expr,
}

impl Query {
    pub fn parse(text: &str) -> Result<Self, duramen_syntax::ParseError> {
        Ok(Self { text: text.to_owned(), expr: duramen_syntax::parse(text)? })
    }
}

/// What a query may set for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    pub lookback_ms: Option<i64>,
    /// Shortens [`Config::query_timeout`].
    pub timeout: Option<Duration>,
}

/// The querier of one process.
#[derive(Debug)]
pub struct Querier {
    engine: Engine,
    source: Arc<dyn SeriesSource>,
    register: Arc<Tenants>,
    clock: Arc<dyn Clock>,
    config: Config,
    running: Semaphore,
    metrics: Metrics,
}

impl Querier {
    pub fn new(
        engine: Engine,
        source: Arc<dyn SeriesSource>,
        register: Arc<Tenants>,
        clock: Arc<dyn Clock>,
        config: Config,
        metrics: Metrics,
    ) -> Self {
        let running = Semaphore::new(config.query_concurrency_max);
        Self { engine, source, register, clock, config, running, metrics }
    }

    /// Evaluates at one time.
    pub async fn instant(
        &self,
        tenant: &TenantName,
        query: &Query,
        time_ms: i64,
        options: QueryOptions,
    ) -> Result<Answer, Error> {
        let work = async {
            let context = self.context(tenant, options);
            Ok(self.engine.with_text(&query.text).instant(&context, &query.expr, time_ms).await?)
        };
        self.bounded(options, work).await
    }

    /// Evaluates at `start_ms`, `start_ms + step_ms`, .. up to `end_ms`, inclusive.
    pub async fn range(
        &self,
        tenant: &TenantName,
        query: &Query,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        options: QueryOptions,
    ) -> Result<Answer, Error> {
        let work = async {
            let context = self.context(tenant, options);
            Ok(self.engine.with_text(&query.text).range(&context, &query.expr, start_ms, end_ms, step_ms).await?)
        };
        self.bounded(options, work).await
    }

    /// The label sets that pass one of the selectors and have samples in the range, sorted, each once.
    ///
    /// With `limit`, that many of them, and whether there are more.
    pub async fn series(
        &self,
        tenant: &TenantName,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<(Vec<Labels>, bool), Error> {
        let mut found = BTreeSet::new();
        let visit = |encoded: &[u8]| keep(&mut found, Labels::from_encoded_trusted(encoded), limit);
        self.walk(tenant, selectors, range, visit).await?;
        Ok(cut(found, limit))
    }

    /// The label names of the series that [`Querier::series`] would find.
    pub async fn label_names(
        &self,
        tenant: &TenantName,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<(Vec<String>, bool), Error> {
        let mut found = HashSet::new();
        self.walk(tenant, selectors, range, |encoded| {
            for (name, _) in LabelsIter::over(encoded) {
                if !found.contains(name) {
                    found.insert(name.to_owned());
                }
            }
        })
        .await?;
        Ok(cut(found.into_iter().collect(), limit))
    }

    /// The values of one label in the series that [`Querier::series`] would find.
    pub async fn label_values(
        &self,
        tenant: &TenantName,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: Option<usize>,
    ) -> Result<(Vec<String>, bool), Error> {
        let mut found = BTreeSet::new();
        // Series come sorted, so a value often stands in many that follow each other.
        let mut last = String::new();
        self.walk(tenant, selectors, range, |encoded| {
            let value = LabelsIter::over(encoded).find_map(|(held, value)| (held == name).then_some(value));
            if let Some(value) = value
                && value != last
            {
                last.clear();
                last.push_str(value);
                if !found.contains(value) {
                    keep(&mut found, value.to_owned(), limit);
                }
            }
        })
        .await?;
        Ok(cut(found, limit))
    }

    /// Calls `visit` with the encoded labels of each series of each selector; all series when there is no selector.
    async fn walk(
        &self,
        tenant: &TenantName,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        mut visit: impl FnMut(&[u8]) + Send,
    ) -> Result<(), Error> {
        let everything = [Vec::new()];
        let selectors = if selectors.is_empty() { &everything } else { selectors };
        let work = async {
            let tenants = self.tenants(tenant);
            let mut walked = 0;
            for matchers in selectors {
                let request = SeriesRequest {
                    tenants: Arc::clone(&tenants),
                    matchers: Arc::from(matchers.as_slice()),
                    range,
                    columns: Columns::Labels,
                    batch_series_max: SeriesRequest::BATCH_SERIES,
                };
                let mut batches = self.source.select(&request).await?;
                while let Some(batch) = batches.next().await {
                    let batch = batch?;
                    // What is in memory is never waited for: let the time-out and others have their turn.
                    tokio::task::yield_now().await;
                    walked += batch.len();
                    if walked > self.config.metadata_series_max {
                        return Err(Error::TooManySeries { max: self.config.metadata_series_max });
                    }
                    for row in 0..batch.len() {
                        visit(batch.labels_at(row));
                    }
                }
            }
            Ok(())
        };
        self.bounded(QueryOptions::default(), work).await
    }

    /// Reads a `match[]` parameter. At least one matcher must exclude the empty value.
    pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Error> {
        match duramen_syntax::parse(text)? {
            Expr::VectorSelector(selector) => {
                let matchers = matchers(&selector)?;
                if matchers.iter().all(Matcher::matches_empty) {
                    return Err(Error::EmptyMatcher);
                }
                Ok(matchers)
            }
            _ => Err(Error::NotASelector(text.chars().take(200).collect())),
        }
    }

    fn context(&self, tenant: &TenantName, options: QueryOptions) -> QueryContext {
        let tenants = self.tenants(tenant);
        QueryContext {
            source: Arc::clone(&self.source),
            tenants,
            lookback_ms: options.lookback_ms,
            limits: QueryLimits::default(),
        }
    }

    /// The tenant's id; none for a tenant that has never written, whose answers are empty.
    fn tenants(&self, tenant: &TenantName) -> Arc<[TenantId]> {
        self.register.lookup(tenant).into_iter().collect()
    }

    /// Runs `work` when it is its turn, for as long as it may take. Dropping the future ends the work.
    async fn bounded<T>(
        &self,
        options: QueryOptions,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let timeout = options.timeout.map_or(self.config.query_timeout, |asked| asked.min(self.config.query_timeout));
        let started = self.clock.monotonic();
        let result = tokio::select! {
            biased;
            result = async {
                let _turn = self.running.acquire().await;
                work.await
            } => result,
            () = self.clock.sleep(timeout) => Err(Error::Timeout(timeout)),
        };
        self.metrics.observe(result.is_ok(), self.clock.monotonic().saturating_sub(started));
        result
    }
}

/// Adds an element and keeps no more than are needed to know the first `limit` and whether there are more.
fn keep<T: Ord>(found: &mut BTreeSet<T>, element: T, limit: Option<usize>) {
    found.insert(element);
    if limit.is_some_and(|limit| found.len() > limit.saturating_add(1)) {
        found.pop_last();
    }
}

/// The first `limit` elements, and whether there are more.
fn cut<T: Ord>(found: BTreeSet<T>, limit: Option<usize>) -> (Vec<T>, bool) {
    let limit = limit.unwrap_or(usize::MAX);
    let more = found.len() > limit;
    (found.into_iter().take(limit).collect(), more)
}
