//! Surprising behaviour of Prometheus, as scripts in its test language.

use duramen_promql::Features;
use duramen_promqltest::{Mode, Script, run};

async fn check(script: &str) {
    // A block ends at an empty line.
    let script = script.replace("\neval", "\n\neval");
    let report = run(
        &Script::parse(&script).unwrap(),
        Mode::Memory,
        Features::default(),
    )
    .await
    .unwrap();

    let wrong: Vec<_> = report
        .failures
        .iter()
        .map(|failure| (&failure.asked, &failure.difference))
        .collect();

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(report.passed, script.matches("eval").count());
}

#[tokio::test]
async fn a_pair_that_the_operator_is_not_for_leaves_its_series_to_be_filled() {
    check(
        "load 1m
  h{job=\"a\"} {{schema:0 count:1 sum:1 buckets:[1]}}
  x{job=\"a\"} 5
eval instant at 0 h + on(job) fill_left(1) x
  expect info
  {job=\"a\"} 6
eval instant at 0 h == bool on(job) fill_right(1) x
  expect info
",
    )
    .await;
}

#[tokio::test]
async fn histograms_that_contradict_each_other_about_a_reset_have_no_sum() {
    check(
        "load 1m
  a {{schema:0 count:2 sum:1 buckets:[2]}} {{schema:0 count:1 sum:1 buckets:[1]}}
  b {{schema:0 count:1 sum:1 buckets:[1]}} {{schema:0 count:1 sum:1 buckets:[1]}}
eval instant at 1m histogram_count(a + on() b)
  expect warn
eval instant at 1m histogram_sum(a - on() b)
  expect warn
",
    )
    .await;
}

#[tokio::test]
async fn what_is_sorted_by_value_has_no_histograms_at_any_step() {
    check(
        "load 1m
  h {{schema:0 count:1 sum:1 buckets:[1]}}x2
eval range from 0 to 2m step 1m sort(h)
  expect warn
eval range from 0 to 1m step 1m sort_by_label(h, \"a\")
  expect warn
  h {{schema:0 count:1 sum:1 buckets:[1]}} {{schema:0 count:1 sum:1 buckets:[1]}}
",
    )
    .await;
}

#[tokio::test]
async fn a_quantile_beyond_all_buckets_is_the_end_of_the_last_one() {
    check(
        "load 1m
  h {{schema:0 count:10 sum:1 buckets:[1]}}
eval instant at 0 histogram_quantile(0.4, h)
  {} 1
",
    )
    .await;
}

#[tokio::test]
async fn zero_is_a_bound_like_any_other_between_custom_buckets() {
    check(
        "load 1m
  h {{schema:-53 count:20 sum:1 custom_values:[-1 0 1] buckets:[0 5 6 9]}}
eval instant at 0 histogram_fraction(0, 2, h)
  {} 0.3
eval instant at 0 histogram_fraction(-1, 0, h)
  {} 0.25
",
    )
    .await;
}

#[tokio::test]
async fn buckets_without_a_width_or_a_beginning_go_as_a_whole() {
    check(
        "load 1m
  zero {{schema:0 count:2 sum:0 z_bucket:2}}
  custom {{schema:-53 count:3 sum:3 custom_values:[1 2] buckets:[1 1 1]}}
eval instant at 0 zero </ 0
  zero {{schema:0}}
eval instant at 0 zero >/ 0
  zero {{schema:0 count:2 sum:0 z_bucket:2}}
eval instant at 0 custom >/ -1
  custom {{schema:-53 count:2 sum:3.5 custom_values:[1 2] offset:1 buckets:[1 1]}}
",
    )
    .await;
}

#[tokio::test]
async fn info_metrics_are_all_but_those_that_are_excluded_or_the_usual_one() {
    check(
        "load 1m
  requests_total{instance=\"7\", job=\"api\"} 3
  build_info{instance=\"7\", job=\"api\", branch=\"main\"} 1
  target_info{instance=\"7\", job=\"api\", zone=\"east\"} 1
eval instant at 0 info(requests_total, {__name__!=\"target_info\", branch=~\".*\"})
  requests_total{instance=\"7\", job=\"api\", branch=\"main\"} 3
eval instant at 0 info(target_info, {branch=~\".+\"})
  target_info{instance=\"7\", job=\"api\", zone=\"east\"} 1
",
    )
    .await;
}

#[tokio::test]
async fn a_range_of_one_time_has_no_step() {
    check(
        "load 1m
  x 1
eval range from 0 to 1m step 1m vector(step())
  {} 60 60
eval range from 0 to 0 step 1m vector(step())
  {} 0
",
    )
    .await;
}
