//! Rules that random queries found, with the answers of Prometheus.

use duramen_promql::Features;
use duramen_promqltest::{Mode, Script, run};

const RULES: &str = include_str!("rules.test");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_random_queries_found_hold() {
    let features = Features {
        start_timestamps: true,
        delayed_name_removal: true,
        type_and_unit_labels: false,
    };

    let report = run(&Script::parse(RULES).unwrap(), Mode::Memory, features)
        .await
        .unwrap();
    for failure in &report.failures {
        println!(
            "rules.test:{} {}\n{:.900}",
            failure.line, failure.asked, failure.difference
        );
    }

    assert_eq!(
        (report.failures.len(), report.passed),
        (0, RULES.matches("\neval").count())
    );
}
