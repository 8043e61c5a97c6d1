//! Answers of the Prometheus HTTP API.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The text of an error is cut after this many characters.
const ERROR_CHARS_MAX: usize = 160;

/// Points `(ts_ms, value)` by series; of metadata queries the entries, without points.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) series: BTreeMap<String, Vec<(i64, f64)>>,
}

impl Answer {
    /// An error carries the server's words when the body has them.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(body).with_context(|| {
            format!(
                "not JSON: {}",
                String::from_utf8_lossy(&body[..body.len().min(200)])
            )
        })?;

        if json["status"] != "success" {
            let text: String = json["error"]
                .as_str()
                .unwrap_or("error without words")
                .chars()
                .take(ERROR_CHARS_MAX)
                .collect();

            bail!(text);
        }

        let data = &json["data"];
        let mut series = BTreeMap::new();

        if let Some(entries) = data.as_array() {
            let key = |entry: &Value| {
                if entry.is_object() {
                    series_key(entry)
                } else {
                    entry.to_string()
                }
            };

            series.extend(entries.iter().map(|entry| (key(entry), vec![])));
        } else if data["resultType"] == "scalar" || data["resultType"] == "string" {
            series.insert(String::new(), vec![point(&data["result"])?]);
        } else {
            for entry in data["result"]
                .as_array()
                .context("answer without a result")?
            {
                series.insert(series_key(&entry["metric"]), points(entry)?);
            }
        }

        Ok(Self { series })
    }

    pub(crate) fn points(&self) -> usize {
        self.series.values().map(Vec::len).sum()
    }

    /// A hash of everything, with values rounded to 9 significant digits.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Fnv::default();

        for (key, points) in &self.series {
            digest.add(key.as_bytes());

            for (ts_ms, value) in points {
                digest.add(&ts_ms.to_le_bytes());

                let text = if value.is_nan() {
                    "NaN".to_owned()
                } else {
                    format!("{value:.8e}")
                };

                digest.add(text.as_bytes());
            }
        }

        digest.0
    }
}

/// FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// The values of one series: of a range, or of an instant.
pub(crate) fn points(series: &Value) -> Result<Vec<(i64, f64)>> {
    if !series["histogram"].is_null() || !series["histograms"].is_null() {
        bail!("native histograms are not understood here");
    }

    match series["values"].as_array() {
        Some(values) => values.iter().map(point).collect(),
        None => Ok(vec![point(&series["value"])?]),
    }
}

fn point(pair: &Value) -> Result<(i64, f64)> {
    let seconds = pair[0].as_f64().context("point without a time")?;
    let text = pair[1].as_str().context("point without a value")?;

    let value = match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => text.parse().unwrap_or(f64::NAN),
    };

    Ok(((seconds * 1e3).round() as i64, value))
}

/// Labels in the order of their names.
fn series_key(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten();
    let mut pairs: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();

    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &str) -> Result<Answer> {
        Answer::parse(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes())
    }

    #[test]
    fn each_shape_of_an_answer_is_read() {
        let cases = [
            (
                r#"{"resultType":"scalar","result":[1.5,"2"]}"#,
                vec![("", vec![(1500, 2.0)])],
            ),
            (
                r#"{"resultType":"vector","result":[{"metric":{"b":"1","a":"2"},"value":[1,"+Inf"]}]}"#,
                vec![("a=\"2\",b=\"1\"", vec![(1000, f64::INFINITY)])],
            ),
            (
                r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]}]}"#,
                vec![("", vec![(1000, 1.0), (2000, 2.0)])],
            ),
            (r#"["x","y"]"#, vec![("\"x\"", vec![]), ("\"y\"", vec![])]),
            (r#"[{"a":"b"}]"#, vec![("a=\"b\"", vec![])]),
        ];

        for (data, series) in cases {
            let series = series
                .into_iter()
                .map(|(key, points)| (key.to_owned(), points))
                .collect();

            assert_eq!(parse(data).unwrap(), Answer { series }, "{data}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(Answer::parse(b"oops").is_err());
        assert_eq!(
            Answer::parse(br#"{"status":"error","error":"no"}"#)
                .unwrap_err()
                .to_string(),
            "no"
        );

        assert!(
            parse(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#)
                .is_err()
        );

        assert!(
            parse(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]],"histograms":[[2,{}]]}]}"#)
                .is_err()
        );

        assert!(parse(r#"{"resultType":"vector","result":[{"metric":{}}]}"#).is_err());
        assert!(parse("{}").is_err());
    }

    #[test]
    fn the_digest_rounds_to_nine_digits_and_sees_the_rest() {
        let digest = |value: &str| {
            parse(&format!(
                r#"{{"resultType":"scalar","result":[1,"{value}"]}}"#
            ))
            .unwrap()
            .digest()
        };

        assert_eq!(digest("1"), digest("1.0000000001"));
        assert_ne!(digest("1"), digest("1.0000001"));
    }
}
