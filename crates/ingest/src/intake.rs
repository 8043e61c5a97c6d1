//! The intake: what a write passes before it meets a head.
//!
//! In comes the body of a request, or a request that was built. Out goes a [`GatedWrite`]: decoded,
//! within the limits of whole requests, each series with the word of its cluster's election, and
//! with the memory that it takes. The intake knows no head, no log and no manifest, so a process
//! without any can run it.
//!
//! In the order of a write: `permit.rs` (room for it), `body.rs` (decompressed), `write.rs`
//! (decoded), `tenant.rs` (whose it is), `ha.rs` (which of two equal senders is taken), `rate.rs`.

mod body;
mod duplicates;
mod ha;
mod limit;
mod rate;
mod tenant;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use duramen_bucket::{Bucket, Tenants, WriterIdentity};
use duramen_limits::{IngestLimits, LimitsHandle};
use duramen_model::{TenantId, TenantName};
use duramen_proto::{TypeAndUnitLabels, Version, WriteLimits, WriteRequest, snappy};
use duramen_qos::Account;
use duramen_runtime::Clock;
use parking_lot::RwLock;

pub use self::body::WriteBody;
pub use self::duplicates::Duplicates;
use self::ha::Electorate;
pub(crate) use self::ha::{Gate, Verdict};
pub use self::limit::RequestLimit;
pub use self::tenant::TenantIntake;
pub use self::write::{DecodedWrite, GatedWrite};
use crate::config::Config;
use crate::error::Error;
use crate::memory::HeadsMemory;
use crate::metrics::{ClusterLabel, LimitLabel, Metrics};
use crate::permit::{MemoryPermit, WriteMemory};

/// What an intake is made of.
#[derive(Clone, Debug)]
pub struct IntakeParts {
    pub clock: Arc<dyn Clock>,
    pub bucket: Bucket,
    pub register: Arc<Tenants>,
    /// Who votes in elections.
    pub writer: WriterIdentity,
    pub limits: LimitsHandle,
    pub metrics: Metrics,
    /// What bodies draw from.
    pub memory: Arc<Account>,
    /// A secret of this process, for hashes over bytes from outside.
    pub hash_seed: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Intake {
    parts: IntakeParts,
    tenants_max: usize,
    type_and_unit_labels: TypeAndUnitLabels,
    pub(crate) memory: WriteMemory,
    tenants: RwLock<HashMap<TenantId, Arc<TenantIntake>>>,
}

impl Intake {
    /// The intake of a process without heads.
    pub fn new(parts: IntakeParts, config: &Config) -> Self {
        let no_heads = HeadsMemory::new(Arc::clone(&parts.memory), config.series_bytes_max);
        Self::before_heads(parts, no_heads, config)
    }

    /// The intake of a process whose heads take what it lets through.
    pub(crate) fn before_heads(
        parts: IntakeParts,
        heads: Arc<HeadsMemory>,
        config: &Config,
    ) -> Self {
        let memory = WriteMemory::new(
            Arc::clone(&parts.clock),
            Arc::clone(&parts.memory),
            heads,
            config,
        );

        Self {
            parts,
            tenants_max: config.tenants_max,
            type_and_unit_labels: config.type_and_unit_labels,
            memory,
            tenants: RwLock::default(),
        }
    }

    /// Whether there is room for a write at all, for a caller that would have to read its body
    /// first.
    pub fn check_room(&self) -> Result<(), Error> {
        self.memory.check_room()
    }

    /// Waits until a request of `bytes` may be decoded or built.
    pub async fn permit(&self, bytes: usize) -> Result<MemoryPermit, Error> {
        self.memory.permit_for_body(bytes).await
    }

    /// Decompresses a body, once there is room for what it becomes.
    pub async fn decompress(
        &self,
        tenant: &TenantName,
        limits: &IngestLimits,
        body: &[u8],
    ) -> Result<WriteBody, Error> {
        let bytes_max = limits.decoded_body_bytes_max;
        let declared = snappy::declared_bytes(body, bytes_max).inspect_err(|error| {
            if let duramen_proto::Error::DecodedTooLarge { .. } = error {
                self.note_limited(tenant, RequestLimit::DecodedBodyBytes);
            }
        })?;

        let permit = self.permit(declared).await?;
        let bytes = snappy::decompress(body, bytes_max)?;

        Ok(WriteBody { bytes, permit })
    }

    /// Decodes a body that has been decompressed.
    pub fn decode<'a>(
        &self,
        permit: MemoryPermit,
        version: Version,
        body: &'a [u8],
    ) -> Result<DecodedWrite<'a>, Error> {
        let memory = WriteLimits::of_body(body.len());
        let request = match version {
            Version::One => WriteRequest::decode_v1(body, &memory)?,
            Version::Two => WriteRequest::decode_v2(body, &memory, self.type_and_unit_labels)?,
        };

        Ok(DecodedWrite { request, permit })
    }

    /// The tenant of that name, made when it is new. Requests: one PUT when it is new at all.
    pub async fn tenant(&self, name: &TenantName) -> Result<Arc<TenantIntake>, Error> {
        let id = self.resolve(name).await?;
        Ok(self.of(id, name))
    }

    /// The id of a tenant, as [`Intake::tenant`].
    pub(crate) async fn resolve(&self, name: &TenantName) -> Result<TenantId, Error> {
        let register = &self.parts.register;
        if let Some(id) = register.lookup(name) {
            return Ok(id);
        }

        let max = self.tenants_max;
        if register.count() >= max {
            return Err(Error::TooManyTenants { max });
        }

        Ok(register.resolve_or_create(name).await?)
    }

    /// What the intake holds of a tenant that the register knows.
    pub(crate) fn of(&self, id: TenantId, name: &TenantName) -> Arc<TenantIntake> {
        let known = self.tenants.read().get(&id).map(Arc::clone);
        known.unwrap_or_else(|| {
            let mut tenants = self.tenants.write();
            Arc::clone(
                tenants
                    .entry(id)
                    .or_insert_with(|| Arc::new(TenantIntake::new(id, name.clone()))),
            )
        })
    }

    /// Decides which series of a request are taken, and holds it against the tenant's rate.
    ///
    /// Requests: those of an election, see `ha.rs`; none while the elected replicas send.
    pub async fn gate<'a>(
        &self,
        write: DecodedWrite<'a>,
        tenant: &TenantIntake,
    ) -> Result<GatedWrite<'a>, Error> {
        let DecodedWrite { request, permit } = write;
        let parts = &self.parts;
        let limits = parts.limits.of(&tenant.name);

        let electorate = Electorate {
            tenant: tenant.id,
            bucket: &parts.bucket,
            writer: parts.writer,
        };

        let gate = tenant
            .pairs
            .gate(&request, &limits.ha, parts.hash_seed, electorate)
            .await;

        let gate = gate.map_err(|error| match error.is_damage() {
            true => Error::Quarantined {
                tenant: tenant.name.clone(),
                cause: Arc::from(error.cause()),
            },
            false => error,
        })?;

        let duplicates = self.note_duplicates(&tenant.name, &gate, &request);
        let sent = request.ts_ms.len() + request.histograms.len() + request.exemplars.len();
        let samples = sent.saturating_sub(duplicates.all()) as u64;

        tenant
            .rate
            .take(parts.clock.monotonic(), samples, &limits.ingest)
            .inspect_err(|error| {
                if let Some(limit) = rate::limit_of(error) {
                    self.count_limited(&tenant.name, limit);
                }
            })?;

        Ok(GatedWrite {
            request,
            gate,
            duplicates,
            limits,
            permit,
        })
    }

    /// The secret for hashes over bytes from outside.
    pub(crate) const fn hash_seed(&self) -> u64 {
        self.parts.hash_seed
    }

    /// Counts a request that the caller refuses for a limit, if the tenant exists: a header alone
    /// makes no metric.
    pub fn note_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        if self.parts.register.lookup(tenant).is_some() {
            self.count_limited(tenant, limit);
        }
    }

    fn count_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        let label = LimitLabel {
            tenant: tenant.as_str().to_owned(),
            limit: limit.as_str(),
        };

        self.parts.metrics.limited.get_or_create(&label).inc();
    }

    /// Counts what the replicas bring that are not elected.
    fn note_duplicates(
        &self,
        tenant: &TenantName,
        gate: &Gate,
        request: &WriteRequest<'_>,
    ) -> Duplicates {
        let mut all = Duplicates::default();

        for (cluster, duplicates) in gate.duplicates(&request.series) {
            let label = ClusterLabel {
                tenant: tenant.as_str().to_owned(),
                cluster: cluster.to_owned(),
            };

            self.parts
                .metrics
                .duplicates
                .get_or_create(&label)
                .inc_by(duplicates.all() as u64);

            all.add(duplicates);
        }

        all
    }
}
