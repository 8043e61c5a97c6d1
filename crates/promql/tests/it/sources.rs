//! Sources that fail, and queries that are cancelled.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use duramen_model::{ErrorKind, FamilyMetadata, Labels};
use duramen_promql::{QueryContext, QueryLimits};
use duramen_source::{
    Error, SeriesBatchBuilder, SeriesExemplars, SeriesRequest, SeriesSource, SeriesStream,
};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use crate::engine::engine;

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

fn context(broken: Broken) -> QueryContext {
    QueryContext {
        source: Arc::new(broken),
        lookback_ms: None,
        first_reads: true,
        limits: QueryLimits::default(),
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
