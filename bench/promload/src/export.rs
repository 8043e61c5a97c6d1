//! Saves the raw samples of a server as a `.col` file, through range selectors of its query API.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::answer::points;
use crate::column::{Column, write_col};
use crate::header::Header;
use crate::http::{Client, Url, encode};
use crate::query_file::Span;
use crate::wire::put_label;

/// Columns by their label bytes.
type Columns = BTreeMap<Vec<u8>, Column>;

/// Asks for `(start, end]` of the span in pieces of `window_ms`.
pub(crate) fn run(
    url: &Url,
    selectors: &[String],
    span: Span,
    window_ms: i64,
    out: &str,
) -> Result<()> {
    ensure!(window_ms > 0, "a window has a length");

    let mut client = Client::new(&url.host);
    let mut columns = Columns::new();

    for selector in selectors {
        let mut at_ms = span.start_ms;

        while at_ms < span.end_ms {
            let end_ms = at_ms.saturating_add(window_ms).min(span.end_ms);
            let query = encode(&format!("{selector}[{}ms]", end_ms - at_ms));

            let path = format!(
                "{}/api/v1/query?query={query}&time={}",
                url.path,
                end_ms as f64 / 1e3
            );

            let response = client.get(&path)?;
            add(&response.body, &mut columns)
                .with_context(|| format!("export. selector=`{selector}`, end_ms=`{end_ms}`"))?;
            at_ms = end_ms;
        }
    }

    save(columns.into_values().collect(), selectors, out)
}

/// Samples at or before the last of their series are passed over: older servers include both ends
/// of a window.
fn add(body: &[u8], columns: &mut Columns) -> Result<()> {
    let answer: Value = serde_json::from_slice(body)?;
    if answer["status"] != "success" {
        bail!("the server refuses: {}", answer["error"]);
    }

    for series in answer["data"]["result"]
        .as_array()
        .context("answer without a result")?
    {
        let labels = label_bytes(&series["metric"])?;
        let fresh = || Column {
            labels: labels.clone(),
            ts_ms: vec![],
            values: vec![],
        };

        let column = columns.entry(labels.clone()).or_insert_with(fresh);
        for (ts_ms, value) in points(series)? {
            if column.ts_ms.last().is_none_or(|&last| ts_ms > last) {
                column.ts_ms.push(ts_ms);
                column.values.push(value);
            }
        }
    }

    Ok(())
}

fn label_bytes(metric: &Value) -> Result<Vec<u8>> {
    let object = metric.as_object().context("series without labels")?;
    let mut labels: Vec<(&str, &str)> = vec![];

    for (name, value) in object {
        labels.push((name, value.as_str().context("label without a text")?));
    }

    labels.sort_unstable();

    let mut bytes = vec![];
    labels
        .iter()
        .for_each(|(name, value)| put_label(&mut bytes, name, value));
    Ok(bytes)
}

fn save(columns: Vec<Column>, selectors: &[String], out: &str) -> Result<()> {
    let samples: usize = columns.iter().map(|column| column.ts_ms.len()).sum();
    let header = Header {
        start_ms: columns
            .iter()
            .filter_map(|c| c.ts_ms.first())
            .min()
            .copied()
            .unwrap_or(0),
        end_ms: columns
            .iter()
            .filter_map(|c| c.ts_ms.last())
            .max()
            .copied()
            .unwrap_or(0),
        interval_ms: 1000,
        series: columns.len() as u64,
        samples: samples as u64,
        note: format!("export of {}", selectors.join(" ")),
        ..Header::default()
    };

    write_col(out, &header, &columns)?;
    println!(
        "{} series, {samples} samples, {} bytes in {out}",
        columns.len(),
        std::fs::metadata(out)?.len()
    );

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_share_an_end_give_each_sample_once() {
        let mut columns = Columns::new();
        let window = |values| {
            format!(
                r#"{{"status":"success","data":{{"result":[{{"metric":{{"a":"b"}},"values":{values}}}]}}}}"#
            )
        };

        add(window(r#"[[1,"1"],[2,"2"]]"#).as_bytes(), &mut columns).unwrap();
        add(window(r#"[[2,"2"],[3,"NaN"]]"#).as_bytes(), &mut columns).unwrap();

        let column = columns.into_values().next().unwrap();
        assert_eq!(column.ts_ms, [1000, 2000, 3000]);
        assert!(column.values[2].is_nan());
    }

    #[test]
    fn a_refusal_is_an_error() {
        assert!(add(br#"{"status":"error","error":"no"}"#, &mut Columns::new()).is_err());
        assert!(
            add(
                br#"{"status":"success","data":{"result":[{"metric":3}]}}"#,
                &mut Columns::new()
            )
            .is_err()
        );
    }
}
