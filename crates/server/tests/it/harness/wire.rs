//! Bodies of remote write 1.0 with exemplars and metadata, which the small encoder does not write.

use duramen_proto::snappy;
use duramen_testkit::prompb::Message;
use duramen_testkit::prompb::v1::metric_metadata::MetricType;
use duramen_testkit::prompb::v1::{
    Exemplar, Label, MetricMetadata, Sample, TimeSeries, WriteRequest,
};

/// Builds a request.
#[derive(Debug, Default)]
pub(crate) struct Request(WriteRequest);

/// Trace id, value, time in milliseconds.
pub(crate) type Trace<'a> = (&'a str, f64, i64);

impl Request {
    /// Adds one series with samples and exemplars, either of which may be missing.
    pub(crate) fn series(
        mut self,
        labels: &[(&str, &str)],
        samples: &[(i64, f64)],
        traces: &[Trace<'_>],
    ) -> Self {
        let sample = |(timestamp, value): &(i64, f64)| Sample {
            value: *value,
            timestamp: *timestamp,
            ttl_ms: 0,
        };

        let exemplar = |(id, value, timestamp): &Trace<'_>| Exemplar {
            labels: if id.is_empty() {
                vec![]
            } else {
                vec![label(&("trace_id", id))]
            },
            value: *value,
            timestamp: *timestamp,
        };

        self.0.timeseries.push(TimeSeries {
            labels: labels.iter().map(label).collect(),
            samples: samples.iter().map(sample).collect(),
            exemplars: traces.iter().map(exemplar).collect(),
            ..TimeSeries::default()
        });

        self
    }

    pub(crate) fn family(mut self, name: &str, kind: MetricType, help: &str, unit: &str) -> Self {
        self.0.metadata.push(MetricMetadata {
            r#type: kind.into(),
            metric_family_name: name.to_owned(),
            help: help.to_owned(),
            unit: unit.to_owned(),
        });

        self
    }

    pub(crate) fn snappy(&self) -> Vec<u8> {
        snappy::compress(&self.0.encode_to_vec())
    }
}

fn label((name, value): &(&str, &str)) -> Label {
    Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    }
}
