//! Random data, as loads of the script language.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::native::Native;

/// The number of samples of a series without gaps.
const SLOTS: usize = 24;

/// The loaded data, line by series. A line of start times belongs to its series.
#[derive(Clone, Debug)]
pub(super) struct World {
    head: String,
    pub(super) series: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut maker = Maker {
            random: StdRng::seed_from_u64(seed),
            series: Vec::new(),
        };

        maker.gauges();
        maker.counters();
        maker.natives();
        maker.mixed();
        maker.classics();
        maker.infos();

        let gap = maker.one(&["10s", "10s", "15s", "1m"]);
        let load = maker.one(&["load", "load", "load_with_nhcb"]);
        let head = format!("{load} {gap}");

        Self {
            head,
            series: maker.series,
        }
    }

    /// Returns the load as a script.
    pub(super) fn script(&self) -> String {
        self.series
            .iter()
            .fold(format!("{}\n", self.head), |script, line| {
                script + line + "\n"
            })
    }

    /// Returns the same world without native histograms that are made from classic ones. Broken
    /// classic histograms cannot be converted.
    pub(super) fn plain(&self) -> Self {
        Self {
            head: self.head.replace("_with_nhcb", ""),
            ..self.clone()
        }
    }

    /// Returns the same world without one series.
    pub(super) fn without(&self, at: usize) -> Self {
        let mut less = self.clone();
        less.series.remove(at);
        less
    }
}

struct Maker {
    random: StdRng,
    series: Vec<String>,
}

impl Maker {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).copied().unwrap_or("")
    }

    fn maybe(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// Adds samples with gaps and stale markers, and sometimes with start times.
    fn push(&mut self, name: &str, mut items: Vec<String>) {
        let gaps = self.one(&["", "", "some", "many"]);
        let stale = self.maybe(15);

        for item in &mut items {
            let gap = match gaps {
                "some" => 10,
                "many" => 40,
                _ => 0,
            };

            if self.maybe(gap) {
                "_".clone_into(item);
            } else if stale && self.maybe(10) {
                "stale".clone_into(item);
            }
        }

        let mut line = String::new();

        if self.maybe(15) {
            let starts = items
                .iter()
                .map(|_| self.one(&["-5s", "-10s", "-1m", "_", "-1ms", "0s"]))
                .collect::<Vec<_>>();

            let _ = writeln!(line, "  {name}@st {}", starts.join(" "));
        }

        let _ = write!(line, "  {name} {}", items.join(" "));
        self.series.push(line);
    }

    fn number(&mut self) -> String {
        match self.random.random_range(0..100) {
            0..80 => format!("{}", f64::from(self.random.random_range(-40..200)) / 4.0),
            80..90 => format!("{}", self.random.random_range(-1.0..1.0)),
            _ => self
                .one(&[
                    "NaN",
                    "Inf",
                    "-Inf",
                    "-0",
                    "1e100",
                    "-1e-10",
                    "0.1",
                    "1e308",
                    "9007199254740993",
                ])
                .to_owned(),
        }
    }

    fn gauges(&mut self) {
        let plain = self.maybe(50);

        for labels in [
            "",
            "{job=\"a\",inst=\"1\"}",
            "{job=\"a\",inst=\"2\"}",
            "{job=\"b\",inst=\"1\"}",
            "{job=\"b\"}",
        ] {
            for name in ["g", "g2"] {
                if self.maybe(25) {
                    continue;
                }

                let items = (0..SLOTS).map(|at| {
                    if plain {
                        format!("{}", (at * 7 + 3) % 11)
                    } else {
                        self.number()
                    }
                });

                let items = items.collect();
                self.push(&format!("{name}{labels}"), items);
            }
        }
    }

    fn counters(&mut self) {
        for labels in [
            "{job=\"a\",inst=\"1\"}",
            "{job=\"a\",inst=\"2\"}",
            "{job=\"b\",inst=\"1\",x=\"é\"}",
        ] {
            let mut value = f64::from(self.random.random_range(0..50));
            let resets = self.maybe(50);
            let mut items = Vec::new();
            for _ in 0..SLOTS {
                value += f64::from(self.random.random_range(0..40)) / 8.0;
                if resets && self.maybe(10) {
                    value = f64::from(self.random.random_range(0..3));
                }

                items.push(value.to_string());
            }
            self.push(&format!("c_total{labels}"), items);
        }
    }

    fn natives(&mut self) {
        for (name, custom) in [
            ("h", false),
            ("h", false),
            ("h2", false),
            ("n", true),
            ("n", true),
            ("hn", false),
            ("hn", true),
        ] {
            let job = self.one(&["a", "b"]);
            let inst = self.series.len();
            let items = Native::sequence(&mut self.random, custom, SLOTS);
            self.push(&format!("{name}{{job=\"{job}\",inst=\"{inst}\"}}"), items);
        }

        let items = Native::sequence(&mut self.random, false, SLOTS);
        self.push("h", items);
    }

    /// Adds series that have floats at one time and histograms at another.
    fn mixed(&mut self) {
        for job in ["a", "b"] {
            let custom = self.maybe(40);
            let mut items = Native::sequence(&mut self.random, custom, SLOTS);
            let mut floats = self.maybe(50);

            for item in &mut items {
                if self.maybe(20) {
                    floats = !floats;
                }

                if floats {
                    *item = self.number();
                }
            }

            self.push(&format!("m{{job=\"{job}\"}}"), items);
        }
    }

    fn classics(&mut self) {
        for (name, job) in [("b", "a"), ("b", "b"), ("h", "a")] {
            let mut bounds = vec!["0.5", "1", "2.5", "+Inf"];

            match self.random.random_range(0..8) {
                0 => _ = bounds.pop(),
                1 => bounds.push("odd"),
                2 => bounds.insert(0, "-1"),
                3 => bounds = vec!["+Inf"],
                4 => bounds.push("1.0"),
                _ => {}
            }

            let broken = self.maybe(25);
            let mut rows = vec![Vec::new(); bounds.len()];
            let mut counts = vec![0_u32; bounds.len()];

            for _ in 0..SLOTS {
                let mut below = 0;

                for (at, row) in rows.iter_mut().enumerate() {
                    counts[at] += self.random.random_range(0..5);
                    below = if broken && self.maybe(10) {
                        counts[at]
                    } else {
                        below + counts[at]
                    };

                    row.push(below.to_string());
                }
            }

            for (bound, row) in bounds.iter().zip(rows) {
                self.push(
                    &format!("{name}_bucket{{job=\"{job}\",le=\"{bound}\"}}"),
                    row,
                );
            }

            // The labels of the buckets, and the name without its suffix.
            if self.maybe(30) {
                let custom = self.maybe(50);
                let items = Native::sequence(&mut self.random, custom, SLOTS);
                self.push(&format!("{name}_bucket{{job=\"{job}\"}}"), items);
            }

            let items = (0..SLOTS).map(|at| (at * 3).to_string()).collect();
            self.push(&format!("{name}_count{{job=\"{job}\"}}"), items);

            let items = (0..SLOTS).map(|at| (at * 7 % 50).to_string()).collect();
            self.push(&format!("{name}_sum{{job=\"{job}\"}}"), items);
        }
    }

    /// `info` matches by `instance` and `job`.
    fn infos(&mut self) {
        for instance in ["1", "2"] {
            let items = (0..SLOTS).map(|at| at.to_string()).collect();
            self.push(
                &format!("i_total{{instance=\"{instance}\",job=\"a\"}}"),
                items,
            );

            for version in ["x", "y"] {
                for name in ["target_info", "build_info"] {
                    if self.maybe(60) {
                        let from = self.random.random_range(0..SLOTS);
                        let to = self.random.random_range(from..SLOTS);
                        let alive = |at: &usize| if (from..=to).contains(at) { "1" } else { "_" };
                        let mut items: Vec<_> =
                            (0..SLOTS).map(|at| alive(&at).to_owned()).collect();

                        if let Some(item) = items
                            .get_mut(to + 1)
                            .filter(|_| self.random.random_range(0..2) == 0)
                        {
                            "stale".clone_into(item);
                        }

                        let other = self.one(&["", ",le=\"1\"", ",build=\"\"", ",build=\"7\""]);
                        let labels = format!(
                            "{{instance=\"{instance}\",job=\"a\",version=\"{version}\"{other}}}"
                        );
                        self.push(&format!("{name}{labels}"), items);
                    }
                }
            }
        }
    }
}
