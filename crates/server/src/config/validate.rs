//! The rules that settings must follow.

use std::time::Duration;

use duramen_settings::Faults;
use tracing_subscriber::EnvFilter;

use super::Config;

/// The smallest account of memory: a body of the largest size fits, and something beside it.
pub(super) const ACCOUNT_BYTES_MIN: usize = 128 << 20;

/// The least bytes of a part. With less, a process mostly swaps its parts.
const PART_BYTES_MIN: usize = 1 << 20;

impl Config {
    /// Checks all rules and returns all faults. Their texts do not repeat values that may hold a
    /// secret.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Faults::default();
        if let Err(e) = self.store_url() {
            faults.check(false, "store", || e.to_string());
        }

        self.validate_s3(&mut faults);

        for (key, bytes) in [
            ("wal.segment_bytes_max", self.wal.segment_bytes_max),
            (
                "writes.in_flight_bytes_max",
                self.writes.in_flight_bytes_max,
            ),
            ("head.bytes_max", self.head.bytes_max),
            ("head.series_bytes_max", self.head.series_bytes_max),
            ("http.bodies_bytes_max", self.http.bodies_bytes_max),
        ] {
            faults.check(bytes >= PART_BYTES_MIN, key, || {
                "must be at least 1MiB".to_owned()
            });
        }

        let most = u32::try_from(self.writes.in_flight_bytes_max).is_ok();
        faults.check(most, "writes.in_flight_bytes_max", || {
            "must be below 4GiB".to_owned()
        });

        let account = self.memory.bytes_max.unwrap_or(ACCOUNT_BYTES_MIN);
        faults.check(account >= ACCOUNT_BYTES_MIN, "memory.bytes_max", || {
            "must be at least 128MiB".to_owned()
        });

        for (key, count) in [
            ("tenants_max", self.tenants_max),
            ("bucket.requests_max", self.bucket.requests_max),
        ] {
            faults.check(count >= 1, key, || "must be at least 1".to_owned());
        }

        for (key, duration) in [
            ("flush.interval", self.flush.interval),
            ("compact.interval", self.compact.interval),
            ("query.timeout", self.query.timeout),
            ("query.lookback_delta", self.query.lookback_delta),
            ("http.body_read_max", self.http.body_read_max),
            ("http.answer_stall_max", self.http.answer_stall_max),
            ("http.answer_write_max", self.http.answer_write_max),
        ] {
            faults.check(!duration.is_zero(), key, || "must be above 0".to_owned());
        }

        // A query may begin with a manifest that is a quarter of the grace old.
        let grace = self.compact.grace - self.compact.grace / 4;
        faults.check(grace > self.query.timeout, "compact.grace", || {
            "three quarters of it must be longer than query.timeout".to_owned()
        });

        let age = self.compact.clean_age;
        faults.check(
            age >= Duration::from_secs(3600),
            "compact.clean_age",
            || "must be at least 1h".to_owned(),
        );

        let some = self.http.connections_max.is_none_or(|count| count >= 1);
        faults.check(some, "http.connections_max", || {
            "must be at least 1".to_owned()
        });

        if let Err(e) = EnvFilter::try_new(&self.log_level) {
            faults.check(false, "log_level", || e.to_string());
        }

        faults.into_result()
    }

    fn validate_s3(&self, faults: &mut Faults) {
        let s3 = &self.s3;

        if let Some(endpoint) = &s3.endpoint {
            let clean = !endpoint.contains('@');
            faults.check(clean, "s3.endpoint", || {
                "credentials do not belong into the endpoint".to_owned()
            });

            let is_url =
                url::Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            faults.check(!clean || is_url, "s3.endpoint", || {
                "must be a URL with http: or https:".to_owned()
            });
        }

        let both = s3.access_key_id.is_some() == s3.secret_access_key.is_some();
        faults.check(both, "s3.secret_access_key", || {
            "access_key_id and secret_access_key go together".to_owned()
        });

        let has_key = s3.session_token.is_none() || s3.access_key_id.is_some();
        faults.check(has_key, "s3.session_token", || {
            "goes with access_key_id and secret_access_key".to_owned()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn all_faults_are_told_at_once_and_repeat_no_secret() {
        let mut config = Config {
            store: Some("s3://key:hunter2@b".to_owned()),
            ..Config::default()
        };

        config.s3.endpoint = Some("http://key:hunter2@host".to_owned());
        config.s3.access_key_id = Some("hunter2".into());
        config.flush.interval = Duration::ZERO;
        config.compact.interval = Duration::ZERO;
        config.compact.grace = config.query.timeout;
        config.compact.clean_age = Duration::from_secs(60);
        config.writes.in_flight_bytes_max = 5 << 30;
        config.memory.bytes_max = Some(1 << 20);
        config.log_level = "duramen=loud".to_owned();

        let text = config.validate().unwrap_err().to_string();
        assert!(!text.contains("s3.session_token"), "{text}");

        config.s3.access_key_id = None;
        config.s3.secret_access_key = Some("hunter2".into());
        config.s3.session_token = Some("hunter2".into());

        let text = config.validate().unwrap_err().to_string();

        for key in [
            "store",
            "s3.endpoint",
            "s3.secret_access_key",
            "s3.session_token",
            "flush.interval",
            "compact.interval",
            "compact.grace",
            "compact.clean_age",
            "writes.in_flight",
            "memory.bytes_max",
            "log_level",
        ] {
            assert!(text.contains(key), "{key}: {text}");
        }

        assert!(!text.contains("hunter2"), "{text}");
    }
}
