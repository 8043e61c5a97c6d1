//! The intake: the steps of a write before it reaches a head.
//!
//! The input is the body of a request, or a request that was built. The output is a [`GatedWrite`]:
//! it is decoded, it fits the limits of whole requests, each of its series has a verdict from its
//! cluster's election, and it has a permit for its memory. The intake uses no head, no log and no
//! manifest, so a process without them can run it.
//!
//! In the order of a write: `permit.rs` (memory for it), `body.rs` (decompressed, into one of
//! `buffers.rs`), `write.rs` (decoded), `tenant.rs` (the state of its tenant), `ha.rs` (which of several equal senders is
//! taken), `rate.rs` (how many samples a tenant may send).

mod body;
mod buffers;
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

use self::body::Message;
pub use self::body::WriteBody;
use self::buffers::Buffers;
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

/// The parts from which an intake is made.
#[derive(Clone, Debug)]
pub struct IntakeParts {
    pub clock: Arc<dyn Clock>,
    pub bucket: Bucket,
    pub register: Arc<Tenants>,
    /// The author of elections.
    pub writer: WriterIdentity,
    pub limits: LimitsHandle,
    pub metrics: Metrics,
    /// The account for the memory of bodies.
    pub memory: Arc<Account>,
    /// A secret of this process for hashes of bytes from outside.
    pub hash_seed: u64,
}

/// The intake of one process.
#[derive(Debug)]
pub struct Intake {
    parts: IntakeParts,
    tenants_max: usize,
    type_and_unit_labels: TypeAndUnitLabels,
    pub(crate) memory: WriteMemory,
    buffers: Arc<Buffers>,
    tenants: RwLock<HashMap<TenantId, Arc<TenantIntake>>>,
}

impl Intake {
    /// Creates the intake of a process without heads.
    pub fn new(parts: IntakeParts, config: &Config) -> Self {
        let no_heads = HeadsMemory::new(Arc::clone(&parts.memory), config.series_bytes_max);
        Self::before_heads(parts, no_heads, config)
    }

    /// Creates the intake of a process with heads.
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
            buffers: Buffers::new(&parts.memory),
            parts,
            tenants_max: config.tenants_max,
            type_and_unit_labels: config.type_and_unit_labels,
            memory,
            tenants: RwLock::default(),
        }
    }

    /// Checks whether there is memory for a write at all, for a caller that has not read the body
    /// yet.
    pub fn check_room(&self) -> Result<(), Error> {
        self.memory.check_room()
    }

    /// Waits until a request of `bytes` may be decoded or built.
    pub async fn permit(&self, bytes: usize) -> Result<MemoryPermit, Error> {
        self.memory.permit_for_body(bytes).await
    }

    /// Decompresses a body once there is memory for the result.
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
        let mut buffer = self.buffers.take();
        let len = snappy::decompress_into(body, bytes_max, buffer.bytes_mut())?;

        let message = Message { buffer, len };
        Ok(WriteBody { message, permit })
    }

    /// Decodes a decompressed body.
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

    /// Returns the tenant with this name. Creates it if it does not exist; this takes one PUT.
    pub async fn tenant(&self, name: &TenantName) -> Result<Arc<TenantIntake>, Error> {
        let id = self.resolve(name).await?;
        Ok(self.of(id, name))
    }

    /// Returns the id of a tenant, and creates it like [`Intake::tenant`].
    pub(crate) async fn resolve(&self, name: &TenantName) -> Result<TenantId, Error> {
        let register = &self.parts.register;
        if let Some(id) = register.lookup(name) {
            return Ok(id);
        }

        self.check_tenants()?;
        Ok(register.resolve_or_create(name).await?)
    }

    /// Refuses one more tenant if there are as many as there may be.
    pub(crate) fn check_tenants(&self) -> Result<(), Error> {
        let max = self.tenants_max;

        match self.parts.register.count() >= max {
            true => Err(Error::TooManyTenants { max }),
            false => Ok(()),
        }
    }

    /// Returns the intake's state for a tenant that the register knows.
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

    /// Gives a tenant another name in this process.
    pub(crate) fn rename(&self, id: TenantId, name: &TenantName) {
        if let Some(tenant) = self.tenants.read().get(&id) {
            tenant.rename(name);
        }
    }

    /// Forgets a tenant that was deleted.
    pub(crate) fn forget(&self, id: TenantId) {
        self.tenants.write().remove(&id);
    }

    /// Decides which series of a request are taken, and checks the request against the tenant's
    /// rate.
    ///
    /// Requests: those of an election, see `ha.rs`; none while the elected replicas send.
    pub async fn gate<'a>(
        &self,
        write: DecodedWrite<'a>,
        tenant: &TenantIntake,
    ) -> Result<GatedWrite<'a>, Error> {
        let DecodedWrite { request, permit } = write;
        let parts = &self.parts;
        let name = tenant.name();
        let limits = parts.limits.of(&name);

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
                tenant: name.clone(),
                cause: Arc::from(error.cause()),
            },
            false => error,
        })?;

        let duplicates = self.note_duplicates(&name, &gate, &request);
        let sent = request.ts_ms.len() + request.histograms.len() + request.exemplars.len();
        let samples = sent.saturating_sub(duplicates.all()) as u64;

        tenant
            .rate
            .take(parts.clock.monotonic(), samples, &limits.ingest)
            .inspect_err(|error| {
                if let Some(limit) = rate::limit_of(error) {
                    self.count_limited(&name, limit);
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

    /// Returns the secret for hashes of bytes from outside.
    pub(crate) const fn hash_seed(&self) -> u64 {
        self.parts.hash_seed
    }

    /// Counts a request that the caller refuses because of a limit, if the tenant exists: a header
    /// alone must not create a metric.
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

    /// Counts the samples and exemplars of replicas that are not elected.
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
