//! Where and how expressions are evaluated.

use std::sync::Arc;

use duramen_promql::{Engine, EngineConfig, Features, QueryContext, QueryTimes};
use duramen_promqltest::random::World;
use duramen_promqltest::reference::{Fault, NameRemoval, Reference, Times, Vector};
use duramen_promqltest::{Mode, Store};
use duramen_runtime::SystemClock;
use duramen_syntax::Expr;
use duramen_syntax::ast::AggregateOp;

use super::answers::{Order, difference, elements, values, wrong_failure};

/// The numbers of partitions that the engines split series into.
const PARTITIONS: [usize; 2] = [1, 3];

pub(crate) struct Asked {
    sides: [Side; 2],
    memory: Store,
    stored: [Store; 2],
}

/// The reference and the engines for one setting of name removal.
struct Side {
    names: NameRemoval,
    reference: Reference,
    engines: Vec<Engine>,
}

/// The result of a comparison.
pub(crate) enum Verdict {
    /// The answers agree. `series` is the number of series at the first time.
    Same {
        series: usize,
    },
    /// The language allows several answers.
    Open,
    Wrong(String),
}

impl Asked {
    pub(crate) async fn new(world: &World) -> anyhow::Result<Self> {
        let side = |names: NameRemoval| {
            let features = Features {
                delayed_name_removal: names == NameRemoval::AtTheEnd,
                ..Features::default()
            };

            let engine = |partitions| {
                let config = EngineConfig {
                    partitions,
                    features,
                    ..EngineConfig::default()
                };

                Engine::new(config, Arc::new(SystemClock::default()))
            };

            Side {
                names,
                reference: world.reference(names),
                engines: PARTITIONS.map(engine).to_vec(),
            }
        };

        let [mut memory, mut blocks, mut split] = [
            Store::open(Mode::Memory).await?,
            Store::open(Mode::Blocks).await?,
            Store::open(Mode::Split).await?,
        ];

        for store in [&mut memory, &mut blocks, &mut split] {
            store.add(world.series()).await?;
        }

        Ok(Self {
            sides: [NameRemoval::AtOnce, NameRemoval::AtTheEnd].map(side),
            memory,
            stored: [blocks, split],
        })
    }

    /// Returns the reference's answer at the first time.
    pub(crate) fn reference(&self, names: NameRemoval, expr: &Expr, times: Times) -> Vector {
        let side = self
            .sides
            .iter()
            .find(|side| side.names == names)
            .expect("both are there");

        elements(&side.reference.query(expr, times).expect("an answer")[0].1)
    }

    pub(crate) async fn instant(&self, expr: &Expr, time_ms: i64) -> Vector {
        let answer = self.sides[0].engines[1]
            .instant(&self.memory.context(), expr, time_ms)
            .await;
        values(&answer.expect("an answer"), time_ms)
    }

    /// Returns the engine's answer at each time, or `None` if the query fails.
    pub(crate) async fn range(&self, expr: &Expr, times: Times) -> Option<Vec<(i64, Vector)>> {
        let Times {
            start_ms,
            end_ms,
            step_ms,
        } = times;

        let engine = &self.sides[0].engines[1];
        let answer = engine
            .range(
                &self.memory.context(),
                expr,
                QueryTimes::range(start_ms, end_ms, step_ms).expect("the times of a range"),
            )
            .await
            .ok()?;

        let steps = (0..=(end_ms - start_ms) / step_ms).map(|step| start_ms + step * step_ms);
        Some(
            steps
                .map(|time_ms| (time_ms, values(&answer, time_ms)))
                .collect(),
        )
    }

    /// Returns the engine's answers over the range as texts, one for each number of partitions.
    pub(crate) async fn partitioned(&self, expr: &Expr, times: Times) -> [String; 2] {
        let ask = async |engine: &Engine| {
            let context = self.memory.context();
            let answer = engine
                .range(
                    &context,
                    expr,
                    QueryTimes::range(times.start_ms, times.end_ms, times.step_ms)
                        .expect("the times of a range"),
                )
                .await;

            // If there are several errors, the partition that is ahead decides which comes first.
            answer.map_or_else(
                |_| "fails".to_owned(),
                |answer| format!("{:?}", answer.value),
            )
        };

        [
            ask(&self.sides[0].engines[0]).await,
            ask(&self.sides[0].engines[1]).await,
        ]
    }

    /// Compares the answers at an instant and over the range, with both settings of name removal.
    pub(crate) async fn verdict(&self, expr: &Expr, times: Times) -> Verdict {
        let mut verdict = Verdict::Open;

        for side in &self.sides {
            for times in [Times::at(times.start_ms), times] {
                match self.side(side, expr, times).await {
                    Verdict::Wrong(fault) => {
                        return Verdict::Wrong(format!(
                            "names go {:?}, {times:?}: {fault}",
                            side.names
                        ));
                    }
                    Verdict::Same { series } => verdict = Verdict::Same { series },
                    Verdict::Open => {}
                }
            }
        }

        verdict
    }

    async fn side(&self, side: &Side, expr: &Expr, times: Times) -> Verdict {
        let wanted = side.reference.query(expr, times);
        if matches!(wanted, Err(Fault::Open(_))) {
            return Verdict::Open;
        }

        let context = self.memory.context();
        let order = if times.step_ms == 0 {
            order(expr)
        } else {
            Order::Any
        };

        for engine in &side.engines {
            let got = match times.step_ms {
                0 => engine.instant(&context, expr, times.start_ms).await,
                step_ms => {
                    engine
                        .range(
                            &context,
                            expr,
                            QueryTimes::range(times.start_ms, times.end_ms, step_ms)
                                .expect("the times of a range"),
                        )
                        .await
                }
            };

            if let Some(fault) = wrong_failure(got.as_ref().err(), wanted.as_ref().err()) {
                return Verdict::Wrong(fault);
            }

            let (Ok(got), Ok(wanted)) = (got, &wanted) else {
                continue;
            };
            for (time_ms, wanted) in wanted {
                if let Some(fault) = difference(&values(&got, *time_ms), &elements(wanted), order) {
                    return Verdict::Wrong(format!("at {time_ms} ms: {fault}"));
                }
            }
        }

        Verdict::Same {
            series: wanted.map_or(0, |wanted| elements(&wanted[0].1).len()),
        }
    }

    /// Compares the answers from blocks, and from blocks and head, with the one from memory. They
    /// must be equal, bit for bit.
    pub(crate) async fn stored(&self, expr: &Expr, times: Times) -> Option<String> {
        let ask = |context: QueryContext| async move {
            let engine = &self.sides[0].engines[0];
            let answer = engine
                .range(
                    &context,
                    expr,
                    QueryTimes::range(times.start_ms, times.end_ms, times.step_ms)
                        .expect("the times of a range"),
                )
                .await;
            answer
                .map_err(|error| error.to_string())
                .map(|answer| format!("{:?}", answer.value))
        };

        let wanted = ask(self.memory.context()).await;
        for (store, name) in self.stored.iter().zip(["blocks", "split"]) {
            let got = ask(store.context()).await;
            if got != wanted {
                return Some(format!("{times:?}: {name}: {got:?}\nmemory: {wanted:?}"));
            }
        }

        None
    }
}

/// Returns the order that the answer at an instant must have.
fn order(expr: &Expr) -> Order {
    match expr {
        Expr::Paren { expr, .. } => order(expr),
        Expr::Call { func, .. } if matches!(func.name, "sort" | "sort_desc") => Order::ByValue,
        Expr::Call { func, .. } if matches!(func.name, "sort_by_label" | "sort_by_label_desc") => {
            Order::Whole
        }
        Expr::Aggregate {
            op: AggregateOp::Topk | AggregateOp::Bottomk,
            grouping: None,
            ..
        } => Order::ByValue,
        _ => Order::Any,
    }
}
