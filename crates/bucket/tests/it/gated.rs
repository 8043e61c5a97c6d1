//! A read in the middle of a write.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use duramen_bucket::LocalStore;
use duramen_runtime::disk::{DirEntry, FileStat, Locked, Space};
use duramen_runtime::{Disk, DiskFile};
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::stores::clock;

/// Blocks the next sync of one directory until the test opens it.
#[derive(Debug)]
struct GatedDisk {
    disk: SimDisk,
    directory: PathBuf,
    gate: Mutex<Option<Gate>>,
}

#[derive(Debug)]
struct Gate {
    arrived: UnboundedSender<()>,
    open: Receiver<()>,
}

impl GatedDisk {
    fn close(&self) -> (UnboundedReceiver<()>, Sender<()>) {
        let (arrived, arrival) = unbounded_channel();
        let (opener, open) = channel();

        *self.gate.lock().unwrap() = Some(Gate { arrived, open });
        (arrival, opener)
    }
}

impl Disk for GatedDisk {
    fn create_new(&self, path: &FilePath) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create_new(path)
    }

    fn open_append(&self, path: &FilePath) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open_append(path)
    }

    fn read(&self, path: &FilePath) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn read_at(&self, path: &FilePath, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk.read_at(path, offset, length)
    }

    fn stat(&self, path: &FilePath) -> io::Result<FileStat> {
        self.disk.stat(path)
    }

    fn hard_link(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.disk.hard_link(from, to)
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &FilePath) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn create_dir(&self, path: &FilePath) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn read_dir(&self, path: &FilePath) -> io::Result<Vec<DirEntry>> {
        self.disk.read_dir(path)
    }

    fn sync_dir(&self, path: &FilePath) -> io::Result<()> {
        let gate = if path == self.directory {
            self.gate.lock().unwrap().take()
        } else {
            None
        };

        if let Some(gate) = gate {
            gate.arrived.send(()).unwrap();
            gate.open.recv().unwrap();
        }

        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &FilePath) -> io::Result<Locked> {
        self.disk.lock(path)
    }

    fn space(&self, path: &FilePath) -> io::Result<Space> {
        self.disk.space(path)
    }
}

#[tokio::test]
async fn what_is_read_while_it_is_written_is_durable_too() {
    for how in 0..3 {
        let disk = SimDisk::new();
        let directory = PathBuf::from("/store/t");

        let gated = Arc::new(GatedDisk {
            disk: disk.clone(),
            directory,
            gate: Mutex::new(None),
        });

        let store = LocalStore::open(
            Arc::<GatedDisk>::clone(&gated),
            FilePath::new("/store"),
            &*clock(),
        )
        .unwrap();
        store.put(&Path::from("t/a"), "x".into()).await.unwrap();

        let (mut arrival, opener) = gated.close();
        let key = Path::from("t/b");
        let write = async { store.put(&key, "seen".into()).await.unwrap() };

        let read = async {
            arrival.recv().await.unwrap();

            match how {
                0 => drop(store.get(&key).await.unwrap()),
                1 => assert_eq!(
                    store
                        .list(None)
                        .try_collect::<Vec<_>>()
                        .await
                        .unwrap()
                        .len(),
                    2
                ),
                _ => assert!(
                    store
                        .put_opts(&key, "x".into(), PutMode::Create.into())
                        .await
                        .is_err()
                ),
            }

            let crashed: Vec<_> = (0..20).map(|seed| disk.crash(seed)).collect();
            opener.send(()).unwrap();
            crashed
        };

        let (_, crashed) = tokio::join!(write, read);

        for disk in crashed {
            let after =
                LocalStore::open(Arc::new(disk), FilePath::new("/store"), &*clock()).unwrap();
            assert_eq!(
                after.get(&key).await.unwrap().bytes().await.unwrap(),
                "seen",
                "read {how}"
            );
        }
    }
}
