//! Sources that fail, and queries that are cancelled.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::BinaryArray;
use async_trait::async_trait;
use duramen_model::{ErrorKind, FamilyMetadata, Labels};
use duramen_promql::{QueryContext, QueryLimits, QueryTimes, RollupChoice};
use duramen_source::undecoded::PIECE_SAMPLES;
use duramen_source::{
    Error, SeriesBatch, SeriesBatchBuilder, SeriesDecoder, SeriesExemplars, SeriesRequest,
    SeriesSource, SeriesStream, UndecodedBatch, UndecodedSeries, UndecodedStream,
};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{bits, engine};

/// Returns some batches of one series, and then what `end` says.
#[derive(Debug)]
struct Broken {
    batches: usize,
    end: End,
}

#[derive(Debug)]
enum End {
    Fails,
    /// Never ends. Sends a message when it is read up to there, and drops the other sender when the
    /// stream is dropped.
    Hangs(Mutex<Option<(mpsc::UnboundedSender<()>, oneshot::Sender<()>)>>),
}

#[async_trait]
impl SeriesSource for Broken {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, Error> {
        let batches: Vec<_> = (0..self.batches)
            .map(|at| {
                let mut builder = SeriesBatchBuilder::default();
                builder.push(
                    &Labels::from_pairs([("x", format!("{at:03}").as_str())]).unwrap(),
                    &[0],
                    &[1.0],
                );

                Ok(builder.finish())
            })
            .collect();

        let end = match &self.end {
            End::Fails => {
                stream::iter([Err(Error::new("block 7", ErrorKind::Corrupt, "damaged"))]).boxed()
            }
            End::Hangs(told) => {
                let (reached, held) = told.lock().unwrap().take().unwrap();
                let wait = async move {
                    let _held = held;
                    reached.send(()).unwrap();
                    std::future::pending().await
                };

                stream::once(wait).boxed()
            }
        };

        Ok(stream::iter(batches).chain(end).boxed())
    }

    async fn exemplars(&self, _: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(0)
    }
}

/// Three batches of many series, as a whole or in pieces of a few series.
#[derive(Debug)]
struct Cut {
    piece_series: u64,
}

impl Cut {
    /// Returns series `from..to`, whose sums depend on the order of addition.
    fn series(from: i32, to: i32) -> SeriesBatch {
        let mut builder = SeriesBatchBuilder::default();

        for at in from..to {
            let value = |step: i64| f64::from(at).sin() * 10f64.powi(at % 30) + step as f64;
            let steps: Vec<i64> = (0..20).filter(|step| at % 4 != 0 || *step > 90).collect();
            let ts: Vec<i64> = steps.iter().map(|step| step * 10_000).collect();
            let values: Vec<f64> = steps.iter().map(|step| value(*step)).collect();

            let labels = [("job", format!("{}", at % 3)), ("x", format!("{at:04}"))];
            let labels = labels
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            builder.push(&Labels::from_pairs(labels).unwrap(), &ts, &values);
        }

        builder.finish()
    }
}

/// One of the batches, which claims so many samples that its pieces have a few series.
#[derive(Clone, Debug)]
struct CutBatch {
    batch: SeriesBatch,
    piece_series: u64,
}

impl UndecodedSeries for CutBatch {
    fn labels(&self) -> &BinaryArray {
        self.batch.labels()
    }

    fn weight(&self, _: usize) -> u64 {
        PIECE_SAMPLES / self.piece_series
    }

    fn untaken_bytes(&self) -> usize {
        0
    }

    fn decoder(self: Arc<Self>) -> Box<dyn SeriesDecoder> {
        Box::new(Self::clone(&self))
    }
}

impl SeriesDecoder for CutBatch {
    fn decode(&mut self, rows: Range<usize>, _: bool) -> Result<SeriesBatch, Error> {
        assert!(rows.len() as u64 <= self.piece_series);
        Ok(self.batch.slice(rows))
    }
}

#[async_trait]
impl SeriesSource for Cut {
    async fn select(&self, _: &SeriesRequest) -> Result<SeriesStream, Error> {
        let batches = (0..3).map(|batch| Ok(Self::series(batch * 100, batch * 100 + 100)));
        Ok(stream::iter(batches).boxed())
    }

    async fn select_undecoded(&self, _: &SeriesRequest) -> Result<UndecodedStream, Error> {
        let piece_series = self.piece_series;
        let batches = (0..3).map(move |batch| {
            let series = CutBatch {
                batch: Self::series(batch * 100, batch * 100 + 100),
                piece_series,
            };

            Ok(UndecodedBatch::new(Arc::new(series)))
        });

        Ok(stream::iter(batches).boxed())
    }

    async fn exemplars(&self, _: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        Ok(Vec::new())
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        Ok(Vec::new())
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_does_not_depend_on_pieces() {
    let times = QueryTimes::range(0, 190_000, 10_000).unwrap();

    for query in [
        "sum({x=~\".+\"})",
        "avg by (job) (rate({x=~\".+\"}[1m]))",
        "stddev(-{x=~\".+\"})",
        "rate({x=~\".+\"}[1m])",
    ] {
        let expr = duramen_syntax::parse(query).unwrap();
        let mut answers = Vec::new();

        for piece_series in [100, 33, 1] {
            for partitions in [1, 2] {
                let context = QueryContext {
                    source: Arc::new(Cut { piece_series }),
                    lookback_ms: None,
                    first_reads: true,
                    limits: QueryLimits::default(),
                    rollups: RollupChoice::default(),
                };

                let answer = engine(partitions).range(&context, &expr, times).await;
                answers.push(bits(answer));
            }
        }

        assert!(answers[0].len() > 100, "{query}: {}", answers[0]);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{query}");
    }
}

fn context(broken: Broken) -> QueryContext {
    QueryContext {
        source: Arc::new(broken),
        lookback_ms: None,
        first_reads: true,
        limits: QueryLimits::default(),
        rollups: RollupChoice::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_late_fails_the_query() {
    for query in [
        "{x=~\".+\"}",
        "sum(rate({x=~\".+\"}[1m])) or vector(1)",
        "quantile_over_time(scalar({x=~\".+\"}), up[1m])",
    ] {
        for partitions in [1, 3] {
            let expr = duramen_syntax::parse(query).unwrap();
            let broken = Broken {
                batches: 5,
                end: End::Fails,
            };

            let error = engine(partitions)
                .instant(&context(broken), &expr, 0)
                .await
                .unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Corrupt, "{query}: {error:?}");
            assert!(error.to_string().contains("block 7"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_given_up_leaves_nothing_running() {
    for partitions in [1, 3] {
        let ((reached, mut was_reached), (held, dropped)) =
            (mpsc::unbounded_channel(), oneshot::channel());
        let broken = Broken {
            batches: 5,
            end: End::Hangs(Mutex::new(Some((reached, held)))),
        };

        let expr = duramen_syntax::parse("sum by(x) ({x=~\".+\"}) * 2").unwrap();
        let engine = engine(partitions);
        let context = context(broken);
        let mut query = Box::pin(engine.instant(&context, &expr, 0));

        tokio::select! {
            answer = &mut query => panic!("answered: {answer:?}"),
            reached = was_reached.recv() => assert!(reached.is_some()),
        }

        drop(query);
        assert!(dropped.await.is_err(), "the sender goes with the stream");
    }
}
