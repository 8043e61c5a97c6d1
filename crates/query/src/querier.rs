//! One door for everything that reads.

mod cardinality;
mod exemplars;
mod labels;
pub(crate) mod remote_read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_bucket::Tenants;
use duramen_limits::{Limits, LimitsHandle};
use duramen_model::{FamilyMetadata, Matcher, TenantId, TenantName, TimeRange};
use duramen_promql::{Answer, Engine, PlanNode, QueryContext, QueryTimes};
use duramen_qos::Use;
use duramen_runtime::{Clock, Workers};
use duramen_source::{Columns, SeriesRequest, SeriesSource, Views};
use duramen_syntax::Expr;

use crate::answered::Answered;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::reach::reach_ms;
use crate::selector::selector;
use crate::turns::Turns;
use crate::view::RequestView;

/// What the queries of all tenants may use together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Queries in evaluation at once. More run no faster and hold more memory.
    pub concurrency_max: usize,
    /// Queries that wait for their turn. One more gets 503.
    pub waiting_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { concurrency_max: 20, waiting_max: 4000 }
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
    /// Shortens [`duramen_limits::QueryLimits::timeout`].
    pub timeout: Option<Duration>,
}

/// The querier of one process. Whoever asks it only waits: what reads and computes are its workers.
#[derive(Debug)]
pub struct Querier {
    engine: Engine,
    source: Arc<dyn Views>,
    register: Arc<Tenants>,
    clock: Arc<dyn Clock>,
    limits: LimitsHandle,
    turns: Arc<Turns>,
    workers: Workers,
    metrics: Metrics,
}

/// Who asks, and what applies to the whole request.
#[derive(Debug)]
struct Asker {
    name: TenantName,
    /// Empty for a tenant that has never written, whose answers are empty.
    tenants: Arc<[TenantId]>,
    limits: Arc<Limits>,
}

impl Querier {
    pub fn new(
        engine: Engine,
        source: Arc<dyn Views>,
        register: Arc<Tenants>,
        clock: Arc<dyn Clock>,
        workers: Workers,
        (limits, config): (LimitsHandle, Config),
        metrics: Metrics,
    ) -> Self {
        let turns = Arc::new(Turns::new(config.concurrency_max, config.waiting_max));
        Self { engine: engine.on(workers.clone()), source, register, clock, limits, turns, workers, metrics }
    }

    /// Evaluates at one time.
    pub async fn instant(
        &self,
        tenant: &TenantName,
        query: &Query,
        time_ms: i64,
        options: QueryOptions,
    ) -> Result<Answered<Answer>, Error> {
        let asker = self.asker(tenant);
        let work = async {
            check_times(query, QueryTimes::at(time_ms), &asker)?;
            let context = self.context(&asker, options);
            Ok(self.engine.with_text(&query.text).instant(&context, &query.expr, time_ms).await?)
        };
        self.bounded(&asker, options.timeout, work).await
    }

    /// Evaluates at each step of a range.
    pub async fn range(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<Answer>, Error> {
        let asker = self.asker(tenant);
        let work = async {
            check_times(query, times, &asker)?;
            let context = self.context(&asker, options);
            Ok(self
                .engine
                .with_text(&query.text)
                .range(&context, &query.expr, times.start_ms, times.end_ms, times.step_ms)
                .await?)
        };
        self.bounded(&asker, options.timeout, work).await
    }

    /// The operators that a query would run. No sample is read.
    pub async fn explain(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<Option<PlanNode>>, Error> {
        let asker = self.asker(tenant);
        let work = async {
            check_times(query, times, &asker)?;
            Ok(self.engine.explain(&self.context(&asker, options), &query.expr, times).await?)
        };
        self.bounded(&asker, options.timeout, work).await
    }

    /// Evaluates a query and tells what each of its operators did.
    pub async fn analyze(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<(Answer, Option<PlanNode>)>, Error> {
        let asker = self.asker(tenant);
        let work = async {
            check_times(query, times, &asker)?;
            let context = self.context(&asker, options);
            Ok(self.engine.with_text(&query.text).analyze(&context, &query.expr, times).await?)
        };
        self.bounded(&asker, options.timeout, work).await
    }

    /// What is known of the metric families of a tenant, in the order of their names.
    pub async fn metadata(&self, tenant: &TenantName) -> Result<Answered<Vec<FamilyMetadata>>, Error> {
        let asker = self.asker(tenant);
        let (source, tenants) = (self.view(&asker), Arc::clone(&asker.tenants));
        let work = async move { Ok(source.metadata(&tenants).await?) };
        self.bounded(&asker, None, self.computed(work)).await
    }

    /// Counts a query that ran into a limit after it was evaluated, as one of its answer.
    pub fn note_limited(&self, tenant: &TenantName, error: &Error) {
        if let Some(limit) = error.limit() {
            let exists = self.register.lookup(tenant).is_some();
            self.metrics.limited(exists.then_some(tenant), limit);
        }
    }

    /// Reads a `match[]` parameter. At least one matcher must exclude the empty value.
    pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Error> {
        let matchers = selector(text)?;
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(Error::EmptyMatcher);
        }
        Ok(matchers)
    }

    fn asker(&self, tenant: &TenantName) -> Asker {
        let tenants = self.register.lookup(tenant).into_iter().collect();
        Asker { name: tenant.clone(), tenants, limits: self.limits.of(tenant) }
    }

    /// What one request asks, all of it.
    fn view(&self, asker: &Asker) -> Arc<dyn SeriesSource> {
        Arc::new(RequestView::new(Arc::clone(&self.source), Arc::clone(&asker.tenants)))
    }

    fn context(&self, asker: &Asker, options: QueryOptions) -> QueryContext {
        let limits = &asker.limits.query;
        QueryContext {
            source: self.view(asker),
            tenants: Arc::clone(&asker.tenants),
            lookback_ms: options.lookback_ms,
            limits: duramen_promql::QueryLimits {
                samples_max: Some(limits.samples_max),
                memory_bytes_max: Some(limits.memory_bytes_max),
                series_max: limits.series_max,
            },
        }
    }

    /// Runs `work` on the workers.
    async fn computed<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.workers.spawn(work).await.map_err(|error| Error::Panicked(Box::new(error)))?
    }

    /// Runs `work` when it is its turn, for as long as it may take. Dropping the future ends the work. The turn is handed out with what
    /// the work found.
    async fn bounded<T>(
        &self,
        asker: &Asker,
        timeout: Option<Duration>,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<Answered<T>, Error> {
        let limits = &asker.limits.query;
        let timeout = timeout.map_or(limits.timeout, |asked| asked.min(limits.timeout));
        let started = self.clock.monotonic();
        let evaluates = AtomicBool::new(false);
        let result = tokio::select! {
            biased;
            result = async {
                let turn = self.turns.take(&asker.name, limits).await?;
                self.engine.memory().check(Use::Query, 0)?;
                evaluates.store(true, Ordering::Relaxed);
                Ok(Answered::new(work.await?, turn))
            } => result,
            () = self.clock.sleep(timeout) => Err(match evaluates.load(Ordering::Relaxed) {
                true => Error::Timeout(timeout),
                false => Error::NoTurn { timeout, concurrency_max: limits.concurrency_max },
            }),
        };
        if let Err(error) = &result {
            self.note_limited(&asker.name, error);
        }
        self.metrics.observe(result.is_ok(), self.clock.monotonic().saturating_sub(started));
        result
    }
}

impl Asker {
    /// Asks for everything that `matchers` select in `range`.
    fn request(&self, matchers: &[Matcher], range: TimeRange, columns: Columns) -> SeriesRequest {
        SeriesRequest {
            tenants: Arc::clone(&self.tenants),
            matchers: Arc::from(matchers),
            range,
            columns,
            batch_series_max: SeriesRequest::BATCH_SERIES,
            reads: Arc::default(),
        }
    }
}

/// Refuses what has too many steps or is about too long a time.
fn check_times(query: &Query, times: QueryTimes, asker: &Asker) -> Result<(), Error> {
    let limits = &asker.limits.query;
    let steps = times.end_ms.saturating_sub(times.start_ms).checked_div(times.step_ms).unwrap_or(0);
    if usize::try_from(steps).is_ok_and(|steps| steps > limits.steps_max) {
        return Err(Error::TooManySteps { max: limits.steps_max });
    }
    if let Some(max) = limits.range_max {
        let range = Duration::from_millis(u64::try_from(reach_ms(&query.expr, times)).unwrap_or(0));
        if range > max {
            return Err(Error::TooLong { range, max });
        }
    }
    Ok(())
}
