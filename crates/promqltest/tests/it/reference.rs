//! Compares the engine with the naive evaluator, over random data and random expressions.
//!
//! `DURAMEN_SEED` is the seed of the first world, and `DURAMEN_WORLDS` the number of worlds. A
//! failure prints its seed. To repeat it, run with that seed and one world.

mod answers;
mod asked;
mod laws;

use duramen_promqltest::random::{Dialect, World, Writer, environment};
use duramen_promqltest::reference::{self, NameRemoval, Times};
use duramen_syntax::Expr;
use duramen_syntax::ast::ValueType;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use asked::{Asked, Verdict};

/// The number of worlds in a short run.
const WORLDS: u64 = 4;

/// The number of expressions for each world.
const EXPRESSIONS: usize = 100;

/// One in so many expressions is also evaluated over blocks and the head.
const STORED_EVERY: usize = 8;

fn random_times(random: &mut StdRng) -> Times {
    let start_ms = random.random_range(0..World::END_MS);
    let step_ms = [1_000, 15_000, 60_000, 77_777][random.random_range(0..4)];

    Times {
        start_ms,
        end_ms: start_ms + step_ms * random.random_range(0..12),
        step_ms,
    }
}

/// Returns the smallest subexpression that gives a wrong answer by itself.
async fn shrunk<'e>(asked: &Asked, expr: &'e Expr, times: Times) -> Option<(&'e Expr, String)> {
    let mut parts = Vec::new();
    expr.walk(&mut |part| parts.push(part));
    parts.sort_by_key(|part| part.to_string().len());

    for part in parts {
        if matches!(part.value_type(), ValueType::Scalar | ValueType::Vector)
            && let Verdict::Wrong(fault) = asked.verdict(part, times).await
        {
            return Some((part, fault));
        }
    }

    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_expressions_are_answered_as_the_language_is_told() {
    let first = environment("DURAMEN_SEED", 1);
    let worlds = environment(
        "DURAMEN_WORLDS",
        if std::env::var_os("DURAMEN_SEED").is_some() {
            1
        } else {
            WORLDS
        },
    );

    let mut asked_count = 0;
    let mut answered = 0;
    let mut open = 0;
    let mut wrongs = Vec::new();

    for seed in first..first + worlds {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(&mut random);
        let asked = Asked::new(&world).await.unwrap();

        for at in 0..EXPRESSIONS {
            let text = Writer {
                random: &mut random,
                dialect: Dialect::Whole,
                origin: 0,
            }
            .expression();

            let expr = duramen_syntax::parse(&text)
                .unwrap_or_else(|error| panic!("seed {seed}: {text}: {error}"));
            let times = random_times(&mut random);
            asked_count += 1;

            match asked.verdict(&expr, times).await {
                Verdict::Wrong(_) => {
                    if let Some((part, fault)) = shrunk(&asked, &expr, times).await {
                        wrongs.push(format!("seed {seed}: {text}\n  of it: {part}\n  {fault}"));
                    }

                    continue;
                }
                Verdict::Same { series } => answered += usize::from(series > 0),
                Verdict::Open => open += 1,
            }

            if at % STORED_EVERY == 0
                && let Some(fault) = asked.stored(&expr, times).await
            {
                wrongs.push(format!("seed {seed}: {text}\n  {fault}"));
            }
        }
    }

    println!(
        "{asked_count} expressions, {answered} with series at their first time, {open} of which several answers are right"
    );
    for wrong in wrongs.iter().take(20) {
        println!("{wrong:.4000}");
    }

    assert!(
        wrongs.is_empty(),
        "{} of {asked_count} are wrong",
        wrongs.len()
    );

    assert!(
        answered * 5 > asked_count * 2,
        "too few have an answer: {answered} of {asked_count}"
    );

    assert!(
        open * 5 < asked_count,
        "of too many several answers are right: {open} of {asked_count}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limitk_leaves_as_many_of_a_group_as_there_are() {
    let world = World::new(&mut StdRng::seed_from_u64(environment("DURAMEN_SEED", 11)));
    let asked = Asked::new(&world).await.unwrap();
    let mut left = 0;

    for of in [
        "temperature",
        "duration",
        "rate(requests_total[2m])",
        "mixed",
    ] {
        for (k, at_most) in [("0", 0), ("1", 1), ("2.9", 2), ("100", 100)] {
            let [all, some] = [of.to_owned(), format!("limitk by(job) ({k}, {of})")];
            let [all, some] = [all, some].map(|text| duramen_syntax::parse(&text).unwrap());

            for time_ms in [120_000, 700_000, 1_100_000] {
                let all = asked.reference(NameRemoval::AtOnce, &all, Times::at(time_ms));
                let some = asked.instant(&some, time_ms).await;

                for job in ["api", "db"] {
                    let of_job = |element: &&reference::Element| {
                        element.labels.get("job").is_some_and(|at| at == job)
                    };
                    let (all, some): (Vec<_>, Vec<_>) = (
                        all.iter().filter(of_job).collect(),
                        some.iter().filter(of_job).collect(),
                    );

                    assert_eq!(
                        some.len(),
                        all.len().min(at_most),
                        "{of} {k} {job} at {time_ms}"
                    );

                    assert!(
                        some.iter()
                            .all(|some| all.iter().any(|all| answers::same(some, all))),
                        "{of} at {time_ms}"
                    );

                    left += some.len();
                }
            }
        }
    }

    assert!(left > 50, "{left}");
}
