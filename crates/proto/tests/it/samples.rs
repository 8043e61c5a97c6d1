//! Answers of samples.

use duramen_model::Labels;
use duramen_proto::remote_read::answer::read_response;
use duramen_proto::remote_read::{ReadResponseEncoder, TimeSeriesEncoder};
use proptest::prelude::*;

use crate::chunks::{any_float, any_histogram};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_bit_of_a_sample_comes_back(
        floats in prop::collection::vec((any::<i64>(), any_float()), 0..20),
        histograms in prop::collection::vec((any::<i64>(), any_histogram()), 0..20),
        queries in 0..3usize,
    ) {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "\u{1f600}")]).unwrap();
        let mut series = Vec::new();
        let mut encoder = TimeSeriesEncoder::begin(&mut series, labels.encoded());

        for (ts_ms, value) in &floats {
            encoder.push_float(*ts_ms, *value);
        }

        for (ts_ms, histogram) in &histograms {
            encoder.push_histogram(*ts_ms, histogram);
        }

        let mut response = ReadResponseEncoder::default();
        for _ in 0..queries {
            response.push_result([&*series, &*series].into_iter());
        }

        let results = read_response(&response.finish()).unwrap();
        prop_assert_eq!(results.len(), queries);

        for found in results.iter().flatten() {
            prop_assert_eq!(found.labels.len(), 2);

            let bits = |all: &[(i64, f64)]| all.iter().map(|(ts_ms, value)| (*ts_ms, value.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found.floats), bits(&floats));
            prop_assert_eq!(&found.histograms, &histograms);
        }
    }
}
