//! A query that runs beside writes sees each of them as a whole or not at all.

use std::collections::BTreeSet;

use crate::harness::duramen::Duramen;
use crate::harness::rounds::{SERIES, beside_rounds};
use crate::harness::wait::now_ms;

#[tokio::test]
async fn equal_selectors_of_one_query_are_equal_and_no_write_is_seen_in_part() {
    let server = Duramen::local().await;
    let asking = async {
        for _ in 0..10 {
            let differences = server.query("count(rounds - rounds == 0)", now_ms()).await;
            assert_eq!(
                differences["result"][0]["value"][1],
                SERIES.to_string(),
                "{differences}"
            );

            let counts = server
                .query("count_values(\"round\", rounds)", now_ms())
                .await;
            let counts = counts["result"].as_array().map(Vec::len);

            assert_eq!(counts, Some(1), "a write is seen in part");
        }
    };

    beside_rounds(&server, asking).await;
}

#[tokio::test]
async fn a_federated_scrape_shows_all_series_of_a_write_or_none() {
    let server = Duramen::local().await;
    let asking = async {
        for _ in 0..10 {
            let answer = server
                .get(
                    "/federate",
                    &[("match[]", "rounds"), ("match[]", "{at!=\"\"}")],
                )
                .await;

            let text = answer.text();
            let samples = || text.lines().filter(|line| !line.starts_with('#'));

            assert_eq!(samples().count(), SERIES, "{}", answer.status);

            let values: BTreeSet<_> = samples()
                .map(|line| line.split_once(' ').map(|(_, value)| value))
                .collect();
            assert_eq!(values.len(), 1, "{values:?}");
        }
    };

    beside_rounds(&server, asking).await;
}
