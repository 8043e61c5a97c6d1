//! The entry for everything that reads.

pub(crate) mod cardinality;
mod exemplars;
pub(crate) mod labels;
mod query;
mod read;
pub(crate) mod remote_read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duramen_bucket::Tenants;
use duramen_limits::{Limits, LimitsHandle, QueryLimits, RollupUse};
use duramen_model::{
    AsOf, FamilyMetadata, Matcher, RegexCache, Regexes, TenantId, TenantName, TimeRange,
};
use duramen_promql::{
    Answer, Engine, PlanNode, QueryContext, QueryTimes, RollupChoice, RollupPolicy,
};
use duramen_qos::{Budget, Exceeded, Use};
use duramen_runtime::{Clock, Workers};
use duramen_source::{Columns, LeftOut, Reads, SeriesRequest, SeriesSource, Views};
use duramen_syntax::Expr;

use crate::answered::Answered;
use crate::budgets;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::partial::{Partial, left_out, settled};
use crate::reach::reach_ms;
use crate::turns::Turns;
use crate::view::RequestView;
pub use query::Query;

/// The limits of all tenants' queries together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Queries in evaluation at once. More run no faster and hold more memory.
    pub concurrency_max: usize,
    /// Queries that wait for their turn. One more gets 503.
    pub waiting_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency_max: 20,
            waiting_max: 4000,
        }
    }
}

/// What a query may set for itself.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    pub lookback_ms: Option<i64>,
    /// Whether to count at which step each sample is read first.
    pub first_reads: bool,
    /// Shortens [`duramen_limits::QueryLimits::timeout`].
    pub timeout: Option<Duration>,
    /// Replaces [`duramen_limits::QueryLimits::partial_response`].
    pub partial_response: Option<bool>,
    /// Reads a past state of the bucket, in place of the present.
    pub as_of: Option<AsOf>,
    /// Replaces [`duramen_limits::QueryLimits::rollups`].
    pub resolution: Option<ResolutionMax>,
}

/// The longest buckets of the rollups that a query reads in place of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolutionMax {
    Ms(i64),
    /// Any, also where they only approximate.
    Any,
}

/// The querier of one process. Callers only wait: reading and computing happens on its workers.
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
    regexes: Arc<RegexCache>,
}

/// The maximum memory for compiled regexes that are kept for later requests of tenants.
const REGEX_CACHE_BYTES_MAX: usize = 32 << 20;

/// The tenant that asks, and what applies to the whole request.
#[derive(Clone, Debug)]
struct Asker {
    name: TenantName,
    /// Empty for a tenant that has never written. Its answers are empty.
    tenants: Arc<[TenantId]>,
    /// The past state that is read, in place of the present.
    as_of: Option<AsOf>,
    limits: Arc<Limits>,
    /// The compiled regexes of this request.
    regexes: Arc<Regexes>,
    /// The budget of all queries of the tenant.
    tenant_memory: Budget,
    /// The budget of this request, within that of the tenant.
    memory: Budget,
}

/// What a querier consists of.
#[derive(Debug)]
pub struct Parts {
    pub engine: Engine,
    pub source: Arc<dyn Views>,
    pub register: Arc<Tenants>,
    pub clock: Arc<dyn Clock>,
    pub workers: Workers,
    /// The current limits of each tenant.
    pub limits: LimitsHandle,
    pub config: Config,
    pub metrics: Metrics,
}

impl Querier {
    pub fn new(parts: Parts) -> Self {
        let config = parts.config;
        let turns = Arc::new(Turns::new(config.concurrency_max, config.waiting_max));
        let regexes = Arc::new(RegexCache::new(REGEX_CACHE_BYTES_MAX));

        Self {
            engine: parts.engine.on(parts.workers.clone()),
            source: parts.source,
            register: parts.register,
            clock: parts.clock,
            limits: parts.limits,
            turns,
            workers: parts.workers,
            metrics: parts.metrics,
            regexes,
        }
    }

    /// Evaluates a query at one time.
    pub async fn instant(
        &self,
        tenant: &TenantName,
        query: &Query,
        time_ms: i64,
        options: QueryOptions,
    ) -> Result<Answered<Partial<Answer>>, Error> {
        self.range(tenant, query, QueryTimes::at(time_ms), options)
            .await
    }

    /// Evaluates a query at each step of a range.
    pub async fn range(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<Partial<Answer>>, Error> {
        self.evaluated(tenant, query, times, options, move |of| async move {
            of.engine.range(&of.context, &of.expr, times).await
        })
        .await
    }

    /// Returns the operators that a query would run. No sample is read.
    pub async fn explain(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<Partial<Option<PlanNode>>>, Error> {
        self.evaluated(tenant, query, times, options, move |of| async move {
            of.engine.explain(&of.context, &of.expr, times).await
        })
        .await
    }

    /// Evaluates a query, and also returns what each of its operators did.
    pub async fn analyze(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
    ) -> Result<Answered<Partial<(Answer, Option<PlanNode>)>>, Error> {
        self.evaluated(tenant, query, times, options, move |of| async move {
            of.engine.analyze(&of.context, &of.expr, times).await
        })
        .await
    }

    /// Parses a query during its turn and passes its evaluation to `work`. If the answer may be
    /// partial, `work` runs again after a torn run.
    async fn evaluated<T, F>(
        &self,
        tenant: &TenantName,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
        work: impl Fn(Arc<Evaluation>) -> F + Send + Sync + 'static,
    ) -> Result<Answered<Partial<T>>, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, duramen_promql::Error>> + Send,
    {
        let asker = self.asker(tenant).reading(options.as_of.clone());
        let timeout = options.timeout;
        let left_out = left_out(options.partial_response, &asker.limits.query);
        let evaluation = self.evaluation(&asker, query, times, options, left_out.clone());

        let work = async move {
            let evaluation = Arc::new(evaluation.await?);
            let run = || async { Ok(work(Arc::clone(&evaluation)).await?) };
            settled(left_out.as_deref(), run).await
        };

        self.partly(&asker, timeout, work).await
    }

    /// Parses a query and passes its tree to `make`.
    pub async fn with_tree<T: Send + 'static>(
        &self,
        tenant: &TenantName,
        query: &Query,
        make: impl FnOnce(&Expr) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let asker = self.asker(tenant);
        let query = query.clone();
        let reader = asker.clone();
        let work = async move {
            let expr = reader.read(&query).await?;
            Ok(make(&expr))
        };

        let (made, _turn) = self
            .bounded(&asker, None, self.computed(work))
            .await?
            .into_parts();

        Ok(made)
    }

    /// Parses a query, which is the first part of its evaluation, and prepares the rest.
    fn evaluation(
        &self,
        asker: &Asker,
        query: &Query,
        times: QueryTimes,
        options: QueryOptions,
        left_out: Option<Arc<LeftOut>>,
    ) -> impl Future<Output = Result<Evaluation, Error>> + Send + 'static {
        let engine = self
            .engine
            .with_text(query.text())
            .with_regexes(Arc::clone(&asker.regexes))
            .of_tenant(asker.tenant_memory.clone());

        let context = self.context(asker, options, left_out);
        let asker = asker.clone();
        let query = query.clone();

        async move {
            let expr = asker.read(&query).await?;
            check_times(&expr, times, &asker)?;

            Ok(Evaluation {
                engine,
                context,
                expr,
            })
        }
    }

    /// Returns the metadata of a tenant's metric families, in the order of their names.
    pub async fn metadata(
        &self,
        tenant: &TenantName,
        as_of: Option<AsOf>,
    ) -> Result<Answered<Vec<FamilyMetadata>>, Error> {
        let asker = self.asker(tenant).reading(as_of);
        let source = self.view(&asker, None);
        let work = async move { Ok(source.metadata().await?) };

        self.bounded(&asker, None, self.computed(work)).await
    }

    /// Counts a query that reached a limit only when its answer was made.
    pub fn note_limited(&self, tenant: &TenantName, error: &Error) {
        if let Some(limit) = error.limit() {
            let exists = self.register.lookup(tenant).is_some();
            self.metrics.limited(exists.then_some(tenant), limit);
        }
    }

    fn asker(&self, tenant: &TenantName) -> Asker {
        let tenants: Arc<[TenantId]> = self.register.lookup(tenant).into_iter().collect();
        let limits = self.limits.of(tenant);
        let tenant_memory = self.tenant_memory(tenant, &tenants, &limits.query);
        let memory = tenant_memory.query(limits.query.memory_bytes_max);
        let regexes = Regexes::new(limits.query.regex_bytes_max);
        let regexes = regexes.cached(Arc::clone(&self.regexes), Arc::from(tenant.as_str()));

        Asker {
            name: tenant.clone(),
            tenants,
            as_of: None,
            limits,
            regexes: Arc::new(regexes),
            tenant_memory,
            memory,
        }
    }

    /// Returns the budget of all queries of a tenant. Each request of a tenant that has never
    /// written gets one of its own, so that clients cannot create budgets that stay.
    fn tenant_memory(
        &self,
        name: &TenantName,
        tenants: &[TenantId],
        limits: &QueryLimits,
    ) -> Budget {
        let account = self.engine.memory();
        match tenants {
            [] => Budget::of_tenant(account, budgets::bytes_max(account, limits)),
            _ => self.metrics.budgets.of(name, account, limits),
        }
    }

    /// Returns the source that all reads of one request share. With `left_out`, it notes there the
    /// blocks that it leaves out. It shows nothing beyond the tenant's retention.
    fn view(&self, asker: &Asker, left_out: Option<Arc<LeftOut>>) -> Arc<dyn SeriesSource> {
        let view = RequestView::new(
            Arc::clone(&self.source),
            Arc::clone(&asker.tenants),
            left_out,
        );

        let retention = asker.limits.retention.at(self.clock.now_ms());
        Arc::new(view.at(asker.as_of.clone()).keeping(retention))
    }

    fn context(
        &self,
        asker: &Asker,
        options: QueryOptions,
        left_out: Option<Arc<LeftOut>>,
    ) -> QueryContext {
        let limits = &asker.limits.query;
        QueryContext {
            source: self.view(asker, left_out),
            lookback_ms: options.lookback_ms,
            first_reads: options.first_reads,
            limits: duramen_promql::QueryLimits {
                samples_max: Some(limits.samples_max),
                memory_bytes_max: Some(limits.memory_bytes_max),
                series_max: limits.series_max,
            },
            rollups: rollup_choice(options.resolution, limits.rollups),
        }
    }

    /// Returns the regexes of one request of a tenant, with their limits.
    pub fn regexes(&self, tenant: &TenantName) -> Arc<Regexes> {
        self.asker(tenant).regexes
    }

    /// Runs short work on the workers without waiting for a turn. It must not read series.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.computed(async move { Ok(work()) }).await
    }

    /// Runs `work` on the workers.
    async fn computed<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.workers
            .spawn(work)
            .await
            .map_err(|error| Error::Panicked(Box::new(error)))?
    }

    /// Runs `work`, whose answer may be partial, as [`Querier::bounded`] does.
    async fn partly<T: Send + 'static>(
        &self,
        asker: &Asker,
        timeout: Option<Duration>,
        work: impl Future<Output = Result<Partial<T>, Error>> + Send + 'static,
    ) -> Result<Answered<Partial<T>>, Error> {
        let answered = self.bounded(asker, timeout, self.computed(work)).await?;
        if let Some(first) = answered.left_out.first() {
            let blocks = answered.left_out.len();
            tracing::warn!(
                tenant = asker.name.as_str(),
                blocks,
                first,
                "an answer leaves out blocks"
            );
            self.metrics.observe_left_out(blocks);
        }

        Ok(answered)
    }

    /// Runs `work` during its turn and within its timeout. Dropping the future cancels the work.
    /// The turn is returned with the result.
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
                self.engine.memory().check(Use::Query, 0).map_err(Exceeded::from)?;
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

        self.metrics.observe(
            result.is_ok(),
            self.clock.monotonic().saturating_sub(started),
        );

        result
    }
}

/// A parsed query, and what evaluates it.
struct Evaluation {
    engine: Engine,
    context: QueryContext,
    expr: Expr,
}

impl Asker {
    fn reading(self, as_of: Option<AsOf>) -> Self {
        Self { as_of, ..self }
    }

    /// Requests everything that `matchers` select in `range`.
    fn request(&self, matchers: &[Matcher], range: TimeRange, columns: Columns) -> SeriesRequest {
        SeriesRequest {
            matchers: Arc::from(matchers),
            range,
            columns,
            batch_series_max: SeriesRequest::BATCH_SERIES,
            reads: Arc::new(Reads::within(&self.memory)),
        }
    }
}

/// Refuses queries with too many steps or over too long a time.
fn check_times(expr: &Expr, times: QueryTimes, asker: &Asker) -> Result<(), Error> {
    let limits = &asker.limits.query;
    let steps = times
        .end_ms
        .saturating_sub(times.start_ms)
        .checked_div(times.step_ms)
        .unwrap_or(0);

    if usize::try_from(steps).is_ok_and(|steps| steps > limits.steps_max) {
        return Err(Error::TooManySteps {
            max: limits.steps_max,
        });
    }

    if let Some(max) = limits.range_max {
        let range = Duration::from_millis(u64::try_from(reach_ms(expr, times)).unwrap_or(0));
        if range > max {
            return Err(Error::TooLong { range, max });
        }
    }

    Ok(())
}

/// Which rollups a query may read, by its request and the limits of its tenant.
const fn rollup_choice(asked: Option<ResolutionMax>, limit: RollupUse) -> RollupChoice {
    let policy = match (asked, limit) {
        (Some(ResolutionMax::Any), _) | (None, RollupUse::Auto) => RollupPolicy::Approximate,
        (Some(ResolutionMax::Ms(_)) | None, _) => RollupPolicy::Exact,
    };
    let resolution_max_ms = match asked {
        Some(ResolutionMax::Ms(ms)) => Some(ms),
        Some(ResolutionMax::Any) | None => None,
    };

    RollupChoice {
        policy,
        resolution_max_ms,
    }
}
