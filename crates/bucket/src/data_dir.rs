//! The data directory of one process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_model::{Incarnation, WriterId};
use duramen_runtime::disk::{Lock, Locked};
use duramen_runtime::{Clock, Disk, RealDisk};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::directories::create_settled;
use crate::{Ballast, Deployment, Error};

/// Identifies the process that writes. `writer` stands for the data directory, `epoch` counts the
/// processes that had it, `incarnation` is this process.
///
/// Of two processes with the same writer, the one with the higher epoch is later. Copies of a
/// directory count the same epochs, but they never have the same incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriterIdentity {
    pub writer: WriterId,
    /// 1 for the first process.
    pub epoch: u64,
    /// Made at each start. Unknown in records that are older than incarnations.
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    pub incarnation: Incarnation,
}

/// The contents of `writer.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    writer: WriterId,
    /// The epoch of the last process.
    epoch: u64,
    /// The writer in the segments of the log, if the writer has got a new name since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<WriterId>,
    /// The last process that the bucket certainly knows, and the later ones that have tried to
    /// claim the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incarnations: Vec<Incarnation>,
    /// Whether another process has published under this name. Then the name is not used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_disowned: bool,
}

/// A data directory that belongs to this process alone.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    identity: WriterIdentity,
    remembered: Remembered,
    ballast: Arc<Ballast>,
    _lock: Option<DataDirLock>,
}

const LOCK_FILE: &str = "lock";
const WRITER_FILE: &str = "writer.json";
const DEPLOYMENT_FILE: &str = "deployment.json";

/// What a data directory knows about its past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past<'a> {
    pub(crate) writer: WriterId,
    /// The epoch of the next process with this directory.
    pub(crate) epoch: u64,
    /// The last process that had the directory, and those that have tried since.
    pub(crate) incarnations: &'a [Incarnation],
    /// Whether another process has published under the name of this directory.
    pub(crate) is_disowned: bool,
}

impl DataDir {
    /// Opens the directory for this process alone and begins a new epoch, durably. Creates the
    /// directory if it does not exist. The lock ends with this value or with the process.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has the directory. [`Error::Corrupt`] if the identity
    /// cannot be read: with a new identity, the writer would not recognize its own WAL.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        create_dir(&disk, path)?;

        let lock = DataDirLock::take(path)?;

        // If the disk is full, the ballast makes room for the epoch and for all else that a start
        // writes.
        let ballast = Arc::new(Ballast::open(Arc::clone(&disk), path));
        ballast.make_way();

        Ok(Self {
            _lock: Some(lock),
            ballast,
            ..Self::open_unlocked(disk, path, clock)?
        })
    }

    /// Does the same as [`DataDir::open`] without the lock, for simulated disks.
    pub fn open_unlocked(
        disk: Arc<dyn Disk>,
        path: &Path,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        create_dir(&disk, path)?;

        let file = path.join(WRITER_FILE);
        let (identity, remembered) = match read_json::<Remembered>(&*disk, &file)? {
            Some(last) => {
                let incarnation = Incarnation(clock.new_ulid());
                let epoch = last.epoch.saturating_add(1);

                (
                    WriterIdentity {
                        writer: last.writer,
                        epoch,
                        incarnation,
                    },
                    Remembered { epoch, ..last },
                )
            }
            None => {
                let identity = Self::new_writer(clock);
                let WriterIdentity { writer, epoch, .. } = identity;
                let incarnations = Vec::new();

                (
                    identity,
                    Remembered {
                        writer,
                        epoch,
                        log: None,
                        incarnations,
                        is_disowned: false,
                    },
                )
            }
        };

        write_json(&*disk, &file, &remembered)?;

        let ballast = Arc::new(Ballast::open(Arc::clone(&disk), path));
        Ok(Self {
            path: path.to_path_buf(),
            disk,
            identity,
            remembered,
            ballast,
            _lock: None,
        })
    }

    /// Makes the identity of the first process of a new writer.
    pub(crate) fn new_writer(clock: &dyn Clock) -> WriterIdentity {
        let incarnation = Incarnation(clock.new_ulid());
        WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 1,
            incarnation,
        }
    }

    /// The writer in the segments of the directory's log. It is the directory's first name.
    pub fn log(&self) -> WriterId {
        self.remembered.log.unwrap_or(self.remembered.writer)
    }

    pub(crate) fn past(&self) -> Past<'_> {
        Past {
            writer: self.remembered.writer,
            epoch: self.identity.epoch,
            incarnations: &self.remembered.incarnations,
            is_disowned: self.remembered.is_disowned,
        }
    }

    /// Records, durably, that the directory is for `identity`. This happens before the bucket is
    /// asked to accept that identity.
    pub(crate) fn attempt(&mut self, identity: WriterIdentity) -> Result<(), Error> {
        let WriterIdentity {
            writer,
            epoch,
            incarnation,
        } = identity;

        let log = self.log();
        let mut next = Remembered {
            writer,
            epoch,
            ..self.remembered.clone()
        };

        if writer != self.remembered.writer {
            next.incarnations.clear();
            next.is_disowned = false;
            next.log = Some(log);
        }

        next.incarnations.push(incarnation);
        self.remember(next)?;
        self.identity = identity;

        Ok(())
    }

    /// Records that the bucket knows the current process of this directory.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let incarnations = vec![self.identity.incarnation];
        self.remember(Remembered {
            incarnations,
            ..self.remembered.clone()
        })
    }

    /// Records, durably, that another process has published under the name of this directory. The
    /// next start takes a new name.
    pub fn disown(&mut self) -> Result<(), Error> {
        self.remember(Remembered {
            is_disowned: true,
            ..self.remembered.clone()
        })
    }

    fn remember(&mut self, remembered: Remembered) -> Result<(), Error> {
        write_json(&*self.disk, &self.path.join(WRITER_FILE), &remembered)?;
        self.remembered = remembered;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn identity(&self) -> WriterIdentity {
        self.identity
    }

    /// The space that is reserved for a full disk.
    pub fn ballast(&self) -> &Arc<Ballast> {
        &self.ballast
    }

    /// Binds the directory to `deployment`, durably. Fails if it is bound to another deployment.
    pub fn bind(&self, deployment: &Deployment) -> Result<(), Error> {
        let file = self.path.join(DEPLOYMENT_FILE);

        match read_json::<Bound>(&*self.disk, &file)? {
            Some(bound) if bound.deployment == deployment.id => Ok(()),
            Some(bound) => Err(Error::OtherDeployment {
                store: deployment.id.to_string(),
                data_directory: bound.deployment.to_string(),
            }),
            None => write_json(
                &*self.disk,
                &file,
                &Bound {
                    deployment: deployment.id,
                },
            ),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Bound {
    deployment: ulid::Ulid,
}

fn create_dir(disk: &Arc<dyn Disk>, path: &Path) -> Result<(), Error> {
    create_settled(disk, path).map_err(|source| disk_error("create the directory", path, source))
}

fn read_json<T: DeserializeOwned>(disk: &dyn Disk, path: &Path) -> Result<Option<T>, Error> {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(disk_error("read", path, source)),
    };

    let corrupt = |e: serde_json::Error| Error::Corrupt {
        key: path.display().to_string(),
        fault: e.to_string(),
    };

    serde_json::from_slice(&bytes).map(Some).map_err(corrupt)
}

/// Replaces a file atomically by `value` as JSON. Durable on return.
fn write_json<T: Serialize>(disk: &dyn Disk, path: &Path, value: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).expect("plain values have JSON");
    let staging = path.with_extension("staging");

    let write = || {
        match disk.remove_file(&staging) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }

        let mut file = disk.create_new(&staging)?;
        file.append(&bytes)?;
        file.sync_data()?;
        disk.rename(&staging, path)?;

        disk.sync_dir(path.parent().expect("a file of the directory has a parent"))
    };

    write().map_err(|source| disk_error("write", path, source))
}

fn disk_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Disk {
        operation,
        path: path.to_path_buf(),
        source,
    }
}

/// The exclusive right to a directory. It lasts until it is dropped or the process ends.
#[derive(Debug)]
pub struct DataDirLock {
    _lock: Lock,
}

impl DataDirLock {
    /// Takes the lock or fails at once. It also fails on a file system without locks, because a
    /// writer's name must not be used twice.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(LOCK_FILE);
        let locked = RealDisk
            .lock(&path)
            .map_err(|source| disk_error("lock", &path, source))?;

        match locked {
            Locked::Taken(lock) => Ok(Self { _lock: lock }),
            Locked::Held { by } => Err(Error::Locked {
                directory: directory.to_path_buf(),
                pid: by,
            }),
            Locked::Unsupported(source) => Err(disk_error("lock", &path, source)),
        }
    }
}
