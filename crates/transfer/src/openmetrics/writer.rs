//! Writes OpenMetrics text.

use duramen_model::{Exemplar, FamilyMetadata, Labels, METRIC_NAME, TimeRange, is_stale};

use crate::error::Error;
use crate::form::{Form, SeriesRows, Wants, Written};
use crate::number;
use crate::openmetrics::family::{Families, Told};
use crate::output::Output;

/// The form has exemplars at counters and at buckets only.
const EXEMPLAR_SUFFIXES: [&str; 2] = ["_total", "_bucket"];

/// Series by series, in the order of metric names.
#[derive(Debug)]
pub struct OpenMetricsForm {
    output: Output,
    families: Families,
    /// The metric name of the last series.
    metric: String,
    prefix: Vec<u8>,
    written: Written,
}

impl OpenMetricsForm {
    pub fn new(output: Output) -> Self {
        Self {
            output,
            families: Families::default(),
            metric: String::new(),
            prefix: Vec::new(),
            written: Written::default(),
        }
    }

    /// Writes what is known of the family of a metric, if nothing of it was written yet.
    fn tell_family(&mut self, metric: &str) {
        if metric == self.metric {
            return;
        }

        metric.clone_into(&mut self.metric);

        if let Some(told) = self.families.first(metric) {
            put_family(&told, self.output.buffer());
            self.written.families += 1;
        }
    }
}

impl Form for OpenMetricsForm {
    fn wants(&self) -> Wants {
        Wants {
            whole_series: true,
            exemplars: true,
            families: true,
            label_names: false,
        }
    }

    fn begin(&mut self, _: Vec<String>, families: Vec<FamilyMetadata>) -> Result<(), Error> {
        self.families = Families::new(families);
        Ok(())
    }

    fn window(&mut self, _: TimeRange) -> Result<(), Error> {
        Ok(())
    }

    fn put(&mut self, rows: &SeriesRows<'_>) -> Result<(), Error> {
        let left_out = &mut self.written.left_out;
        left_out.histograms += rows.histograms.len() as u64;

        let metric = rows.labels.metric_name();
        if metric.is_empty() {
            left_out.unnamed += rows.ts_ms.len() as u64;
            left_out.exemplars += rows.exemplars.len() as u64;
            return Ok(());
        }

        self.tell_family(metric);
        self.prefix.clear();
        put_series(&rows.labels, metric, &mut self.prefix);

        let has_room = EXEMPLAR_SUFFIXES
            .iter()
            .any(|suffix| metric.ends_with(suffix));
        let (placed, homeless) = if has_room {
            (rows.exemplars, 0)
        } else {
            ([].as_slice(), rows.exemplars.len())
        };

        let mut exemplars = placed.iter();
        let mut lines = 0;
        let stale = rows.values.iter().filter(|value| is_stale(**value)).count();
        let mut left = rows.values.len() - stale;

        for (ts_ms, value) in rows.ts_ms.iter().zip(rows.values) {
            if is_stale(*value) {
                continue;
            }

            let out = self.output.buffer();
            out.extend_from_slice(&self.prefix);
            out.push(b' ');
            number::put_float(*value, out);
            out.push(b' ');
            number::put_seconds(*ts_ms, out);

            // A line has room for one: the next, once its time has come, or as many as lines are
            // left.
            let next = exemplars.as_slice();
            let is_due = next.first().is_some_and(|next| next.ts_ms <= *ts_ms);

            if (is_due || next.len() >= left)
                && let Some(exemplar) = exemplars.next()
            {
                put_exemplar(exemplar, out);
                self.written.exemplars += 1;
            }

            out.push(b'\n');
            lines += 1;
            left -= 1;
            self.output.settle()?;
        }

        self.written.series += u64::from(lines > 0);
        self.written.floats += lines;
        self.written.left_out.stale_markers += stale as u64;
        self.written.left_out.exemplars += (exemplars.len() + homeless) as u64;
        Ok(())
    }

    fn written(&self) -> Written {
        Written {
            bytes: self.output.bytes(),
            ..self.written
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Written, Error> {
        self.output.buffer().extend_from_slice(b"# EOF\n");

        Ok(Written {
            files: 1,
            bytes: self.output.finish()?,
            ..self.written
        })
    }
}

fn put_family(told: &Told, out: &mut Vec<u8>) {
    let mut line = |what: &str, text: &str| {
        out.extend_from_slice(b"# ");
        out.extend_from_slice(what.as_bytes());
        out.push(b' ');
        put_name(&told.name, is_metric_name, out);
        out.push(b' ');
        put_escaped(text, out);
        out.push(b'\n');
    };

    line("TYPE", told.kind.as_str());

    if !told.unit.is_empty() {
        line("UNIT", &told.unit);
    }

    if !told.help.is_empty() {
        line("HELP", &told.help);
    }
}

/// Appends `name{labels}`, or `{"name",labels}` if the name has other letters than old readers
/// know.
fn put_series(labels: &Labels, metric: &str, out: &mut Vec<u8>) {
    let is_plain = is_metric_name(metric);

    if is_plain {
        out.extend_from_slice(metric.as_bytes());
    }

    let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let mut others = others.peekable();

    if is_plain && others.peek().is_none() {
        return;
    }

    out.push(b'{');
    if !is_plain {
        put_quoted(metric, out);
    }

    put_labels(others, !is_plain, out);
    out.push(b'}');
}

fn put_labels<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    follow: bool,
    out: &mut Vec<u8>,
) {
    for (at, (name, value)) in labels.enumerate() {
        if at > 0 || follow {
            out.push(b',');
        }

        put_name(name, is_label_name, out);
        out.push(b'=');
        put_quoted(value, out);
    }
}

fn put_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    out.extend_from_slice(b" # {");
    put_labels(exemplar.labels.iter(), false, out);
    out.extend_from_slice(b"} ");
    number::put_float(exemplar.value, out);
    out.push(b' ');
    number::put_seconds(exemplar.ts_ms, out);
}

fn put_name(name: &str, is_plain: fn(&str) -> bool, out: &mut Vec<u8>) {
    if is_plain(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        put_quoted(name, out);
    }
}

fn put_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    put_escaped(text, out);
    out.push(b'"');
}

fn put_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
}

pub(super) fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

pub(super) fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

fn is_name(name: &str, is_more: fn(u8) -> bool) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || is_more(byte);
    let mut bytes = name.bytes();

    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}
