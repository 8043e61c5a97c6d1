//! The memory of queries, as the allocator counts it. The test has a process of its own, so that
//! nothing else allocates.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod blocks;

use std::sync::Arc;

use duramen_bucket::{Bucket, Tenants};
use duramen_limits::{Limits, LimitsHandle, QueryLimits};
use duramen_model::{ErrorKind, Matcher, TenantName, TimeRange, WriterId};
use duramen_promql::{Engine, EngineConfig, QueryTimes};
use duramen_qos::Account;
use duramen_query::{
    Config, Error, Listing, Metrics, Parts, Querier, Query, QueryOptions, Selection, Summarized,
};
use duramen_runtime::{Clock, SystemClock, Workers};
use duramen_source::{Columns, MergeSource, Unchanging};
use duramen_testkit::allocator::{Counting, Peak};
use futures::TryStreamExt;
use ulid::Ulid;

use crate::blocks::{END_MS, STEP_MS, two_blocks};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a question takes besides its budget: its tasks, its plan, its text and its errors.
const BASE_BYTES: usize = 512 << 10;

/// What each of its selectors takes besides: the part of the file of series that is read of each of
/// the two blocks, and the pages that are decoded now.
const SELECTOR_BYTES: usize = 3 << 19;

/// One for each kind of operator.
const RANGE_QUERIES: [&str; 18] = [
    "m",
    "rate(m[5m])",
    "max_over_time(m[10m])",
    "sum by (job) (rate(m[5m]))",
    "count by (job) (m)",
    "topk(5, m)",
    "quantile by (job) (0.9, m)",
    "m * on (job, instance) n",
    "m * 2 + 1",
    "max_over_time(rate(m[5m])[30m:2m])",
    "histogram_quantile(0.9, sum by (le, job) (rate(h_bucket[5m])))",
    "count_values(\"value\", m)",
    "label_replace(m, \"copy\", \"$1\", \"instance\", \"(.*)\")",
    "m and on (job, instance) n",
    "m or n",
    "m unless on (job, instance) n",
    "info(m)",
    "absent_over_time(m[5m])",
];

const INSTANT_QUERIES: [&str; 4] = [
    "sort(m)",
    "sort_by_label(m, \"instance\")",
    "count_values(\"value\", m)",
    "m[12h]",
];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Range(&'static str),
    Instant(&'static str),
    Series,
    Names,
    Values,
    Exemplars,
    Summaries,
    RemoteRead,
}

impl Asked {
    fn all() -> Vec<Self> {
        let rest = [
            Self::Series,
            Self::Names,
            Self::Values,
            Self::Exemplars,
            Self::Summaries,
            Self::RemoteRead,
        ];

        let ranges = RANGE_QUERIES.map(Self::Range);
        let instants = INSTANT_QUERIES.map(Self::Instant);
        ranges.into_iter().chain(instants).chain(rest).collect()
    }

    /// The number of selectors.
    fn selectors(self) -> usize {
        match self {
            Self::Range("m or n" | "info(m)") => 2,
            Self::Range(text) if text.contains("on (job, instance) n") => 2,
            _ => 1,
        }
    }

    /// The batches of labels that a list of series holds of both blocks: TODO(181).
    fn labels_bytes(self) -> usize {
        match self {
            Self::Series => 1 << 20,
            _ => 0,
        }
    }

    async fn ask(self, querier: &Querier) -> Result<(), Error> {
        let tenant = tenant();
        let options = QueryOptions::default();
        let listing = || Listing {
            selectors: vec![],
            range: range(),
            limit: None,
            partial_response: None,
            as_of: None,
        };

        match self {
            Self::Range(text) => {
                let times = QueryTimes::range(0, END_MS, STEP_MS).unwrap();
                let query = Query::new(text);
                querier
                    .range(&tenant, &query, times, options)
                    .await
                    .map(drop)
            }
            Self::Instant(text) => {
                let query = Query::new(text);
                querier
                    .instant(&tenant, &query, END_MS, options)
                    .await
                    .map(drop)
            }
            Self::Series => querier.series(&tenant, listing()).await.map(drop),
            Self::Names => querier.label_names(&tenant, listing()).await.map(drop),
            Self::Values => {
                let values = querier.label_values(&tenant, "instance", listing());
                values.await.map(drop)
            }
            Self::Exemplars => {
                let query = Query::new("m");
                querier
                    .exemplars(&tenant, &query, range(), None)
                    .await
                    .map(drop)
            }
            Self::Summaries => {
                let summaries = querier.summaries(&tenant, Summarized::All, range(), None);
                summaries.await.map(drop)
            }
            Self::RemoteRead => {
                let read = querier.read(&tenant, None, |reader| async move {
                    let selection = Selection {
                        matchers: vec![Matcher::equal("__name__", "m")],
                        range: range(),
                        columns: Columns::Everything,
                    };

                    let batches = reader.select(&selection).await?;
                    batches.try_for_each(|_| std::future::ready(Ok(()))).await?;
                    Ok(())
                });
                read.await.map(drop)
            }
        }
    }
}

fn tenant() -> TenantName {
    TenantName::parse("a").unwrap()
}

fn range() -> TimeRange {
    TimeRange::new(0, END_MS).unwrap()
}

/// Returns a querier over `source` whose queries have this budget.
async fn querier(source: &Arc<MergeSource>, memory_bytes_max: usize) -> Querier {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bucket = Bucket::memory(Arc::clone(&clock));
    let register = Tenants::open(bucket, WriterId(Ulid::nil())).await.unwrap();
    register.resolve_or_create(&tenant()).await.unwrap();

    let limits = Limits {
        query: QueryLimits {
            memory_bytes_max,
            ..QueryLimits::default()
        },
        ..Limits::default()
    };

    let engine = Engine::new(EngineConfig::default(), Arc::clone(&clock));
    Querier::new(Parts {
        engine: engine.within(Account::new(4 << 30)),
        source: Arc::new(Unchanging(Arc::clone(source) as _)),
        register: Arc::new(register),
        clock,
        workers: Workers::default(),
        limits: LimitsHandle::new(limits, [].into()),
        config: Config::default(),
        metrics: Metrics::default(),
    })
}

/// Asks each kind of question within each budget. It is answered, or it fails with the name of the
/// budget; the allocator never holds more than the budget and a tenth beside the constants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_question_stays_within_its_budget() {
    const BUDGETS: [usize; 4] = [1 << 20, 4 << 20, 16 << 20, 256 << 20];

    let source = Arc::new(two_blocks().await);
    let mut failures = Vec::new();
    let mut refused = 0;

    for budget in BUDGETS {
        let querier = querier(&source, budget).await;

        for asked in Asked::all() {
            let peak = Peak::start();
            let result = asked.ask(&querier).await;
            let peak = peak.bytes();
            let besides = BASE_BYTES + asked.selectors() * SELECTOR_BYTES + asked.labels_bytes();
            let bound = budget + budget / 10 + besides;

            if peak > bound {
                failures.push(format!("{asked:?} within {budget}: {peak} bytes"));
            }

            if let Err(error) = result {
                refused += 1;
                let named = (error.kind(), error.limit());

                if named != (ErrorKind::TooMuch, Some("memory_bytes_max")) || budget == BUDGETS[3] {
                    failures.push(format!("{asked:?} within {budget}: {error}"));
                }
            }
        }
    }

    assert!(failures.is_empty(), "{failures:#?}");
    assert!(refused > 20, "{refused} questions were refused");
}
