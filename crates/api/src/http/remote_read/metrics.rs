//! The metrics of remote read.

use duramen_metrics::{Counter, Family, Registry, label_set};
use duramen_proto::remote_read::ResponseType;

/// The metrics of remote read, by the form of the answer.
#[derive(Clone, Debug, Default)]
pub struct RemoteReadMetrics {
    requests: Family<FormLabel, Counter>,
    samples: Family<FormLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FormLabel {
    form: &'static str,
}

label_set!(FormLabel: form);

impl RemoteReadMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "duramen_remote_reads",
            "Remote reads by the form of the answer",
            self.requests.clone(),
        );
        let samples = "Floats and histograms put into answers to remote reads";
        registry.register("duramen_remote_read_samples", samples, self.samples.clone());
    }

    pub(super) fn requested(&self, form: ResponseType) {
        self.requests.get_or_create(&label(form)).inc();
    }

    /// Returns the counter of the samples that are sent in a form.
    pub(super) fn samples(&self, form: ResponseType) -> Counter {
        self.samples.get_or_create(&label(form)).clone()
    }
}

const fn label(form: ResponseType) -> FormLabel {
    let form = match form {
        ResponseType::Samples => "samples",
        ResponseType::StreamedXorChunks => "streamed_xor_chunks",
    };

    FormLabel { form }
}
