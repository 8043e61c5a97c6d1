//! The intake alone: no ingester, no log, no disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_ingest::{
    Config, DecodedWrite, Duplicates, Error, GatedWrite, Intake, IntakeParts, Metrics,
};
use duramen_limits::{HaLimits, IngestLimits, Limits, LimitsHandle};
use duramen_model::{Incarnation, Life, WriterId};
use duramen_proto::{Version, WriteLimits, WriteRequestBuilder, WriteRequestEncoder, snappy};
use duramen_qos::{Account, Use};
use duramen_runtime::{Clock, MockClock};
use ulid::Ulid;

use crate::body::one;
use crate::system::{NOW_MS, tenant};

struct World {
    clock: Arc<MockClock>,
    memory: Arc<Account>,
    intake: Intake,
}

impl World {
    async fn new(limits: Limits, config: Config) -> Self {
        let clock = MockClock::at(NOW_MS);
        let bucket = Bucket::memory(Arc::clone(&clock) as Arc<dyn Clock>);
        let memory = Account::new(1 << 20);

        let writer = WriterIdentity {
            writer: WriterId(Ulid(7)),
            epoch: 1,
            incarnation: Incarnation(Ulid(1)),
        };

        let register = Tenants::open(bucket.clone(), writer.writer).await.unwrap();

        let parts = IntakeParts {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            bucket,
            register: Arc::new(register),
            writer,
            limits: LimitsHandle::new(limits, HashMap::new()),
            metrics: Metrics::default(),
            memory: Arc::clone(&memory),
            hash_seed: 5,
        };

        Self {
            clock,
            memory,
            intake: Intake::new(parts, &config),
        }
    }

    async fn decoded<'a>(&self, body: &'a [u8]) -> DecodedWrite<'a> {
        let permit = self.intake.permit(body.len()).await.unwrap();
        self.intake.decode(permit, Version::One, body).unwrap()
    }

    async fn gated<'a>(&self, body: &'a [u8]) -> Result<GatedWrite<'a>, Error> {
        let write = self.decoded(body).await;
        let tenant = self.intake.tenant(&tenant()).await.unwrap();
        self.intake.gate(write, &tenant).await
    }
}

#[tokio::test]
async fn a_body_is_decoded_and_its_memory_goes_with_it() {
    let world = World::new(Limits::default(), Config::default()).await;
    let body = one("a", NOW_MS, 1.0);
    let write = world.gated(&body).await.unwrap();

    assert_eq!(write.request().values, [1.0]);
    assert_eq!(write.duplicates(), Duplicates::default());
    assert!(world.memory.used_by(Use::Body) >= body.len());

    drop(write);
    assert_eq!(world.memory.used_by(Use::Body), 0);
}

#[tokio::test]
async fn a_compressed_body_is_held_against_its_limit_before_there_is_memory_for_it() {
    let world = World::new(Limits::default(), Config::default()).await;
    let body = one("a", NOW_MS, 1.0);
    let compressed = snappy::compress(&body);

    let mut limits = IngestLimits::default();
    let decompressed = world
        .intake
        .decompress(&tenant(), &limits, &compressed)
        .await
        .unwrap();

    assert!(world.memory.used_by(Use::Body) >= body.len());
    drop(decompressed);

    limits.decoded_body_bytes_max = body.len() - 1;
    let refused = world
        .intake
        .decompress(&tenant(), &limits, &compressed)
        .await;

    assert!(matches!(
        refused,
        Err(Error::Decode(duramen_proto::Error::DecodedTooLarge { .. }))
    ));

    assert_eq!(world.memory.used_by(Use::Body), 0);
}

#[tokio::test]
async fn a_tenant_over_its_rate_is_refused_until_time_has_passed() {
    let limits = Limits {
        ingest: IngestLimits {
            samples_per_second: Some(1.0),
            samples_burst: 1,
            ..IngestLimits::default()
        },
        ..Limits::default()
    };

    let world = World::new(limits, Config::default()).await;
    let body = one("a", NOW_MS, 1.0);
    world.gated(&body).await.unwrap();

    let refused = world.gated(&body).await;
    assert!(matches!(refused, Err(Error::RateLimited { .. })));
    assert_eq!(world.memory.used_by(Use::Body), 0);

    world.clock.advance(Duration::from_secs(1));
    world.gated(&body).await.unwrap();
}

#[tokio::test]
async fn samples_of_a_replica_that_is_not_elected_are_duplicates() {
    let limits = Limits {
        ha: HaLimits {
            enabled: true,
            ..HaLimits::default()
        },
        ..Limits::default()
    };

    let world = World::new(limits, Config::default()).await;
    let of_replica = |replica| {
        let mut encoder = WriteRequestEncoder::default();
        let labels = [
            ("__name__", "a"),
            ("cluster", "c"),
            ("__replica__", replica),
        ];

        encoder.push(labels, [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]);
        encoder.finish()
    };

    let a = of_replica("a");
    let b = of_replica("b");
    let elected = world.gated(&a).await.unwrap();
    assert_eq!(elected.duplicates(), Duplicates::default());

    let other = world.gated(&b).await.unwrap();
    let expected = Duplicates {
        samples: 2,
        ..Duplicates::default()
    };

    assert_eq!(other.duplicates(), expected);
}

#[tokio::test]
async fn one_tenant_too_many_is_refused() {
    let config = Config {
        tenants_max: 0,
        ..Config::default()
    };

    let world = World::new(Limits::default(), config).await;
    let refused = world.intake.tenant(&tenant()).await;
    assert!(matches!(refused, Err(Error::TooManyTenants { max: 0 })));
}

#[tokio::test]
async fn a_request_that_was_built_passes_as_one_that_was_decoded() {
    let world = World::new(Limits::default(), Config::default()).await;
    let mut builder = WriteRequestBuilder::new(&WriteLimits::of_body(100));
    builder
        .series([("__name__", "a")])
        .unwrap()
        .float(NOW_MS, 1.0, Life::NONE)
        .unwrap();

    let permit = world.intake.permit(100).await.unwrap();
    let write = DecodedWrite::built(permit, builder.finish());
    let tenant = world.intake.tenant(&tenant()).await.unwrap();
    let write = world.intake.gate(write, &tenant).await.unwrap();

    assert_eq!(write.request().series.len(), 1);
}
