//! The process keeps its own metrics, through the same door as everyone's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use duramen_proto::{Version, WriteRequestEncoder};
use duramen_runtime::{OnFailure, Tasks};
use tracing::warn;

use crate::wiring::System;

/// Writes all metrics every `interval` until the process shuts down.
pub(crate) fn start(system: Arc<System>, address: SocketAddr, interval: Duration, tasks: &Tasks) {
    let shutdown = tasks.shutdown();
    tasks.spawn::<_, String>("self_scrape", OnFailure::Log, async move {
        let instance = address.to_string();
        loop {
            let body = request(&system.metrics_text(), &instance, system.clock.now_ms());
            if let Err(error) = system.ingester.write(&system.own_tenant, Version::One, &body).await {
                warn!(%error, "the process could not keep its own metrics");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = system.clock.sleep(interval) => {}
            }
        }
    });
}

/// A remote write body of the metrics in `text`, and `up`.
fn request(text: &str, instance: &str, now_ms: i64) -> Vec<u8> {
    let mut encoder = WriteRequestEncoder::default();
    let mut push = |name: &str, labels: &[(String, String)], value: f64| {
        let own = [("__name__", name), ("job", "duramen"), ("instance", instance)];
        let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        encoder.push(own.into_iter().chain(labels), [(now_ms, value)]);
    };
    push("up", &[], 1.0);
    for line in text.lines() {
        if let Some((name, labels, value)) = parse_line(line) {
            push(name, &labels, value);
        }
    }
    encoder.finish()
}

/// A name, labels and a value.
pub(crate) type Sample<'a> = (&'a str, Vec<(String, String)>, f64);

/// A sample line of our own text format: `name{label="value",..} value`. `None` for comments.
pub(crate) fn parse_line(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, behind) = take_quoted(behind)?;
            labels.push((label.to_owned(), value));
            rest = behind;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some((name, labels, value))
}

/// The text up to the closing quote, and what is behind it.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_text_format_are_read() {
        let labels =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        assert_eq!(parse_line("# TYPE x counter"), None);
        assert_eq!(parse_line("x_total 3"), Some(("x_total", vec![], 3.0)));
        let expected = labels(&[("a", "1,\"}"), ("le", "+Inf")]);
        assert_eq!(parse_line(r#"x{a="1,\"}",le="+Inf"} +Inf"#), Some(("x", expected, f64::INFINITY)));
    }
}
