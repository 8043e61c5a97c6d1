//! Samples in the text exposition format, version 0.0.4.

use duramen_model::Labels;

use super::escaping::{Escaping, is_plain};
use super::sample::{Exposed, ExposedValue, exposed_labels};

/// Returns samples as text. Each metric name has the type `untyped`, because its type is not known.
/// `samples` are sorted by metric name.
///
/// A series without the label `instance` gets an empty one, as in Prometheus. A scrape that honors
/// labels then leaves it empty.
pub(crate) fn text(samples: &[Exposed], escaping: Escaping) -> String {
    let mut out = String::new();
    let mut last = None;

    for sample in samples {
        let ExposedValue::Float(value) = sample.value else {
            continue;
        };
        let name = sample.labels.metric_name();
        let written = escaping.apply(name);

        if last != Some(name) {
            out.push_str("# TYPE ");
            put_name(&mut out, &written);
            out.push_str(" untyped\n");
            last = Some(name);
        }

        put_series(&mut out, &written, &sample.labels, escaping);
        out.push(' ');
        put_value(&mut out, value);
        out.push_str(&format!(" {}\n", sample.ts_ms));
    }

    out
}

fn put_series(out: &mut String, name: &str, labels: &Labels, escaping: Escaping) {
    let inside = !is_plain(name);
    if !inside {
        out.push_str(name);
    }

    out.push('{');
    if inside {
        put_name(out, name);
        out.push(',');
    }

    for (at, (label, value)) in exposed_labels(labels).enumerate() {
        if at > 0 {
            out.push(',');
        }

        put_name(out, &escaping.apply(label));
        out.push('=');
        put_quoted(out, value);
    }

    out.push('}');
}

fn put_name(out: &mut String, name: &str) {
    if is_plain(name) {
        out.push_str(name)
    } else {
        put_quoted(out, name)
    }
}

fn put_quoted(out: &mut String, text: &str) {
    out.push('"');

    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }

    out.push('"');
}

/// Appends a number in Go's form `g` with the fewest digits: below 1e-4 and from 1e6 on with an
/// exponent of at least two digits.
fn put_value(out: &mut String, value: f64) {
    let text = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else if value == 0.0 {
        "0".to_owned()
    } else if (1e-4..1e6).contains(&value.abs()) {
        value.to_string()
    } else {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |e| ('-', e));

        format!("{digits}e{sign}{exponent:0>2}")
    };

    out.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(labels: &[(&str, &str)], ts_ms: i64, value: f64) -> Exposed {
        Exposed {
            labels: Labels::from_pairs(labels.iter().copied()).unwrap(),
            ts_ms,
            value: ExposedValue::Float(value),
        }
    }

    #[test]
    fn series_stand_below_the_type_of_their_name() {
        let samples = [
            sample(
                &[("__name__", "a"), ("instance", "i"), ("b", "\\ \" \n")],
                5,
                1.5,
            ),
            sample(&[("__name__", "a"), ("instance", "j")], -5, f64::NAN),
            sample(&[("__name__", "c"), ("z", "1")], 0, f64::NEG_INFINITY),
        ];

        let expected = "# TYPE a untyped\n\
            a{b=\"\\\\ \\\" \\n\",instance=\"i\"} 1.5 5\n\
            a{instance=\"j\"} NaN -5\n\
            # TYPE c untyped\n\
            c{z=\"1\",instance=\"\"} -Inf 0\n";

        assert_eq!(text(&samples, Escaping::Underscores), expected);
    }

    #[test]
    fn values_are_those_of_go() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (4.0, "4"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (8_263_504.0, "8.263504e+06"),
            (1_795_254_393_994.0, "1.795254393994e+12"),
            (0.0001, "0.0001"),
            (0.00002, "2e-05"),
            (1e-300, "1e-300"),
            (f64::INFINITY, "+Inf"),
        ] {
            let mut out = String::new();
            put_value(&mut out, value);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn names_beyond_ascii_are_escaped_as_asked() {
        let samples = [sample(
            &[("__name__", "a.b_c"), ("instance", "i"), ("é", "1")],
            0,
            1.0,
        )];

        for (escaping, expected) in [
            (
                Escaping::AllowUtf8,
                "# TYPE \"a.b_c\" untyped\n{\"a.b_c\",instance=\"i\",\"é\"=\"1\"} 1 0\n",
            ),
            (
                Escaping::Underscores,
                "# TYPE a_b_c untyped\na_b_c{instance=\"i\",_=\"1\"} 1 0\n",
            ),
            (
                Escaping::Dots,
                "# TYPE a_dot_b__c untyped\na_dot_b__c{instance=\"i\",__=\"1\"} 1 0\n",
            ),
            (
                Escaping::Values,
                "# TYPE U__a_2e_b__c untyped\nU__a_2e_b__c{instance=\"i\",U___e9_=\"1\"} 1 0\n",
            ),
        ] {
            assert_eq!(text(&samples, escaping), expected);
        }
    }
}
