//! The process keeps its own metrics, through the same door as everyone's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use duramen_api::http::parse_line;
use duramen_model::{METRIC_TYPE, METRIC_UNIT};
use duramen_proto::{TypeAndUnitLabels, Version, WriteRequestEncoder};
use duramen_runtime::{OnFailure, Tasks};
use tracing::warn;

use crate::wiring::System;

/// Writes all metrics every `interval` until the process shuts down.
pub(crate) fn start(system: Arc<System>, address: SocketAddr, interval: Duration, tasks: &Tasks) {
    let shutdown = tasks.shutdown();
    tasks.spawn::<_, String>("self_scrape", OnFailure::Log, async move {
        let instance = address.to_string();
        let types = system.config.features.type_and_unit_labels();

        loop {
            let body = request(
                &system.metrics.text(),
                &instance,
                system.clock.now_ms(),
                types,
            );

            if let Err(error) = system
                .ingester
                .write(&system.own_tenant, Version::One, &body)
                .await
            {
                warn!(%error, "the process could not keep its own metrics");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = system.clock.sleep(interval) => {}
            }
        }
    });
}

/// A remote write body of the metrics in `text`, and `up`. As in a scrape, types and units that
/// become labels are those of the text.
fn request(text: &str, instance: &str, now_ms: i64, types: TypeAndUnitLabels) -> Vec<u8> {
    let mut encoder = WriteRequestEncoder::default();
    let mut push =
        |name: &str, labels: &[(String, String)], family: &[(&str, &str)], value: f64| {
            let own = [
                ("__name__", name),
                ("job", "duramen"),
                ("instance", instance),
            ];

            let labels = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            encoder.push(
                own.into_iter().chain(family.iter().copied()).chain(labels),
                [(now_ms, value)],
            );
        };

    push("up", &[], &[], 1.0);

    let mut family = Vec::new();

    for line in text.lines() {
        if let Some((name, labels, value)) = parse_line(line) {
            push(name, &labels, &family, value);
        } else if types == TypeAndUnitLabels::FromMetadata {
            match parse_family_line(line) {
                Some(kind @ (METRIC_TYPE, _)) => family = vec![kind],
                Some(unit) => family.push(unit),
                None => {}
            }
        }
    }

    encoder.finish()
}

/// What a comment says of the samples behind it, as a label. The type of a family stands before its
/// unit.
fn parse_family_line(line: &str) -> Option<(&'static str, &str)> {
    let (label, said) = match line.strip_prefix("# TYPE ") {
        Some(said) => (METRIC_TYPE, said),
        None => (METRIC_UNIT, line.strip_prefix("# UNIT ")?),
    };

    said.split_once(' ').map(|(_family, value)| (label, value))
}

#[cfg(test)]
mod tests {
    use duramen_proto::{WriteLimits, WriteRequest};

    use super::*;

    #[test]
    fn types_and_units_become_labels_where_those_of_others_do() {
        let text = "# HELP a A.\n# TYPE a counter\na_total 1\n# HELP b_bytes B.\n# TYPE b_bytes gauge\n# UNIT b_bytes bytes\n\
                    b_bytes{x=\"y\"} 2\n# HELP c C.\n# TYPE c histogram\nc_count 3\n# EOF\n";
        let labels = |types| {
            let body = request(text, "here", 5, types);
            let limits = WriteLimits::of_body(body.len());
            let request = WriteRequest::decode_v1(&body, &limits).unwrap();
            let more = |at| request.labels(at).unwrap().split_off(3);
            let text = |bytes| std::str::from_utf8(bytes).unwrap();

            let shown = |at| {
                more(at)
                    .iter()
                    .map(|(name, value)| format!("{}={} ", text(name), text(value)))
                    .collect()
            };

            (0..request.series.len())
                .map(shown)
                .collect::<Vec<String>>()
        };

        assert_eq!(labels(TypeAndUnitLabels::AsSent), ["", "", "x=y ", ""]);

        let typed = [
            "",
            "__type__=counter ",
            "__type__=gauge __unit__=bytes x=y ",
            "__type__=histogram ",
        ];

        assert_eq!(labels(TypeAndUnitLabels::FromMetadata), typed);
    }
}
