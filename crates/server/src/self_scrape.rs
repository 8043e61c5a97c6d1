//! The process writes its own metrics through the ingester, as any client does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use duramen_api::http::MetricsPage;
use duramen_ingest::{DecodedWrite, Error, Ingester};
use duramen_metrics::{MetricFamily, MetricKind, Series};
use duramen_model::{Life, METRIC_NAME, METRIC_TYPE, TenantName};
use duramen_proto::{TypeAndUnitLabels, WriteLimits, WriteRequest, WriteRequestBuilder};
use duramen_runtime::{Clock, OnFailure, Tasks};
use tracing::warn;

/// The parts that the process needs to write its own metrics.
#[derive(Debug)]
pub(crate) struct SelfScrape {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<MetricsPage>,
    pub(crate) ingester: Ingester,
    pub(crate) tenant: TenantName,
    pub(crate) types: TypeAndUnitLabels,
}

impl SelfScrape {
    /// Writes all metrics every `interval` until the process shuts down.
    pub(crate) fn start(self, address: SocketAddr, interval: Duration, tasks: &Tasks) {
        let shutdown = tasks.shutdown();
        tasks.spawn::<_, String>("self_scrape", OnFailure::Log, async move {
            let instance = address.to_string();

            loop {
                if let Err(error) = self.write(&instance).await {
                    warn!(%error, "the process could not keep its own metrics");
                }

                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = self.clock.sleep(interval) => {}
                }
            }
        });
    }

    async fn write(&self, instance: &str) -> Result<(), Error> {
        let families = self.metrics.families();
        let series = series(&families);

        let bytes = series.iter().map(|(_, series)| bytes_of(series)).sum();
        let permit = self.ingester.intake().permit(bytes).await?;

        let now_ms = self.clock.now_ms();
        let limits = WriteLimits::of_body(bytes);
        let request = request(&series, instance, now_ms, self.types, &limits)?;

        let write = DecodedWrite::built(permit, request);
        self.ingester.take(&self.tenant, write).await?;
        Ok(())
    }
}

/// Returns all series, each with the kind of its family.
fn series(families: &[MetricFamily]) -> Vec<(MetricKind, Series<'_>)> {
    families
        .iter()
        .flat_map(|family| family.series().into_iter().map(|one| (family.kind, one)))
        .collect()
}

/// Returns the approximate bytes of a series in a message: its texts, and the labels and the sample
/// that all series have.
fn bytes_of(series: &Series<'_>) -> usize {
    const EACH: usize = 100;

    let labels = series.labels.iter();
    let text: usize = labels.map(|(name, value)| name.len() + value.len()).sum();
    series.name.len() + text + EACH
}

/// Returns a request with the series at one time, and `up`. Types become labels if they do so for
/// other clients.
fn request<'a>(
    series: &'a [(MetricKind, Series<'a>)],
    instance: &'a str,
    now_ms: i64,
    types: TypeAndUnitLabels,
    limits: &WriteLimits,
) -> Result<WriteRequest<'a>, duramen_proto::Error> {
    let mut builder = WriteRequestBuilder::new(limits);
    let own = |name| {
        [
            (METRIC_NAME, name),
            ("job", "duramen"),
            ("instance", instance),
        ]
    };

    builder.series(own("up"))?.float(now_ms, 1.0, Life::NONE)?;

    for (kind, one) in series {
        let kind = (METRIC_TYPE, kind.as_str());
        let kind = (types == TypeAndUnitLabels::FromMetadata).then_some(kind);
        let bound = one.le.as_deref().map(|le| ("le", le));
        let labels = one.labels.iter().map(|(name, value)| (*name, &**value));

        let all = own(&one.name).into_iter().chain(kind).chain(bound);
        builder
            .series(all.chain(labels))?
            .float(now_ms, one.value.as_f64(), Life::NONE)?;
    }

    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use duramen_metrics::{Counter, Family, FloatGauge, Histogram, Registry, label_set};

    use super::*;

    const ROOMY: WriteLimits = WriteLimits {
        memory_bytes_max: 1 << 20,
    };

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct RouteLabel {
        route: &'static str,
    }

    label_set!(RouteLabel: route);

    fn counted() -> Vec<MetricFamily> {
        let mut registry = Registry::default();
        let requests = Family::<RouteLabel, Counter>::default();
        let seconds = Family::<RouteLabel, Histogram>::new(|| Histogram::new([0.0005, 1.0]));
        let held = FloatGauge::default();

        registry.register("requests", "All of them", requests.clone());
        registry.register("seconds", "Each", seconds.clone());
        registry.register("held", "Now", held.clone());

        for route in ["/", "/api"] {
            requests.get_or_create(&RouteLabel { route }).inc_by(7);
            seconds.get_or_create(&RouteLabel { route }).observe(0.1);
        }

        held.set(0.25);
        registry.collect()
    }

    /// Returns the series of a request in the text format, without the labels that all have.
    fn lines(request: &WriteRequest<'_>) -> Vec<String> {
        let line = |at: usize| {
            let labels = request.labels(at).expect("they were built");
            let text = |bytes| std::str::from_utf8(bytes).expect("it was built as text");

            let all: Vec<String> = labels[3..]
                .iter()
                .map(|(name, value)| format!("{}=\"{}\"", text(name), text(value)))
                .collect();

            let inside = match all.as_slice() {
                [] => String::new(),
                all => format!("{{{}}}", all.join(",")),
            };

            let [value] = request.values[request.series[at].samples()] else {
                panic!("each series has one sample");
            };

            format!("{}{inside} {value}", text(labels[0].1))
        };

        (0..request.series.len()).map(line).collect()
    }

    #[test]
    fn the_series_are_those_of_the_text() {
        let families = counted();
        let series = series(&families);
        let request = request(&series, "here", 5, TypeAndUnitLabels::AsSent, &ROOMY).unwrap();

        let text = duramen_metrics::text(&families);
        let of_text = text.lines().filter(|line| !line.starts_with('#'));
        let of_text = of_text.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            format!("{series} {value}")
        });

        let expected: Vec<String> = ["up 1".to_owned()].into_iter().chain(of_text).collect();
        assert_eq!(lines(&request), expected);
        assert!(request.ts_ms.iter().all(|ts_ms| *ts_ms == 5));
    }

    #[test]
    fn types_become_labels_where_those_of_others_do() {
        let families = counted();
        let series = series(&families);
        let types = TypeAndUnitLabels::FromMetadata;
        let lines = lines(&request(&series, "here", 5, types, &ROOMY).unwrap());

        assert_eq!(lines[0], "up 1");
        assert!(lines.contains(&"held{__type__=\"gauge\"} 0.25".to_owned()));
        assert!(lines.contains(&"requests_total{__type__=\"counter\",route=\"/\"} 7".to_owned()));
        assert!(lines.contains(
            &"seconds_bucket{__type__=\"histogram\",le=\"1.0\",route=\"/\"} 1".to_owned()
        ));
    }
}
