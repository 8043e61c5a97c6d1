//! The register of tenants: maps names to ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use duramen_model::{TenantId, TenantName, WriterId};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Author, Bucket, Chain, Created, Entry, Error, keys};

/// The names and ids of all tenants, cached from the chain under `tenants/`.
///
/// Slot n, counted from 1, adds a tenant, gives one another name, or deletes one. Its object also
/// repeats the earlier records of its group of [`GROUP`]. So only the last object of each group must
/// be read: 10,000 tenants take 10 LISTs and 40 GETs at the start.
#[derive(Debug)]
pub struct Tenants {
    chain: Chain,
    bucket: Bucket,
    writer: WriterId,
    known: RwLock<Known>,
    /// Locked by the task that asks the bucket.
    asking: Mutex<()>,
}

/// The largest number of records in one object. 256 of them of 100 bytes are a GET of 26 kB.
pub const GROUP: u64 = 256;

/// The tenants of a store at some time.
#[derive(Debug)]
pub struct Register(Known);

#[derive(Debug, Default)]
struct Known {
    /// In the order of slots: the record of slot n has index n - 1.
    records: Vec<Record>,
    /// The indexes of the records that do not add a tenant.
    changes: BTreeSet<usize>,
    /// In the order in which tenants were added.
    live: BTreeMap<usize, Tenant>,
    /// Where each live tenant is in `live`.
    places: HashMap<TenantId, usize>,
    by_name: HashMap<TenantName, TenantId>,
    deleted: BTreeMap<TenantId, DeletedTenant>,
}

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub name: TenantName,
    pub id: TenantId,
}

/// A tenant that was deleted. Its name may belong to another one by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTenant {
    pub id: TenantId,
    /// Its last name.
    pub name: TenantName,
    pub deleted_ms: i64,
}

/// What one slot says: that the tenant has this name from now on, or that it is deleted. The first
/// record of an id adds the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: TenantName,
    id: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_ms: Option<i64>,
}

/// The body of an object.
#[derive(Debug, Serialize, Deserialize)]
struct Group {
    format: u64,
    /// The records of all slots from the first of the group to that of the object.
    tenants: Vec<Record>,
}

/// The format of a group that only adds tenants. Earlier versions know this one alone.
const FORMAT_ADDS: u64 = 1;

/// The format of a group that also renames or deletes some.
const FORMAT: u64 = 2;

/// Why a tenant cannot have another name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenamed {
    #[error("there is no such tenant. tenant=`{0}`")]
    Unknown(TenantName),
    #[error("another tenant has this name. tenant=`{0}`")]
    Taken(TenantName),
}

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

    /// Returns the name of a tenant that is not deleted, if this process knows it. No request.
    pub fn name_of(&self, id: TenantId) -> Option<TenantName> {
        let known = self.known.read();
        let place = known.places.get(&id)?;
        known.live.get(place).map(|tenant| tenant.name.clone())
    }

    /// Whether this process knows that a tenant is deleted. No request.
    pub fn is_deleted(&self, id: TenantId) -> bool {
        self.known.read().deleted.contains_key(&id)
    }

    /// Returns how many tenants this process knows. No request.
    pub fn count(&self) -> usize {
        self.known.read().live.len()
    }

    /// Returns all tenants that this process knows, in the order in which they were added. No
    /// request.
    pub fn all(&self) -> Vec<Tenant> {
        self.known.read().live.values().cloned().collect()
    }

    /// Returns the tenants that this process knows to be deleted. No request.
    pub fn deleted(&self) -> Vec<DeletedTenant> {
        self.known.read().deleted.values().cloned().collect()
    }

    /// Returns the tenant with that name, or adds one. The result is durable, and every process
    /// gets the same one. A known name takes no request. Otherwise one GET for each record that
    /// others have added meanwhile, one GET that finds no more, and one PUT.
    pub async fn resolve_or_create(&self, name: &TenantName) -> Result<TenantId, Error> {
        self.restore(name, TenantId(self.bucket.clock().new_ulid()))
            .await
    }

    /// Does the same as [`Tenants::resolve_or_create`], but a new name gets the id `id`. Use it if
    /// the register was restored to a time before it knew the tenant whose data has that id. A
    /// tenant with this id and another name keeps that name, and a deleted one stays deleted.
    pub async fn restore(&self, name: &TenantName, id: TenantId) -> Result<TenantId, Error> {
        if let Some(id) = self.lookup(name) {
            return Ok(id);
        }

        let decide = |known: &Known| match known.by_name.get(name) {
            Some(id) => Decision::Done(*id),
            None if known.places.contains_key(&id) || known.deleted.contains_key(&id) => {
                Decision::Done(id)
            }
            None => Decision::Add(Record {
                name: name.clone(),
                id,
                deleted_ms: None,
            }),
        };

        let found = self.change(decide).await?;
        Ok(found.unwrap_or(id))
    }

    /// Gives a tenant another name. The old one is free then. Returns the tenant's id.
    ///
    /// Requests: one GET for each record that others have added meanwhile, one GET that finds no
    /// more, and one PUT.
    pub async fn rename(
        &self,
        from: &TenantName,
        to: &TenantName,
    ) -> Result<Result<TenantId, NotRenamed>, Error> {
        let decide = |known: &Known| {
            let Some(id) = known.by_name.get(from).copied() else {
                return Decision::Done(Err(NotRenamed::Unknown(from.clone())));
            };

            if known.by_name.contains_key(to) {
                return Decision::Done(Err(NotRenamed::Taken(to.clone())));
            }

            Decision::Add(Record {
                name: to.clone(),
                id,
                deleted_ms: None,
            })
        };

        let refused = self.change(decide).await?;
        let unknown = || NotRenamed::Unknown(to.clone());
        Ok(refused.unwrap_or_else(|| self.lookup(to).ok_or_else(unknown)))
    }

    /// Deletes a tenant. Its name is free then. Returns the tenant; `None` if there is none with
    /// that name.
    ///
    /// Requests: those of [`Tenants::rename`].
    pub async fn delete(&self, name: &TenantName) -> Result<Option<DeletedTenant>, Error> {
        let deleted_ms = self.bucket.clock().now_ms();
        let mut deleted = None;

        let decide = |known: &Known| {
            let Some(id) = known.by_name.get(name).copied() else {
                return Decision::Done(());
            };

            deleted = Some(DeletedTenant {
                id,
                name: name.clone(),
                deleted_ms,
            });
            Decision::Add(Record {
                name: name.clone(),
                id,
                deleted_ms: Some(deleted_ms),
            })
        };

        Ok(match self.change(decide).await? {
            Some(()) => None,
            None => deleted,
        })
    }

    /// Adds the record that `decide` returns once all earlier ones are known. Returns what it says
    /// in place of one; `None` if the record was added.
    async fn change<T>(
        &self,
        mut decide: impl FnMut(&Known) -> Decision<T>,
    ) -> Result<Option<T>, Error> {
        let _asking = self.asking.lock().await;
        self.catch_up().await?;

        loop {
            let (slot, group) = {
                let known = self.known.read();

                match decide(&known) {
                    Decision::Add(record) => known.group_with(record),
                    Decision::Done(found) => return Ok(Some(found)),
                }
            };

            let body = serde_json::to_vec(&group).expect("plain values have JSON");
            let author = Author::new(self.writer, &**self.bucket.clock());

            match self.chain.create(slot, author, &body).await? {
                Created::Ours => {
                    self.known.write().add(group.tenants);
                    return Ok(None);
                }
                Created::Theirs(entry) => {
                    let theirs = decode(&self.chain, &entry)?;
                    self.known.write().add(theirs);
                }
            }
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

/// What to do once all records are known.
enum Decision<T> {
    Add(Record),
    Done(T),
}

impl Known {
    /// Returns the next free slot, and the records before it in its group.
    fn next(&self) -> (u64, Vec<Record>) {
        let count = self.records.len();
        let in_group = count % usize::try_from(GROUP).unwrap_or(usize::MAX);
        let records = self.records.iter().skip(count - in_group);

        (count as u64 + 1, records.cloned().collect())
    }

    /// Returns the next free slot, and its object with this record.
    fn group_with(&self, record: Record) -> (u64, Group) {
        let (slot, mut records) = self.next();
        let first = self.records.len() - records.len();
        let has_changes = self.is_change(&record) || self.changes.range(first..).next().is_some();
        records.push(record);

        let group = Group {
            format: match has_changes {
                true => FORMAT,
                false => FORMAT_ADDS,
            },
            tenants: records,
        };
        (slot, group)
    }

    /// Whether a record does more than to add a tenant.
    fn is_change(&self, record: &Record) -> bool {
        record.deleted_ms.is_some() || self.places.contains_key(&record.id)
    }

    /// Adds the records of a group that are not known yet.
    fn add(&mut self, group: Vec<Record>) {
        let in_group = self.next().1.len();

        for record in group.into_iter().skip(in_group) {
            self.apply(&record);
            self.records.push(record);
        }
    }

    /// Two tenants never get one name: whoever adds a record knows all earlier ones. If it happens
    /// all the same, the name stays with the first one.
    fn apply(&mut self, record: &Record) {
        let Record {
            name,
            id,
            deleted_ms,
        } = record;

        if self.deleted.contains_key(id) {
            return;
        }

        if self.is_change(record) {
            self.changes.insert(self.records.len());
        }

        let place = self.places.get(id).copied().unwrap_or(self.records.len());
        if let Some(before) = self.live.remove(&place)
            && self.by_name.get(&before.name) == Some(id)
        {
            self.by_name.remove(&before.name);
        }

        if let Some(deleted_ms) = *deleted_ms {
            let deleted = DeletedTenant {
                id: *id,
                name: name.clone(),
                deleted_ms,
            };
            self.places.remove(id);
            self.deleted.insert(*id, deleted);
            return;
        }

        let tenant = Tenant {
            name: name.clone(),
            id: *id,
        };
        self.places.insert(*id, place);
        self.live.insert(place, tenant);
        self.by_name.entry(name.clone()).or_insert(*id);
    }
}

fn decode(chain: &Chain, entry: &Entry) -> Result<Vec<Record>, Error> {
    let key = || chain.key(entry.slot).to_string();
    let group: Group = serde_json::from_slice(&entry.body).map_err(|e| Error::Corrupt {
        key: key(),
        fault: e.to_string(),
    })?;

    if ![FORMAT_ADDS, FORMAT].contains(&group.format) {
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
            fault: "wrong number of records for its slot".to_owned(),
        });
    }

    Ok(group.tenants)
}
