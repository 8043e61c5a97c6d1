use arrow::array::BinaryArray;
use duramen_model::{Labels, Life};

use super::builder::SeriesBatchBuilder;
use super::*;

fn labels(name: &str) -> Labels {
    Labels::from_pairs([(name, "1")]).unwrap()
}

#[test]
fn a_batch_gives_back_the_series_that_were_pushed() {
    let mut builder = SeriesBatchBuilder::default();
    builder.push(&labels("a"), &[1, 2], &[0.5, -0.0]);
    builder.push(&labels("b"), &[], &[]);

    let batch = builder.finish();
    assert_eq!((batch.len(), batch.samples()), (2, 2));
    assert_eq!(batch.labels_at(1), labels("b").encoded());
    assert_eq!(
        batch.samples_at(0),
        ([1, 2].as_slice(), [0.5, -0.0].as_slice())
    );

    assert_eq!(batch.samples_at(1).0.len(), 0);
    assert_eq!(
        (
            batch.starts_at(0),
            batch.ttls_at(1),
            batch.histograms_at(0).len()
        ),
        (None, None, 0)
    );

    assert!(builder.finish().is_empty());
}

#[test]
fn lives_and_histograms_stand_with_their_series() {
    let mut builder = SeriesBatchBuilder::default();
    builder.push(&labels("a"), &[1], &[0.5]);
    builder.push_sample(1, 1.0, Life::NONE);

    builder.push_sample(
        2,
        2.0,
        Life {
            start_ms: 0,
            ttl_ms: 7,
        },
    );

    builder.push_sample(3, 3.0, Life::NONE);

    let life = Life {
        start_ms: 5,
        ttl_ms: 0,
    };

    let histogram = |ts_ms, life| HistogramRef {
        ts_ms,
        life,
        bytes: b"h",
    };

    builder.push_histogram(histogram(4, life));
    builder.end_series(labels("b").encoded());
    builder.push_histogram(histogram(4, Life::NONE));
    builder.push_histogram(histogram(5, life));
    builder.end_series(labels("c").encoded());

    let batch = builder.finish();
    assert_eq!(batch.ttls_at(0), Some([0].as_slice()));
    assert_eq!(batch.ttls_at(1), Some([0, 7, 0].as_slice()));
    assert_eq!(batch.starts_at(1), None);
    assert_eq!(batch.histograms_at(0).len(), 0);
    assert_eq!(
        batch.histograms_at(1).collect::<Vec<_>>(),
        [histogram(4, life)]
    );
    assert_eq!(
        batch.histograms_at(2).collect::<Vec<_>>(),
        [histogram(4, Life::NONE), histogram(5, life)]
    );

    assert_eq!(
        (batch.floats(), batch.histograms(), batch.samples()),
        (4, 3, 7)
    );
}

#[test]
fn floats_alone_can_be_put_together_without_a_copy() {
    let names = BinaryArray::from_vec(vec![b"a", b"b"]);
    let batch = SeriesBatch::from_parts(
        names,
        vec![0, 1, 2],
        vec![1, 2].into(),
        vec![0.5, 1.5].into(),
    );

    assert_eq!(batch.samples_at(1), ([2].as_slice(), [1.5].as_slice()));
    assert_eq!((batch.histograms_at(1).len(), batch.ttls_at(0)), (0, None));
}
