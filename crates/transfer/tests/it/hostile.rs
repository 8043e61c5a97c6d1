//! Inputs that nobody should make: each gives an error that names the line, or what it is.

use std::io::{self, Read};

use duramen_transfer::csv::{CsvReader, Mapping};
use duramen_transfer::openmetrics::OpenMetricsReader;
use duramen_transfer::{Reader, RunLimits};
use proptest::prelude::*;

use crate::world::{NOW_MS, SMALL, csv, openmetrics};

fn refused(text: &str) -> String {
    openmetrics(text.as_bytes(), SMALL).unwrap_err().to_string()
}

fn refused_csv(text: &str) -> String {
    let error = csv(text.as_bytes(), SMALL, Mapping::default());
    error.unwrap_err().to_string()
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    for (line, what) in [
        ("a", "do not end"),
        ("a 1", "no time"),
        ("a 1x 1", "a value cannot be read"),
        ("a 1 1x", "a time cannot be read"),
        ("a 1 99999999999999999999", "a time cannot be read"),
        ("a 1 1 1", "behind the time"),
        ("a{b=\"c\" 1 1", "do not end"),
        ("a{b=c} 1 1", "cannot be read"),
        ("a{b=\"c\",b=\"d\"} 1 1", "a name comes twice"),
        ("a{\"b\"} 1 1", "two names"),
        ("a 1 1 # 1 1", "the labels of an exemplar"),
        ("a 1 1 # {x=\"y\"}", "no value"),
    ] {
        let error = refused(&format!("ok 1 1\n{line}\n# EOF\n"));
        assert!(
            error.starts_with("line 2: ") && error.contains(what),
            "{line}: {error}"
        );
    }

    let error = refused("a 1 1\n");
    assert!(error.contains("ends without # EOF"), "{error}");
    let error = refused("# EOF\na 1 1\n");
    assert!(
        error.contains("line 2: there is something behind # EOF"),
        "{error}"
    );

    for (text, what) in [
        ("value,__name__\n1,a\n", "line 1: no column is the time"),
        ("time,__name__\n1,a\n", "line 1: no column is the value"),
        ("time,value\n1,1\n", "line 1: no column is the metric name"),
        (
            "time,value,__name__\n1,1,a\nx,1,a\n",
            "line 3: a time cannot be read: \"x\"",
        ),
        (
            "time,value,__name__\n1,x,a\n",
            "line 2: a value cannot be read",
        ),
        (
            "time,value,labels\n1,1,[]\n",
            "line 2: the labels are no JSON object",
        ),
        (
            "time,value,histogram,__name__\n1,,{},a\n",
            "line 2: a histogram cannot be read",
        ),
    ] {
        let error = refused_csv(text);
        assert!(error.contains(what), "{text}: {error}");
    }
}

/// Repeats a text without an end.
struct Endless {
    text: &'static [u8],
    at: usize,
    read: usize,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *out {
            *byte = self.text[self.at];
            self.at = (self.at + 1) % self.text.len();
        }

        self.read += out.len();
        assert!(self.read < 16 << 20, "more was read than the limits allow");
        Ok(out.len())
    }
}

fn endless(text: &'static [u8]) -> Box<dyn Read + Send> {
    Box::new(Endless {
        text,
        at: 0,
        read: 0,
    })
}

#[test]
fn endless_lines_and_ten_million_columns_are_refused() {
    let limits = RunLimits::default();
    let csv = |text| {
        let mut reader = CsvReader::new(endless(text), limits, Mapping::default());
        reader.next_run().unwrap_err().to_string()
    };

    let error = csv(b"column,");
    assert!(
        error.contains("line 1: a row has more than 4096 columns"),
        "{error}"
    );
    let error = csv(b"x");
    assert!(
        error.contains("line 1: a row has more than 1048576 bytes"),
        "{error}"
    );
    let mut reader = OpenMetricsReader::new(endless(b"x"), limits, NOW_MS);
    let error = reader.next_run().unwrap_err().to_string();
    assert!(
        error.contains("line 1: a line has more than 1048576 bytes"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z{}\"\\\\=, #0-9.\n]{0,80}") {
        let _ = openmetrics(text.as_bytes(), SMALL);
        let _ = csv(format!("time,value,histogram,labels\n{text}").as_bytes(), SMALL, Mapping::default());
    }
}
