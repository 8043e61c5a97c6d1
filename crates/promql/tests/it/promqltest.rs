//! Prometheus' test scripts over a source in memory. The runner is in `promqltest`, which also runs
//! them over blocks.

use duramen_promql::Features;
use duramen_promqltest::{Mode, Script, features_of, run};
use duramen_testkit::shared;

/// The number of evals. All of them pass. May only grow.
const PASSED_MIN: usize = 1665;

/// Evals that expect delayed removal of names and fail if names are dropped at once: scripts and
/// lines.
const DELAYED: &[(&str, &[usize])] = &[
    ("name_label_dropping.test", &[55, 60, 67, 80, 108]),
    ("type_and_unit.test", &[73, 78, 198]),
];

/// As Prometheus runs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_with_delayed_name_removal() {
    run_scripts(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_where_names_go_at_once() {
    run_scripts(false).await;
}

fn asks_for_delay(script: &str, line: usize) -> bool {
    DELAYED
        .iter()
        .any(|(name, lines)| *name == script && lines.contains(&line))
}

async fn run_scripts(delayed_name_removal: bool) {
    let Some(folder) = shared::path("conformance/promqltest") else {
        return;
    };
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();

    scripts.sort();

    let mut passed = 0;
    let mut at_once = 0;
    let mut wrong = Vec::new();

    for path in scripts {
        let name = path.file_name().unwrap().to_str().unwrap();
        let script = Script::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let features = Features {
            delayed_name_removal,
            ..features_of(&path)
        };

        let report = run(&script, Mode::Memory, features).await.unwrap();
        passed += report.passed;

        for failure in report.failures {
            // If names are dropped at once, annotations on histograms have none.
            let named = || failure.difference.contains("for metric name");

            if !delayed_name_removal && (asks_for_delay(name, failure.line) || named()) {
                at_once += 1;
            } else {
                println!(
                    "{name}:{} {}\n{:.900}",
                    failure.line, failure.asked, failure.difference
                );

                wrong.push((name.to_owned(), failure.line));
            }
        }
    }

    println!("{passed} evals passed");
    assert_eq!(wrong, []);
    assert!(passed + at_once >= PASSED_MIN, "{passed} evals passed");

    assert_eq!(
        at_once > 0,
        !delayed_name_removal,
        "the switch has no effect"
    );
}
