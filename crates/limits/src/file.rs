//! The limits file.

use std::collections::{BTreeMap, HashMap};

use duramen_model::TenantName;
use duramen_settings::{Fault, Faults, overlay};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::tree;
use crate::{Limits, validate};

/// A limits file with all values filled in: complete limits for each tenant that the file names,
/// and the defaults for all others.
///
/// ```yaml
/// defaults:
///   ingest: {series_max: 1000000}
/// tenants:
///   team-a:
///     ingest: {series_max: 5000000}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsFile {
    pub defaults: Limits,
    pub tenants: HashMap<TenantName, Limits>,
}

/// The form of the file, to find faults: each section is read by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    /// Read only to find faults. The values cannot be used, because they do not show which keys are
    /// in the file.
    #[serde(rename = "defaults")]
    _defaults: Option<Limits>,
    tenants: Option<BTreeMap<String, Option<Limits>>>,
}

impl LimitsFile {
    /// Parses a file. A tenant's missing values come from `defaults` of the file, and then from
    /// `built_in`.
    pub fn parse(yaml: &str, built_in: &Limits) -> Result<Self, Faults> {
        let written: Written = duramen_settings::read(yaml)?;
        let values: Value = duramen_settings::read(yaml)?;
        let mut faults = Faults::default();
        let mut defaults = tree(built_in);

        overlay(&mut defaults, &values["defaults"]);

        let mut tenants = HashMap::new();

        for name in written.tenants.unwrap_or_default().into_keys() {
            let key = format!("tenants.{name}");
            let mut own = defaults.clone();
            overlay(&mut own, &values["tenants"][&name]);

            let own = whole(&own, &key)?;
            validate::limits(&own, &key, &mut faults);

            match TenantName::parse(&name) {
                Ok(name) => drop(tenants.insert(name, own)),
                Err(e) => faults.check(false, key, || e.to_string()),
            }
        }

        let defaults = whole(&defaults, "defaults")?;

        // A fault of the defaults is also a fault of every tenant, but it is reported only once.
        let mut of_defaults = Faults::default();
        validate::limits(&defaults, "defaults", &mut of_defaults);

        if !of_defaults.0.is_empty() {
            return Err(of_defaults);
        }

        faults.into_result()?;
        Ok(Self { defaults, tenants })
    }
}

fn whole(tree: &Value, key: &str) -> Result<Limits, Fault> {
    Limits::deserialize(tree).map_err(|e| Fault {
        key: key.to_owned(),
        line: None,
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(yaml: &str) -> Result<LimitsFile, Faults> {
        LimitsFile::parse(yaml, &Limits::default())
    }

    #[test]
    fn a_tenant_has_the_defaults_where_it_says_nothing() {
        let file = parse(
            "defaults:
  ingest: {series_max: 10, age_max: 1h}
  ha: {failover_timeout: 1m}
tenants:
  a:
    ingest: {series_max: 20, age_max: null}
    query: {memory_bytes_max: 64MiB}
  b:
",
        )
        .unwrap();

        let limits_of = |name| &file.tenants[&TenantName::parse(name).unwrap()];
        assert_eq!(
            (
                limits_of("a").ingest.series_max,
                limits_of("a").ingest.age_max
            ),
            (20, None)
        );

        assert_eq!(
            (
                limits_of("a").query.memory_bytes_max,
                limits_of("a").ha.failover_timeout
            ),
            (64 << 20, Duration::from_secs(60))
        );

        assert_eq!(limits_of("b"), &file.defaults);
        assert_eq!(
            file.defaults.ingest.age_max,
            Some(Duration::from_secs(3600))
        );

        assert_eq!(
            file.defaults.ingest.labels_per_series_max,
            Limits::default().ingest.labels_per_series_max
        );
    }

    #[test]
    fn an_empty_file_is_what_is_built_in() {
        for yaml in [
            "",
            "# none yet\n",
            "defaults:\ntenants:\n",
            "defaults: {ingest: }",
        ] {
            let file = parse(yaml).unwrap_or_else(|e| panic!("{yaml:?}: {e}"));
            assert_eq!(
                file,
                LimitsFile {
                    defaults: Limits::default(),
                    tenants: HashMap::new()
                },
                "{yaml:?}"
            );
        }
    }

    #[test]
    fn a_fault_names_tenant_key_and_line() {
        for (yaml, expected) in [
            ("default: {}", "default: "),
            (
                "defaults:\n  ingest:\n    series_mx: 5\n",
                "defaults.ingest.series_mx: ",
            ),
            (
                "tenants:\n  a:\n    query:\n      timeout: 5\n",
                "tenants.a.query.timeout: ",
            ),
            ("tenants:\n  a/b: {}\n", "tenants.a/b: "),
            (
                "tenants: {a: {ingest: {samples_burst: 0}}}",
                "tenants.a.ingest.samples_burst: ",
            ),
            (
                "defaults: {ha: {cluster_label: x, replica_label: x}}",
                "defaults.ha.replica_label: ",
            ),
        ] {
            let text = parse(yaml).unwrap_err().to_string();
            assert!(text.starts_with(expected), "{yaml}: {text}");
        }

        let text = parse("tenants:\n  a:\n    query:\n      timeout: 5\n")
            .unwrap_err()
            .to_string();
        assert!(text.ends_with("(line 4)"), "{text}");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = parse("defaults: {ingest: {samples_burst: 0}, query: {steps_max: 0}}")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("ingest.samples_burst") && text.contains("query.steps_max"),
            "{text}"
        );
    }

    #[test]
    fn a_rate_that_is_no_number_is_refused() {
        for rate in [".nan", "-1", "0", "x"] {
            let text = parse(&format!(
                "defaults: {{ingest: {{samples_per_second: {rate}}}}}"
            ));
            assert!(text.is_err(), "{rate}: {text:?}");
        }
    }

    #[test]
    fn data_is_kept_for_a_period_or_for_ever_and_not_for_minutes() {
        let tenant = TenantName::parse("a").unwrap();
        let now_ms = 1_700_000_000_000;
        let day_ms = 86_400_000;

        let kept = |retention: &str| {
            let yaml = format!("tenants: {{a: {{retention: {retention}}}}}");
            let file = parse(&yaml)?;
            let kept = file.tenants[&tenant].retention.at(now_ms);
            Ok::<_, Faults>(kept.map(|kept| (kept.earliest_ms(), kept.latest_ms())))
        };

        for (retention, from_ms) in [
            ("{}", None),
            ("{period: null}", None),
            ("{period: 0}", None),
            (
                "{period: 1h}",
                Some((now_ms - 3_600_000, now_ms - 3_600_000)),
            ),
            (
                "{period: 100y}",
                Some((now_ms - 36_500 * day_ms, now_ms - 36_500 * day_ms)),
            ),
            (
                "{period: 9d, rules: [{selector: up, period: 2d}, {selector: '{a=~\"b|c\"}', period: 30d}]}",
                Some((now_ms - 30 * day_ms, now_ms - 2 * day_ms)),
            ),
            (
                "{rules: [{selector: up, period: 2d}]}",
                Some((i64::MIN, now_ms - 2 * day_ms)),
            ),
        ] {
            assert_eq!(kept(retention).unwrap(), from_ms, "{retention}");
        }

        for (retention, why) in [
            ("{period: 59m}", "must be at least 1h"),
            ("{period: -1h}", "duration"),
            ("{period: 9999999999y}", "duration"),
            ("{period: 30}", "30s, 5m or 1h30m"),
            ("{rules: [{selector: 'up{', period: 2d}]}", "not a selector"),
            ("{rules: [{selector: up}]}", "period"),
            ("{rules: [{selector: up, period: 1m}]}", "rules[0].period"),
        ] {
            let faults = kept(retention).unwrap_err().to_string();
            assert!(faults.contains(why), "{retention}: {faults}");
        }
    }
}
