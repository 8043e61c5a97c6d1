//! Each limit of a tenant's queries. A query that exceeds it fails with an error that names the
//! limit and its value, and is counted.

use std::sync::{Arc, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use duramen_bucket::{Bucket, Tenants};
use duramen_limits::{Limits, LimitsHandle, QueryLimits};
use duramen_metrics::Registry;
use duramen_model::{
    ErrorKind, Exemplar, FamilyMetadata, Labels, Sample, TenantName, TimeRange, WriterId,
};
use duramen_promql::{Engine, EngineConfig, QueryTimes};
use duramen_qos::{Account, Use};
use duramen_query::{
    Config, Error, Listing, Metrics, Parts, Querier, Query, QueryOptions, Summarized,
};
use duramen_runtime::{Clock, SystemClock, Workers};
use duramen_source::{
    MemorySource, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream, Unchanging,
};
use ulid::Ulid;

use crate::system::tenant;

/// A querier over `source` with limits for the registered tenant of [`tenant`], and the text of its
/// metrics.
struct Limited {
    querier: Querier,
    register: Arc<Tenants>,
    registry: Registry,
    /// The account of the process: 1 GiB.
    memory: Arc<Account>,
}

/// Lists all series in the range.
fn everything(range: TimeRange) -> Listing {
    Listing {
        selectors: vec![],
        range,
        limit: None,
        partial_response: None,
        as_of: None,
    }
}

/// Lists all series that match one of the selectors.
fn matching(selectors: &[String]) -> Listing {
    Listing {
        selectors: selectors.to_vec(),
        ..everything(TimeRange::ALL)
    }
}

impl Limited {
    async fn new(
        source: impl SeriesSource + 'static,
        change: impl FnOnce(&mut QueryLimits),
    ) -> Self {
        Self::on(Workers::default(), source, change).await
    }

    async fn on(
        workers: Workers,
        source: impl SeriesSource + 'static,
        change: impl FnOnce(&mut QueryLimits),
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let register = Tenants::open(Bucket::memory(Arc::clone(&clock)), WriterId(Ulid::nil()))
            .await
            .unwrap();
        register.resolve_or_create(&tenant()).await.unwrap();
        let register = Arc::new(register);

        let mut own = Limits::default();
        change(&mut own.query);

        let limits = LimitsHandle::new(Limits::default(), [(tenant(), own)].into());
        let metrics = Metrics::default();
        let mut registry = Registry::default();

        metrics.register(&mut registry);

        let memory = Account::new(1 << 30);
        let engine = Engine::new(EngineConfig::default(), Arc::new(SystemClock::default()))
            .within(Arc::clone(&memory));
        let querier = Querier::new(Parts {
            engine,
            source: Arc::new(Unchanging(Arc::new(source))),
            register: Arc::clone(&register),
            clock,
            workers,
            limits,
            config: Config::default(),
            metrics,
        });

        Self {
            querier,
            register,
            registry,
            memory,
        }
    }

    async fn instant(&self, tenant: &TenantName, query: &str) -> Result<(), Error> {
        let query = Query::new(query);
        self.querier
            .instant(tenant, &query, 60_000, QueryOptions::default())
            .await
            .map(drop)
    }

    async fn range(&self, steps: i64) -> Result<(), Error> {
        let query = Query::new("m");
        self.querier
            .range(
                &tenant(),
                &query,
                QueryTimes::range(0, steps * 1000, 1000).unwrap(),
                QueryOptions::default(),
            )
            .await
            .map(drop)
    }

    fn counted(&self, limit: &str) -> bool {
        let text = duramen_metrics::text(&self.registry.collect());
        text.contains(&format!(
            "duramen_query_limited_total{{tenant=\"anonymous\",limit=\"{limit}\"}} 1"
        ))
    }
}

/// Three series of `m` with an exemplar each.
fn filled() -> MemorySource {
    let mut source = MemorySource::default();

    for series in ["a", "b", "c"] {
        let labels = Labels::from_pairs([("__name__", "m"), ("series", series)]).unwrap();
        source.push(
            labels.clone(),
            (0..60).map(|second| Sample::new(second * 1000, 1.0)),
        );

        source.push_exemplar(
            labels.clone(),
            Exemplar {
                ts_ms: 5,
                value: 1.0,
                labels,
            },
        );
    }

    source
}

/// A source that never answers.
#[derive(Debug)]
enum Hanging {
    /// Waits for something.
    Waits,
    /// Blocks its thread until the lock is free, as a computation does.
    Computes(Arc<RwLock<()>>),
}

#[async_trait::async_trait]
impl SeriesSource for Hanging {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, duramen_source::Error> {
        if let Self::Computes(lock) = self {
            drop(lock.read());
        }

        std::future::pending().await
    }

    async fn exemplars(
        &self,
        _: &SeriesRequest,
    ) -> Result<Vec<SeriesExemplars>, duramen_source::Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, duramen_source::Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, duramen_source::Error> {
        Ok(0)
    }
}

#[track_caller]
fn check(limited: &Limited, result: Result<(), Error>, kind: ErrorKind, limit: &str, value: &str) {
    let error = result.expect_err(limit);
    let text = error.to_string();

    assert_eq!((error.kind(), error.limit()), (kind, Some(limit)), "{text}");
    assert!(
        text.contains(limit) && text.contains(value),
        "{limit} {value}: {text}"
    );

    assert!(limited.counted(limit), "{limit} is not counted");
}

#[tokio::test]
async fn every_limit_ends_what_goes_past_it_with_its_name_and_value() {
    // All fields are listed, so that a new one does not compile without its case.
    let QueryLimits {
        concurrency_max: _, // a_query_waits_for_its_turn_as_long_as_it_may_take
        waiting_max: _,     // a_query_waits_for_its_turn_as_long_as_it_may_take
        timeout: _,
        range_max: _,
        steps_max: _,
        samples_max: _,
        memory_bytes_max: _,
        tenant_memory_bytes_max: _, // a_tenant_at_its_budget_is_refused_and_another_answers
        text_bytes_max: _,
        regex_bytes_max: _,
        series_max: _,
        metadata_series_max: _,
        exemplars_max: _,
        answer_bytes_max: _,        // of the edge, which writes answers
        remote_read_samples_max: _, // of remote read
        partial_response: _,        // no limit
        rollups: _,                 // no limit
    } = QueryLimits::default();

    let limited = Limited::new(Hanging::Waits, |limits| {
        limits.timeout = Duration::from_millis(20)
    })
    .await;

    check(
        &limited,
        limited.instant(&tenant(), "m").await,
        ErrorKind::Unavailable,
        "timeout",
        "20ms",
    );

    let limited = Limited::new(filled(), |limits| {
        limits.range_max = Some(Duration::from_secs(60))
    })
    .await;

    assert!(limited.instant(&tenant(), "rate(m[1m])").await.is_ok());

    let result = limited.instant(&tenant(), "rate(m[61s])").await;
    check(&limited, result, ErrorKind::TooMuch, "range_max", "`60s`");

    assert!(limited.range(61).await.is_err() && limited.range(60).await.is_ok());

    let limited = Limited::new(filled(), |limits| limits.steps_max = 10).await;
    assert!(limited.range(10).await.is_ok());

    check(
        &limited,
        limited.range(11).await,
        ErrorKind::TooMuch,
        "steps_max",
        "10",
    );

    let limited = Limited::new(filled(), |limits| limits.samples_max = 100).await;
    check(
        &limited,
        limited.instant(&tenant(), "rate(m[1m])").await,
        ErrorKind::TooMuch,
        "samples_max",
        "100",
    );

    let limited = Limited::new(filled(), |limits| limits.memory_bytes_max = 100).await;
    check(
        &limited,
        limited.instant(&tenant(), "rate(m[1m])").await,
        ErrorKind::TooMuch,
        "memory_bytes_max",
        "100",
    );

    let limited = Limited::new(filled(), |limits| limits.series_max = Some(2)).await;
    check(
        &limited,
        limited.instant(&tenant(), "m").await,
        ErrorKind::TooMuch,
        "series_max",
        "2",
    );

    let limited = Limited::new(filled(), |limits| limits.text_bytes_max = 10).await;
    assert!(limited.instant(&tenant(), "m + 1     ").await.is_ok());

    check(
        &limited,
        limited.instant(&tenant(), "m + 1      ").await,
        ErrorKind::TooMuch,
        "text_bytes_max",
        "`10`",
    );

    let regexes = |limits: &mut QueryLimits| limits.regex_bytes_max = 3 << 20;
    let limited = Limited::new(filled(), regexes).await;
    let one = r"m{series!~'\\pL{20}'}";
    let other = r"m{series!~'\\pN{40}'}";

    assert!(
        limited
            .instant(&tenant(), &format!("{one} or {one} or {one}"))
            .await
            .is_ok()
    );

    check(
        &limited,
        limited
            .instant(&tenant(), &format!("{one} or {other}"))
            .await,
        ErrorKind::TooMuch,
        "regex_bytes_max",
        "`3145728`",
    );

    let limited = Limited::new(filled(), regexes).await;
    let selected = [one.to_owned(), other.to_owned()];

    let result = limited
        .querier
        .series(&tenant(), matching(&selected))
        .await
        .map(drop);

    check(
        &limited,
        result,
        ErrorKind::TooMuch,
        "regex_bytes_max",
        "`3145728`",
    );

    let limited = Limited::new(filled(), |limits| limits.exemplars_max = 2).await;
    let selectors = ["m".to_owned()];

    let result = limited
        .querier
        .exemplars(&tenant(), &Query::new("m"), TimeRange::ALL, None)
        .await
        .map(drop);

    check(&limited, result, ErrorKind::TooMuch, "exemplars_max", "2");

    let limit = |limits: &mut QueryLimits| limits.metadata_series_max = 2;
    let limited = Limited::new(filled(), limit).await;

    let result = limited
        .querier
        .series(&tenant(), matching(&selectors))
        .await
        .map(drop);

    check(
        &limited,
        result,
        ErrorKind::TooMuch,
        "metadata_series_max",
        "2",
    );

    let limited = Limited::new(filled(), limit).await;
    let result = limited
        .querier
        .label_values(&tenant(), "series", everything(TimeRange::ALL))
        .await
        .map(drop);

    check(
        &limited,
        result,
        ErrorKind::TooMuch,
        "metadata_series_max",
        "2",
    );

    let limited = Limited::new(filled(), |limits| limits.metadata_series_max = 1).await;
    let result = limited
        .querier
        .label_names(&tenant(), everything(TimeRange::ALL))
        .await
        .map(drop);

    check(
        &limited,
        result,
        ErrorKind::TooMuch,
        "metadata_series_max",
        "1",
    );

    let limited = Limited::new(filled(), limit).await;
    let result = limited
        .querier
        .summaries(&tenant(), Summarized::All, TimeRange::ALL, None)
        .await
        .map(drop);

    check(
        &limited,
        result,
        ErrorKind::TooMuch,
        "metadata_series_max",
        "2",
    );
}

#[tokio::test]
async fn a_query_waits_for_its_turn_as_long_as_it_may_take() {
    let change = |limits: &mut QueryLimits| (limits.concurrency_max, limits.waiting_max) = (1, 1);
    let limited = Limited::new(Hanging::Waits, change).await;
    let of = tenant();
    let query = Query::new("m");
    let impatient = QueryOptions {
        timeout: Some(Duration::from_millis(50)),
        ..QueryOptions::default()
    };

    let waiting = async || {
        limited
            .querier
            .instant(&of, &query, 60_000, impatient.clone())
            .await
            .map(drop)
    };

    // All begin at the same time: one has the turn, one waits, and one is refused.
    let results = tokio::select! {
        biased;
        ended = limited.instant(&of, "m") => panic!("it cannot end: {ended:?}"),
        results = async { futures::join!(waiting(), waiting()) } => results,
    };

    check(
        &limited,
        results.0,
        ErrorKind::Unavailable,
        "concurrency_max",
        "`1`",
    );

    check(
        &limited,
        results.1,
        ErrorKind::Limited,
        "waiting_max",
        "`1`",
    );
}

#[tokio::test]
async fn a_time_out_is_noticed_while_every_thread_computes() {
    let lock = Arc::new(RwLock::new(()));
    let computing = Hanging::Computes(Arc::clone(&lock));
    let workers = Workers::start("computes").unwrap();
    let timeout = Duration::from_millis(50);
    let limited = Limited::on(workers, computing, |limits| limits.timeout = timeout).await;
    let (holds, held) = mpsc::channel();
    let (answered, answer) = mpsc::channel();

    let holder = thread::spawn(move || {
        let _held = lock.write().unwrap();
        holds.send(()).unwrap();
        answer.recv_timeout(Duration::from_secs(30)).is_ok()
    });

    held.recv().unwrap();

    let of = tenant();
    let threads = thread::available_parallelism().unwrap().get();
    let series = limited.querier.series(&of, everything(TimeRange::ALL));
    let queries = futures::future::join_all((0..=threads).map(|_| limited.instant(&of, "m")));
    let (series, queries) = futures::join!(series, queries);
    let _ = answered.send(());

    assert!(
        holder.join().unwrap(),
        "nobody was answered before the threads were free"
    );

    for result in queries.into_iter().chain([series.map(drop)]) {
        assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
    }
}

#[tokio::test]
async fn a_query_keeps_its_turn_until_what_it_found_is_let_go() {
    let limited = Limited::new(filled(), |limits| limits.concurrency_max = 1).await;
    let query = Query::new("m");
    let impatient = QueryOptions {
        timeout: Some(Duration::from_millis(20)),
        ..QueryOptions::default()
    };

    let ask = async || {
        limited
            .querier
            .instant(&tenant(), &query, 60_000, impatient.clone())
            .await
    };

    let answered = ask().await.unwrap();
    let refused = ask().await;

    assert!(matches!(refused, Err(Error::NoTurn { .. })), "{refused:?}");

    let (_answer, turn) = answered.into_parts();
    assert!(ask().await.is_err(), "the turn is still held");

    drop(turn);
    assert!(ask().await.is_ok());
}

#[tokio::test]
async fn the_limits_of_one_tenant_are_not_those_of_another() {
    let limited = Limited::new(filled(), |limits| limits.samples_max = 100).await;
    let other = TenantName::parse("other").unwrap();

    assert!(limited.instant(&tenant(), "rate(m[1m])").await.is_err());
    assert!(limited.instant(&other, "rate(m[1m])").await.is_ok());
}

#[tokio::test]
async fn a_query_over_its_own_budget_fails_alone_whatever_it_asks_for() {
    let limited = Limited::new(filled(), |limits| limits.memory_bytes_max = 100).await;
    let range = TimeRange::new(0, 60_000).unwrap();
    let listing = || everything(range);
    let of = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        let text = error.to_string();

        assert_eq!(
            (error.kind(), error.limit()),
            (ErrorKind::TooMuch, Some("memory_bytes_max")),
            "{text}"
        );
        assert!(text.contains("memory_bytes_max=`100`"), "{text}");
    };

    let querier = &limited.querier;
    let tenant = tenant();
    of(querier.series(&tenant, listing()).await.map(drop));
    of(querier.label_names(&tenant, listing()).await.map(drop));
    of(querier
        .label_values(&tenant, "series", listing())
        .await
        .map(drop));
    of(querier
        .exemplars(&tenant, &Query::new("m"), range, None)
        .await
        .map(drop));
    of(querier
        .summaries(&tenant, Summarized::All, range, None)
        .await
        .map(drop));

    let other = TenantName::parse("other").unwrap();
    assert!(querier.series(&other, listing()).await.is_ok());
    assert_eq!(limited.memory.used(), 0);
}

#[tokio::test]
async fn a_tenant_at_its_budget_is_refused_and_another_answers() {
    const MAX: usize = 64 << 10;

    let limited = Limited::new(filled(), |limits| {
        limits.tenant_memory_bytes_max = Some(MAX);
    })
    .await;
    let other = TenantName::parse("other").unwrap();
    limited.register.resolve_or_create(&other).await.unwrap();

    // An answer that is held takes most of the budget.
    let range = TimeRange::new(0, 60_000).unwrap();
    let (held, counted) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let asking_tenant = tenant();
    let holding = limited
        .querier
        .read(&asking_tenant, None, |reader| async move {
            let mut reserved = reader.reservation();
            reserved.grow(MAX - 100)?;
            held.send(()).unwrap();
            released.await.unwrap();
            Ok(())
        });

    let asking = async {
        counted.await.unwrap();

        let querier = &limited.querier;
        let names = querier.label_names(&tenant(), everything(range)).await;
        check(
            &limited,
            names.map(drop),
            ErrorKind::Unavailable,
            "tenant_memory_bytes_max",
            "65536",
        );

        let names = querier.label_names(&other, everything(range)).await;
        assert_eq!(names.unwrap().value.0.len(), 2);
        release.send(()).unwrap();
    };

    let (result, ()) = tokio::join!(holding, asking);
    result.unwrap();

    let text = duramen_metrics::text(&limited.registry.collect());
    for line in [
        "duramen_query_memory_bytes{tenant=\"anonymous\"} 0\n",
        "duramen_query_memory_bytes{tenant=\"other\"} 0\n",
        "duramen_query_memory_refused_total{tenant=\"other\"} 0\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }

    let refused = "duramen_query_memory_refused_total{tenant=\"anonymous\"} ";
    assert!(text.contains(refused) && !text.contains(&format!("{refused}0")));

    let names = limited
        .querier
        .label_names(&tenant(), everything(range))
        .await;
    assert_eq!(names.unwrap().value.0.len(), 2);
}

#[tokio::test]
async fn a_thousand_counts_at_once_are_answered_or_refused_by_name_and_another_tenant_is_answered()
{
    let limited = Limited::new(filled(), |limits| limits.waiting_max = 500).await;
    let other = TenantName::parse("other").unwrap();

    let counting = tenant();
    let all = "count({__name__=~\".+\"})";
    let counts = (0..1000).map(|_| limited.instant(&counting, all));
    let (counts, of_other) = tokio::join!(
        futures::future::join_all(counts),
        limited.instant(&other, all)
    );

    of_other.unwrap();

    let refused: Vec<_> = counts.into_iter().filter_map(Result::err).collect();
    let named = |error: &Error| error.limit() == Some("waiting_max");
    assert!(refused.iter().all(named), "{refused:?}");
    assert!(
        (1..=500).contains(&refused.len()),
        "{} were refused",
        refused.len()
    );
    assert_eq!(limited.memory.used(), 0);
}

#[tokio::test]
async fn while_the_memory_of_the_process_is_in_use_questions_fail_and_are_counted() {
    let limited = Limited::new(filled(), |_| {}).await;
    let room = limited.memory.mark(Use::Query);
    let mut others = limited.memory.take(Use::Body, room + 1).unwrap();

    let error = limited.instant(&tenant(), "m").await.unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.limit(), Some("process_memory_bytes_max"));
    assert!(limited.counted("process_memory_bytes_max"));

    // Enough memory to begin, but not for the result.
    others.shrink(2);

    let range = TimeRange::new(0, 60_000).unwrap();
    let series = limited.querier.series(&tenant(), everything(range)).await;

    let of_process = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.limit(), Some("process_memory_bytes_max"), "{error}");
    };
    of_process(series.unwrap_err());

    let names = limited
        .querier
        .label_names(&tenant(), everything(range))
        .await;

    of_process(names.unwrap_err());

    drop(others);
    assert_eq!(
        limited
            .querier
            .series(&tenant(), everything(range))
            .await
            .unwrap()
            .value
            .0
            .len(),
        3
    );

    assert_eq!(limited.memory.used(), 0);

    limited.instant(&tenant(), "m").await.unwrap();
}
