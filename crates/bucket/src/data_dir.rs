//! The local directory of one process.

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

/// Who writes: the directory, how often a process has opened it, and the process itself. Of two
/// processes with one writer the one of the higher epoch came later; copies of a directory count
/// the same epochs, and never have the same incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriterIdentity {
    pub writer: WriterId,
    /// 1 for the first process.
    pub epoch: u64,
    /// Made by each start. Unknown in records of before there were any.
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    pub incarnation: Incarnation,
}

/// The content of `writer.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    writer: WriterId,
    /// Of the last process.
    epoch: u64,
    /// The name in the segments of the log, when the writer has got a new one since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<WriterId>,
    /// The last process that the bucket is known to know, and those that have offered themselves to
    /// it since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incarnations: Vec<Incarnation>,
    /// Another process has published under this name: it is not used again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_disowned: bool,
}

/// A data directory that belongs to this process.
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

/// What a data directory knows of its past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past<'a> {
    pub(crate) writer: WriterId,
    /// The epoch that the directory would give its next process.
    pub(crate) epoch: u64,
    /// The last process that had the directory, and those that tried to since.
    pub(crate) incarnations: &'a [Incarnation],
    /// Another process has published under the directory's name.
    pub(crate) is_disowned: bool,
}

impl DataDir {
    /// Opens the directory, made if it is missing, for this process alone, and begins a new epoch,
    /// durably. The lock ends with the value or with the process.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it; [`Error::Corrupt`] when the identity cannot
    /// be read: a new one would not know the writer's own WAL.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        create_dir(&disk, path)?;

        let lock = DataDirLock::take(path)?;

        // On a full disk an epoch and all else that a start writes need some space.
        let ballast = Arc::new(Ballast::open(Arc::clone(&disk), path));
        ballast.make_way();

        Ok(Self {
            _lock: Some(lock),
            ballast,
            ..Self::open_unlocked(disk, path, clock)?
        })
    }

    /// As [`DataDir::open`] on a disk that is no file system, and so without the lock: for
    /// simulations.
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

    /// The first process of a writer that nobody has heard of.
    pub(crate) fn new_writer(clock: &dyn Clock) -> WriterIdentity {
        let incarnation = Incarnation(clock.new_ulid());
        WriterIdentity {
            writer: WriterId(clock.new_ulid()),
            epoch: 1,
            incarnation,
        }
    }

    /// The writer in the segments of the directory's log: the directory's first name.
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

    /// Becomes the directory of `identity`, durably, before that is offered to the bucket.
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

    /// The bucket knows the process that has the directory now.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let incarnations = vec![self.identity.incarnation];
        self.remember(Remembered {
            incarnations,
            ..self.remembered.clone()
        })
    }

    /// Notes, durably, that another process has published under the directory's name: the next
    /// start takes a new one.
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

    /// The space that is kept for when the disk is full.
    pub fn ballast(&self) -> &Arc<Ballast> {
        &self.ballast
    }

    /// Remembers, durably, that the directory belongs to `deployment`, or refuses it if the
    /// directory belongs to another.
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

/// Replaces a file with `value`, all or nothing; durable on return.
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

/// The right to a directory, held against all other processes until it is dropped or the process
/// ends.
#[derive(Debug)]
pub struct DataDirLock {
    _lock: Lock,
}

impl DataDirLock {
    /// Takes the lock or fails at once, also on a file system that has no locks: a writer's name
    /// must not be used twice.
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
