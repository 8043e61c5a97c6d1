//! The register of tenants: maps names to ids.

use std::collections::HashMap;

use duramen_model::{TenantId, TenantName, WriterId};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Author, Bucket, Chain, Created, Entry, Error, keys};

/// The names and ids of all tenants, cached from the chain under `tenants/`.
///
/// Slot n, counted from 1, adds one tenant. Its object also repeats the earlier tenants of its
/// group of [`GROUP`]. So only the last object of each group must be read: 10,000 tenants take 10
/// LISTs and 40 GETs at the start.
#[derive(Debug)]
pub struct Tenants {
    chain: Chain,
    bucket: Bucket,
    writer: WriterId,
    known: RwLock<Known>,
    /// Locked by the task that asks the bucket.
    asking: Mutex<()>,
}

/// The largest number of tenants in one object. 256 entries of 100 bytes are a GET of 26 kB.
pub const GROUP: u64 = 256;

/// The tenants of a store at some time.
#[derive(Debug)]
pub struct Register(Known);

#[derive(Debug, Default)]
struct Known {
    /// In the order of slots: the tenant of slot n has index n - 1.
    tenants: Vec<Tenant>,
    by_name: HashMap<TenantName, TenantId>,
}

/// One tenant, in its recorded form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub name: TenantName,
    pub id: TenantId,
}

/// The body of an object.
#[derive(Debug, Serialize, Deserialize)]
struct Group {
    format: u64,
    /// The tenants of all slots from the first of the group to that of the object.
    tenants: Vec<Tenant>,
}

const FORMAT: u64 = 1;

impl Tenants {
    /// Reads the register, for `writer` to add to. Requests: those of [`Tenants::read`].
    pub async fn open(bucket: Bucket, writer: WriterId) -> Result<Self, Error> {
        let register = Self::read(&bucket).await?;
        Ok(Self::over(register, bucket, writer))
    }

    /// Makes the register from what was read, for `writer` to add to. No request.
    pub fn over(register: Register, bucket: Bucket, writer: WriterId) -> Self {
        Self {
            chain: Chain::new(bucket.clone(), Path::from(keys::TENANTS)),
            bucket,
            writer,
            known: RwLock::new(register.0),
            asking: Mutex::new(()),
        }
    }

    /// Reads the register as it is now. One LIST for each 1,000 tenants and one GET for each 256.
    pub async fn read(bucket: &Bucket) -> Result<Register, Error> {
        let chain = Chain::new(bucket.clone(), Path::from(keys::TENANTS));
        let last = chain.last(None).await?.unwrap_or(0);
        let ends = (1..=last.div_ceil(GROUP)).map(|group| (group * GROUP).min(last));

        let mut groups = stream::iter(ends)
            .map(|slot| {
                let chain = chain.clone();

                async move {
                    let entry = chain.get(slot).await?;
                    let missing = || Error::Corrupt {
                        key: chain.key(slot).to_string(),
                        fault: "missing".to_owned(),
                    };

                    decode(&chain, &entry.ok_or_else(missing)?)
                }
            })
            .buffered(32);

        let mut known = Known::default();
        while let Some(group) = groups.try_next().await? {
            known.add(group);
        }

        drop(groups);
        Ok(Register(known))
    }

    /// Returns the tenant with that name, if this process knows it. No request.
    pub fn lookup(&self, name: &TenantName) -> Option<TenantId> {
        self.known.read().by_name.get(name).copied()
    }

    /// Returns how many tenants this process knows. No request.
    pub fn count(&self) -> usize {
        self.known.read().tenants.len()
    }

    /// Returns all tenants that this process knows, in the order in which they were added. No
    /// request.
    pub fn all(&self) -> Vec<Tenant> {
        self.known.read().tenants.clone()
    }

    /// Returns the tenant with that name, or adds one. The result is durable, and every process
    /// gets the same one. A known name takes no request. Otherwise one GET for each tenant that
    /// others have added meanwhile, one GET that finds no more, and one PUT.
    pub async fn resolve_or_create(&self, name: &TenantName) -> Result<TenantId, Error> {
        self.restore(name, TenantId(self.bucket.clock().new_ulid()))
            .await
    }

    /// Does the same as [`Tenants::resolve_or_create`], but a new name gets the id `id`. Use it if
    /// the register was restored to a time before it knew the tenant whose data has that id.
    pub async fn restore(&self, name: &TenantName, id: TenantId) -> Result<TenantId, Error> {
        if let Some(id) = self.lookup(name) {
            return Ok(id);
        }

        let _asking = self.asking.lock().await;
        self.catch_up().await?;

        loop {
            if let Some(id) = self.lookup(name) {
                return Ok(id);
            }

            let (slot, mut tenants) = self.known.read().next();
            tenants.push(Tenant {
                name: name.clone(),
                id,
            });

            let group = Group {
                format: FORMAT,
                tenants,
            };

            let body = serde_json::to_vec(&group).expect("plain values have JSON");
            let author = Author::new(self.writer, &**self.bucket.clock());
            let added = match self.chain.create(slot, author, &body).await? {
                Created::Ours => group.tenants,
                Created::Theirs(entry) => decode(&self.chain, &entry)?,
            };

            self.known.write().add(added);
        }
    }

    /// Reads the tenants that other processes have added. One GET for each, and one that finds no
    /// more.
    pub async fn refresh(&self) -> Result<(), Error> {
        let _asking = self.asking.lock().await;
        self.catch_up().await
    }

    async fn catch_up(&self) -> Result<(), Error> {
        loop {
            let slot = self.known.read().next().0;
            let Some(entry) = self.chain.get(slot).await? else {
                return Ok(());
            };
            let group = decode(&self.chain, &entry)?;

            self.known.write().add(group);
        }
    }
}

impl Known {
    /// Returns the next free slot, and the tenants before it in its group.
    fn next(&self) -> (u64, Vec<Tenant>) {
        let count = self.tenants.len();
        let in_group = count % usize::try_from(GROUP).unwrap_or(usize::MAX);

        (
            count as u64 + 1,
            self.tenants
                .iter()
                .skip(count - in_group)
                .cloned()
                .collect(),
        )
    }

    /// Adds the tenants of a group that are not known yet.
    fn add(&mut self, group: Vec<Tenant>) {
        let in_group = self.next().1.len();
        for tenant in group.into_iter().skip(in_group) {
            self.by_name.entry(tenant.name.clone()).or_insert(tenant.id);
            self.tenants.push(tenant);
        }
    }
}

fn decode(chain: &Chain, entry: &Entry) -> Result<Vec<Tenant>, Error> {
    let key = || chain.key(entry.slot).to_string();
    let group: Group = serde_json::from_slice(&entry.body).map_err(|e| Error::Corrupt {
        key: key(),
        fault: e.to_string(),
    })?;

    if group.format != FORMAT {
        return Err(Error::Format {
            key: key(),
            found: group.format,
            known: FORMAT,
        });
    }

    let expected = entry.slot.checked_sub(1).map(|before| before % GROUP + 1);
    if expected != Some(group.tenants.len() as u64) {
        return Err(Error::Corrupt {
            key: key(),
            fault: "wrong number of tenants for its slot".to_owned(),
        });
    }

    Ok(group.tenants)
}
