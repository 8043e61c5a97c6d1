//! The text format of `OpenMetrics`, version 1.0.0.

use std::fmt::Write;

use crate::collected::{MetricFamily, Series};

/// Returns the families in the text format, one after the other.
pub fn text(families: &[MetricFamily]) -> String {
    let mut text = String::new();

    for family in families {
        let MetricFamily {
            name, help, kind, ..
        } = family;
        let kind = kind.as_str();

        write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
            .expect("a String takes every write");

        for series in family.series() {
            push_series(&mut text, &series);
        }
    }

    text.push_str("# EOF\n");
    text
}

fn push_series(text: &mut String, series: &Series<'_>) {
    let bound = series.le.iter().map(|le| ("le", le));
    let others = series.labels.iter().map(|(name, value)| (*name, value));
    let mut joint = '{';

    text.push_str(&series.name);

    for (name, value) in bound.chain(others) {
        text.push(joint);
        text.push_str(name);
        text.push_str("=\"");
        push_escaped(text, value);
        text.push('"');
        joint = ',';
    }

    if joint == ',' {
        text.push('}');
    }

    writeln!(text, " {}", series.value).expect("a String takes every write");
}

fn push_escaped(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Collected, CollectedValue, Collector, Counter, Family, Gauge, Histogram, MetricKind,
        Number, Registry,
    };

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Labels {
        route: &'static str,
        code: u16,
    }

    crate::label_set!(Labels: route, code);

    #[derive(Debug)]
    struct Elsewhere;

    impl Collector for Elsewhere {
        fn collect(&self) -> Vec<MetricFamily> {
            let metrics = ["x", "y"]
                .map(|at| Collected::with("at", at, CollectedValue::Gauge(Number::Whole(-1))));
            vec![MetricFamily::new(
                "elsewhere",
                "Read",
                MetricKind::Gauge,
                metrics,
            )]
        }
    }

    #[test]
    fn all_that_was_counted_is_in_the_text_in_the_order_of_registration() {
        let mut registry = Registry::default();
        let requests = Family::<Labels, Counter>::default();
        let seconds = Histogram::new([0.0005, 1.0]);
        let open = Gauge::default();

        registry
            .with_prefix("part")
            .register("open", "Now", open.clone());
        registry.register_collector(Elsewhere);
        registry.register("requests", "All of them", requests.clone());
        registry.register("none", "Not yet", Family::<Labels, Counter>::default());
        registry.register("seconds", "Each", seconds.clone());

        let labels = Labels {
            route: "/\"a\\\n",
            code: 200,
        };

        requests.get_or_create(&labels).inc_by(3);
        seconds.observe(0.25);
        seconds.observe(2.75);
        open.inc();

        let expected = "# HELP requests All of them.\n\
            # TYPE requests counter\n\
            requests_total{route=\"/\\\"a\\\\\\n\",code=\"200\"} 3\n\
            # HELP seconds Each.\n\
            # TYPE seconds histogram\n\
            seconds_sum 3.0\n\
            seconds_count 2\n\
            seconds_bucket{le=\"0.0005\"} 0\n\
            seconds_bucket{le=\"1.0\"} 1\n\
            seconds_bucket{le=\"+Inf\"} 2\n\
            # HELP elsewhere Read\n\
            # TYPE elsewhere gauge\n\
            elsewhere{at=\"x\"} -1\n\
            elsewhere{at=\"y\"} -1\n\
            # HELP part_open Now.\n\
            # TYPE part_open gauge\n\
            part_open 1\n\
            # EOF\n";

        assert_eq!(text(&registry.collect()), expected);
    }
}
