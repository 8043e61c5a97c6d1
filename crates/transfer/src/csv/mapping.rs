//! Which columns of a CSV are what.

use std::str::FromStr;

use duramen_model::METRIC_NAME;

use crate::error::Error;
use crate::label_columns::{HISTOGRAM, LABELS, TIME, VALUE, label_of};
use crate::number;

/// How a column tells times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970, with or without a part.
    Seconds,
    /// Milliseconds since 1970.
    #[default]
    Millis,
    Micros,
    Nanos,
    /// 2026-11-30T14:00:00Z
    Rfc3339,
}

impl FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "s" => Ok(Self::Seconds),
            "ms" => Ok(Self::Millis),
            "us" => Ok(Self::Micros),
            "ns" => Ok(Self::Nanos),
            "rfc3339" => Ok(Self::Rfc3339),
            _ => Err("a time is s, ms, us, ns or rfc3339".to_owned()),
        }
    }
}

impl TimeFormat {
    /// Reads a time in milliseconds.
    pub(crate) fn read(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Seconds => number::seconds(text),
            Self::Millis => number::integer(text),
            Self::Micros => Some(number::integer(text)?.div_euclid(1000)),
            Self::Nanos => Some(number::integer(text)?.div_euclid(1_000_000)),
            Self::Rfc3339 => {
                let text = std::str::from_utf8(text).ok()?;
                let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
                Some(time.timestamp_millis())
            }
        }
    }
}

/// One column and what it is: `label:instance=host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    role: Role,
    column: String,
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Time,
    /// A value, with the metric name that it has in particular.
    Value(Option<String>),
    Histogram,
    /// The label of this name.
    Label(String),
    /// All labels as JSON.
    Labels,
}

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, column) = text
            .split_once('=')
            .ok_or("a mapping is like time=COLUMN or label:NAME=COLUMN")?;

        let column = column.to_owned();
        let (role, named) = match role.split_once(':') {
            Some((role, named)) => (role, Some(named.to_owned())),
            None => (role, None),
        };

        let role = match (role, named) {
            ("time", None) => Role::Time,
            ("value", named) => Role::Value(named),
            ("histogram", None) => Role::Histogram,
            ("labels", None) => Role::Labels,
            ("name", None) => Role::Label(METRIC_NAME.to_owned()),
            ("label", named) => Role::Label(named.unwrap_or_else(|| column.clone())),
            _ => {
                return Err("a column is time, value, histogram, name, label or labels".to_owned());
            }
        };

        Ok(Self { role, column })
    }
}

/// How a CSV is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Columns that are not here are left out. Without any, the columns are those of an export.
    pub columns: Vec<Mapped>,
    pub time: TimeFormat,
    /// The metric name of what has none.
    pub metric: Option<String>,
}

/// The roles of the columns of a CSV.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) time: usize,
    /// Columns of values, with the metric name of each.
    pub(crate) values: Vec<(usize, Option<String>)>,
    pub(crate) histogram: Option<usize>,
    pub(crate) labels: Vec<(usize, String)>,
    pub(crate) all_labels: Option<usize>,
    pub(crate) metric: Option<String>,
}

impl Mapping {
    /// Finds the columns by the names in the first row.
    pub(crate) fn roles(&self, header: &[&str]) -> Result<Roles, Error> {
        let mut roles = Roles {
            time: usize::MAX,
            values: Vec::new(),
            histogram: None,
            labels: Vec::new(),
            all_labels: None,
            metric: self.metric.clone(),
        };

        if self.columns.is_empty() {
            for (at, column) in header.iter().enumerate() {
                roles.set(at, of_export(column));
            }
        }

        for Mapped { role, column } in &self.columns {
            let at = header.iter().position(|name| name == column);
            let at = at.ok_or_else(|| fault(format!("there is no column {column:?}")))?;
            roles.set(at, role.clone());
        }

        roles.check()?;
        Ok(roles)
    }
}

impl Roles {
    fn set(&mut self, at: usize, role: Role) {
        match role {
            Role::Time => self.time = at,
            Role::Value(metric) => self.values.push((at, metric)),
            Role::Histogram => self.histogram = Some(at),
            Role::Label(name) => self.labels.push((at, name)),
            Role::Labels => self.all_labels = Some(at),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.time == usize::MAX {
            return Err(fault("no column is the time: --map time=COLUMN names it"));
        }

        if self.values.is_empty() {
            return Err(fault("no column is the value: --map value=COLUMN names it"));
        }

        let is_named = self.metric.is_some()
            || self.all_labels.is_some()
            || self.labels.iter().any(|(_, name)| name == METRIC_NAME)
            || self.values.iter().all(|(_, metric)| metric.is_some());

        if !is_named {
            return Err(fault(
                "no column is the metric name: --map name=COLUMN names it, or --metric NAME gives one",
            ));
        }

        Ok(())
    }
}

/// What a column of an export is.
fn of_export(column: &str) -> Role {
    match column {
        TIME => Role::Time,
        VALUE => Role::Value(None),
        HISTOGRAM => Role::Histogram,
        LABELS => Role::Labels,
        column => Role::Label(label_of(column).unwrap_or(column).to_owned()),
    }
}

fn fault(what: impl Into<String>) -> Error {
    Error::Line {
        line: 1,
        what: what.into(),
    }
}
