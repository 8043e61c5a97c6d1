//! What is beyond its retention is in no answer.

use std::sync::Arc;

use duramen_bucket::{Bucket, Tenants};
use duramen_limits::{Limits, LimitsFile, LimitsHandle};
use duramen_model::{Exemplar, Labels, Sample, TimeRange, WriterId};
use duramen_promql::{Engine, EngineConfig};
use duramen_query::{Config, Listing, Metrics, Parts, Querier, Query, QueryOptions};
use duramen_runtime::{Clock, MockClock, Workers};
use duramen_source::{MemorySource, Unchanging};
use ulid::Ulid;

use crate::system::tenant;

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 1_000 * HOUR_MS;

/// A series for each environment, with a sample and an exemplar each hour.
fn filled() -> MemorySource {
    let mut source = MemorySource::default();

    for env in ["dev", "prod"] {
        let labels = Labels::from_pairs([("__name__", "m"), ("env", env)]).unwrap();

        for hour in 0..1_000 {
            let ts_ms = hour * HOUR_MS;
            source.push(labels.clone(), [Sample::new(ts_ms, 1.0)]);
            source.push_exemplar(
                labels.clone(),
                Exemplar {
                    ts_ms,
                    value: 1.0,
                    labels: Labels::empty(),
                },
            );
        }
    }

    source
}

struct Kept {
    querier: Querier,
    limits: LimitsHandle,
}

impl Kept {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = MockClock::at(NOW_MS);
        let register = Tenants::open(Bucket::memory(Arc::clone(&clock)), WriterId(Ulid::nil()))
            .await
            .unwrap();
        register.resolve_or_create(&tenant()).await.unwrap();

        let limits = LimitsHandle::default();
        let querier = Querier::new(Parts {
            engine: Engine::new(EngineConfig::default(), Arc::clone(&clock)),
            source: Arc::new(Unchanging(Arc::new(filled()))),
            register: Arc::new(register),
            clock,
            workers: Workers::default(),
            limits: limits.clone(),
            config: Config::default(),
            metrics: Metrics::default(),
        });

        Self { querier, limits }
    }

    fn keep(&self, retention: &str) {
        let yaml = format!("defaults: {{retention: {retention}}}");
        let file = LimitsFile::parse(&yaml, &Limits::default()).unwrap();
        self.limits.adopt(file);
    }

    /// The values of a query at a time, as text.
    async fn at(&self, query: &str, time_ms: i64) -> String {
        let options = QueryOptions::default();
        let query = Query::new(query);
        let answer = self
            .querier
            .instant(&tenant(), &query, time_ms, options)
            .await;
        let (answer, _turn) = answer.unwrap().into_parts();

        format!("{:?}", answer.value.value)
    }
}

fn listing(range: TimeRange) -> Listing {
    Listing {
        selectors: vec!["m".to_owned()],
        range,
        limit: None,
        partial_response: None,
        as_of: None,
    }
}

#[tokio::test]
async fn a_change_counts_for_the_next_query() {
    let kept = Kept::new().await;
    let count = "sum(count_over_time(m[10000h]))";
    let rules = "{period: 0, rules: [{selector: '{env=\"dev\"}', period: 10h}]}";

    for (retention, samples, first) in [
        ("{}", "2000", true),
        ("{period: 100h}", "200", false),
        (rules, "1010", true),
        ("{period: 0}", "2000", true),
    ] {
        kept.keep(retention);
        let found = kept.at(count, NOW_MS).await;
        assert!(found.contains(samples), "{retention}: {found}");

        // The sample is before the retention, and the look-back of the query is not.
        let old = kept.at("m{env=\"prod\"}", 0).await;
        assert_eq!(old.contains("prod"), first, "{retention}: {old}");
        assert_eq!(
            kept.at("count(m{env=\"prod\"})", 1).await.contains("1.0"),
            first
        );
    }
}

#[tokio::test]
async fn no_list_shows_what_is_too_old() {
    let kept = Kept::new().await;
    kept.keep("{rules: [{selector: '{env=\"dev\"}', period: 10h}]}");

    let old = TimeRange::new(0, NOW_MS - 20 * HOUR_MS).unwrap();
    let querier = &kept.querier;
    let name = tenant();

    let series = querier.series(&name, listing(old)).await.unwrap();
    let (series, _turn) = series.into_parts();
    assert_eq!(series.value.0.len(), 1);

    let values = querier
        .label_values(&name, "env", listing(old))
        .await
        .unwrap();
    let (values, _turn) = values.into_parts();
    assert_eq!(Vec::from_iter(values.value.0), ["prod"]);

    let exemplars = querier
        .exemplars(&name, &Query::new("m"), old, None)
        .await
        .unwrap();
    let (exemplars, _turn) = exemplars.into_parts();
    assert_eq!(exemplars.unwrap().len(), 1);
}
