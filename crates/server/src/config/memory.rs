//! The size of the account of memory, and the settings that are parts of it.

use duramen_runtime::{MemoryLimit, MemoryLimitSource};
use duramen_settings::size;

use super::Config;
use super::settings::{Origin, Settings};
use super::validate::ACCOUNT_BYTES_MIN;

/// Derived sizes are multiples of this.
const MEBIBYTE: usize = 1 << 20;

/// A setting whose bytes are a part of the account.
struct Part {
    key: &'static str,
    bytes: fn(&mut Config) -> &mut usize,
    /// The largest share of the account that a default takes.
    default_percent: usize,
    /// The largest share of the account that the key may be set to.
    set_percent: usize,
}

/// All parts. Heads may hold twice their size, so both shares of `head.bytes_max` are below a half.
const PARTS: [Part; 4] = [
    Part {
        key: "writes.in_flight_bytes_max",
        bytes: |config| &mut config.writes.in_flight_bytes_max,
        default_percent: 12,
        set_percent: 50,
    },
    Part {
        key: "head.bytes_max",
        bytes: |config| &mut config.head.bytes_max,
        default_percent: 15,
        set_percent: 40,
    },
    Part {
        key: "head.series_bytes_max",
        bytes: |config| &mut config.head.series_bytes_max,
        default_percent: 25,
        set_percent: 80,
    },
    Part {
        key: "cache.bytes_max",
        bytes: |config| &mut config.cache.bytes_max,
        default_percent: 25,
        set_percent: 60,
    },
];

/// Returns the account's share of the system's limit, in percent. The rest is for memory that is
/// not counted: code, stacks, and free memory of the allocator. A limit of the address space also
/// counts memory that is reserved and never used.
const fn account_percent(limit: &MemoryLimit) -> u64 {
    match limit.set_by {
        MemoryLimitSource::ProcessLimit(_) => 50,
        _ => 70,
    }
}

impl Settings {
    /// Sets the size of the account, which is a share of `limit` unless it is set, and limits its
    /// parts to their shares. Parts that were set and are made smaller are noted in `unfit`.
    pub(super) fn fit_into(&mut self, limit: &MemoryLimit) {
        let account = self.settle_account(limit);

        for part in PARTS {
            let set = self.origins.contains_key(part.key);
            let percent = if set {
                part.set_percent
            } else {
                part.default_percent
            };

            let share = whole_mebibytes(account / 100 * percent);

            let bytes = (part.bytes)(&mut self.config);
            if *bytes <= share {
                continue;
            }

            if set {
                self.unfit.push(format!(
                    "{}: {} is more than {percent} % of memory.bytes_max, which is {}: {} is used",
                    part.key,
                    size::print(*bytes),
                    size::print(account),
                    size::print(share),
                ));
            }

            *bytes = share;

            let why = format!("{percent} % of memory.bytes_max");
            self.origins
                .insert(part.key.to_owned(), Origin::Derived(why));
        }
    }

    fn settle_account(&mut self, limit: &MemoryLimit) -> usize {
        const KEY: &str = "memory.bytes_max";

        let allowed = usize::try_from(limit.bytes).unwrap_or(usize::MAX);

        if let Some(bytes) = self.config.memory.bytes_max {
            if bytes > allowed {
                let bytes = size::print(bytes);
                let allowed = size::print(allowed);
                self.unfit.push(format!(
                    "{KEY}: {bytes} is more than {allowed}, {}",
                    limit.set_by
                ));
            }

            return bytes;
        }

        let percent = account_percent(limit);
        let share = usize::try_from(limit.bytes / 100 * percent).unwrap_or(usize::MAX);
        let bytes = whole_mebibytes(share).max(ACCOUNT_BYTES_MIN);

        self.config.memory.bytes_max = Some(bytes);

        let why = format!("{percent} % of {}, {}", size::print(allowed), limit.set_by);
        self.origins.insert(KEY.to_owned(), Origin::Derived(why));
        bytes
    }
}

fn whole_mebibytes(bytes: usize) -> usize {
    (bytes / MEBIBYTE).max(1) * MEBIBYTE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const GIB: usize = 1 << 30;

    fn machine(bytes: usize) -> MemoryLimit {
        MemoryLimit {
            bytes: bytes as u64,
            set_by: MemoryLimitSource::Machine,
        }
    }

    fn fitted(config: Config, set: &[&str], limit: &MemoryLimit) -> Settings {
        let origins: BTreeMap<_, _> = set
            .iter()
            .map(|key| ((*key).to_owned(), Origin::File))
            .collect();

        let mut settings = Settings {
            config,
            origins,
            unfit: Vec::new(),
        };

        settings.fit_into(limit);
        settings
    }

    #[test]
    fn a_large_machine_has_the_defaults() {
        let settings = fitted(Config::default(), &[], &machine(64 * GIB));
        let config = settings.config;

        assert_eq!(
            config.memory.bytes_max,
            Some(whole_mebibytes(64 * GIB / 100 * 70))
        );

        let account = config.memory.clone();
        assert_eq!(
            config,
            Config {
                memory: account,
                ..Config::default()
            }
        );

        assert_eq!(settings.origins.len(), 1, "{:?}", settings.origins);
    }

    #[test]
    fn on_a_small_machine_the_defaults_fit_into_the_account_with_room_for_queries() {
        let settings = fitted(Config::default(), &[], &machine(GIB));
        let config = &settings.config;
        let account = config.memory.bytes_max.unwrap();

        assert!(account < GIB);

        let heads = 2 * config.head.bytes_max;
        let parts = config.cache.bytes_max + heads + config.writes.in_flight_bytes_max;

        assert!(parts <= account / 100 * 70, "parts of {parts} in {account}");
        assert!(
            config.writes.in_flight_bytes_max >= 64 << 20,
            "a body of 32 MiB fits"
        );

        assert!(settings.unfit.is_empty(), "{:?}", settings.unfit);

        let yaml = settings.yaml();
        assert!(
            yaml.contains("  # 70 % of 1GiB, the machine's memory"),
            "{yaml}"
        );

        assert!(yaml.contains("  # 25 % of memory.bytes_max"), "{yaml}");
    }

    #[test]
    fn what_is_set_and_does_not_fit_is_made_smaller_and_told() {
        let mut config = Config::default();
        config.memory.bytes_max = Some(GIB);
        config.cache.bytes_max = 2 * GIB;
        config.head.bytes_max = 64 << 20;

        let set = ["memory.bytes_max", "cache.bytes_max", "head.bytes_max"];

        let settings = fitted(config, &set, &machine(2 * GIB));
        assert_eq!(settings.config.head.bytes_max, 64 << 20);
        assert_eq!(
            settings.config.cache.bytes_max,
            whole_mebibytes(GIB / 100 * 60)
        );

        let [fault] = &settings.unfit[..] else {
            panic!("{:?}", settings.unfit)
        };
        assert!(
            fault.contains("cache.bytes_max: 2GiB is more than 60 %"),
            "{fault}"
        );
    }

    #[test]
    fn an_account_that_is_larger_than_the_machine_is_told() {
        let mut config = Config::default();
        config.memory.bytes_max = Some(16 * GIB);

        let settings = fitted(config, &["memory.bytes_max"], &machine(8 * GIB));
        assert_eq!(settings.config.memory.bytes_max, Some(16 * GIB));

        let [fault] = &settings.unfit[..] else {
            panic!("{:?}", settings.unfit)
        };
        assert!(
            fault.contains("16GiB is more than 8GiB, the machine's memory"),
            "{fault}"
        );
    }
}
