//! The statistics of a query, in the form of the API.

use std::time::Duration;

use duramen_model::quoted::quote;
use duramen_promql::QueryStats;
use serde_json::{Value as Json, json};

use crate::http::answer::number::seconds;
use crate::http::request::form::Params;

/// How much detail a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Nothing,
    Totals,
    /// Totals, and numbers for each step.
    Steps,
}

impl Detail {
    /// Returns the detail that `stats` asks for, with a warning for values that are accepted only
    /// because Prometheus accepts them.
    pub(crate) fn of(params: &Params) -> (Self, Option<String>) {
        match params.get("stats").unwrap_or("") {
            "" => (Self::Nothing, None),
            "true" => (Self::Totals, None),
            "all" => (Self::Steps, None),
            other => {
                let warning = format!(
                    "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
                     use \"true\" or \"all\"",
                    quote(other)
                );

                (Self::Totals, Some(warning))
            }
        }
    }

    /// Returns the statistics, or `None` if none are wanted. `took` is the time from the request to
    /// the answer. The part of it that is not evaluation was waiting.
    pub(crate) fn render(self, stats: &QueryStats, took: Duration) -> Option<Json> {
        if self == Self::Nothing {
            return None;
        }

        let timings = &stats.timings;
        let evaluated = timings.preparation + timings.evaluation + timings.sorting;

        let mut samples = json!({
            "totalQueryableSamples": stats.samples_queryable,
            "samplesRead": stats.samples_read,
            "peakSamples": stats.samples_peak,
        });

        if self == Self::Steps {
            let step = |(ts_ms, count): &(i64, u64)| json!([seconds(*ts_ms), count]);
            samples["totalQueryableSamplesPerStep"] =
                stats.samples_queryable_per_step.iter().map(step).collect();
            samples["samplesReadPerStep"] = stats.samples_read_per_step.iter().map(step).collect();
        }

        Some(json!({
            "timings": {
                "evalTotalTime": evaluated.as_secs_f64(),
                "resultSortTime": timings.sorting.as_secs_f64(),
                "queryPreparationTime": timings.preparation.as_secs_f64(),
                "innerEvalTime": timings.evaluation.as_secs_f64(),
                "execQueueTime": took.saturating_sub(evaluated).as_secs_f64(),
                "execTotalTime": took.as_secs_f64(),
            },
            "samples": samples,
        }))
    }
}

#[cfg(test)]
mod tests {
    use duramen_promql::QueryTimings;

    use super::*;

    #[test]
    fn what_a_query_took_is_told_in_seconds_and_for_each_step_on_demand() {
        let ms = Duration::from_millis;
        let stats = QueryStats {
            samples_queryable: 5,
            samples_read: 3,
            samples_peak: 2,
            samples_queryable_per_step: vec![(1000, 2), (1500, 3)],
            samples_read_per_step: vec![(1000, 1), (1500, 2)],
            timings: QueryTimings {
                preparation: ms(1),
                evaluation: ms(20),
                sorting: ms(4),
            },
        };

        assert_eq!(Detail::Nothing.render(&stats, ms(30)), None);

        let totals = json!({ "totalQueryableSamples": 5, "samplesRead": 3, "peakSamples": 2 });
        let timings = json!({
            "evalTotalTime": 0.025, "resultSortTime": 0.004, "queryPreparationTime": 0.001, "innerEvalTime": 0.02,
            "execQueueTime": 0.005, "execTotalTime": 0.03,
        });

        let rendered = Detail::Totals.render(&stats, ms(30)).unwrap();
        assert_eq!(rendered, json!({ "timings": timings, "samples": totals }));

        let rendered = Detail::Steps.render(&stats, ms(30)).unwrap();
        assert_eq!(
            rendered["samples"]["totalQueryableSamplesPerStep"],
            json!([[1, 2], [1.5, 3]])
        );

        assert_eq!(
            rendered["samples"]["samplesReadPerStep"],
            json!([[1, 1], [1.5, 2]])
        );
    }
}
