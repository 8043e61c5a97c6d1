//! Where the bytes of a form go: a file that is complete or not there, or a pipe.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_runtime::disk::{DiskFile, is_full};
use ulid::Ulid;

use crate::error::Error;

/// So many bytes are written at once.
const PIECE: usize = 1 << 20;

/// Takes bytes. A file has a temporary name beside its own until [`Output::finish`]; one that is
/// dropped before is removed.
pub struct Output {
    target: Target,
    waiting: Vec<u8>,
    written: u64,
}

enum Target {
    File(Temporary),
    Pipe(Box<dyn Write + Send>),
}

/// A file under a temporary name.
struct Temporary {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    to: PathBuf,
    is_complete: bool,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("path", &self.name())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Begins the file `to`. If there is one of this name, it is replaced at the end.
    pub fn file(disk: &Arc<dyn Disk>, to: &Path, id: Ulid) -> Result<Self, Error> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".tmp-{id}"));
        let path = to.with_file_name(name);

        let file = disk.create_new(&path);
        let file = file.map_err(|source| failed(source, &path.to_string_lossy(), 0))?;

        Ok(Self::new(Target::File(Temporary {
            disk: Arc::clone(disk),
            file,
            path,
            to: to.to_owned(),
            is_complete: false,
        })))
    }

    /// Writes into a pipe, as the standard output.
    pub fn pipe(pipe: impl Write + Send + 'static) -> Self {
        Self::new(Target::Pipe(Box::new(pipe)))
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            waiting: Vec::with_capacity(PIECE),
            written: 0,
        }
    }

    fn name(&self) -> String {
        match &self.target {
            Target::File(file) => file.path.to_string_lossy().into_owned(),
            Target::Pipe(_) => "-".to_owned(),
        }
    }

    /// The bytes so far.
    pub fn bytes(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// The bytes that are not written yet; more may be added. [`Output::settle`] keeps them few.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Writes what waits, if it is much.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        if self.waiting.len() >= PIECE {
            self.push_out()?;
        }

        Ok(())
    }

    /// Writes what waits, and gives the file its name. Returns the number of bytes.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.push_out()?;
        let name = self.name();

        let done = match &mut self.target {
            Target::File(file) => file.complete(),
            Target::Pipe(pipe) => pipe.flush(),
        };

        done.map_err(|source| failed(source, &name, self.written))?;
        Ok(self.written)
    }

    fn push_out(&mut self) -> Result<(), Error> {
        let put = match &mut self.target {
            Target::File(file) => file.file.append(&self.waiting),
            Target::Pipe(pipe) => pipe.write_all(&self.waiting),
        };

        if let Err(source) = put {
            return Err(failed(source, &self.name(), self.written));
        }

        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// For libraries that write. A failure is in an [`io::Error`]; [`failed`] tells it again.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);

        match self.settle() {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Temporary {
    fn complete(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.disk.rename(&self.path, &self.to)?;
        self.is_complete = true;

        let parent = self.to.parent();
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
        self.disk.sync_dir(parent.unwrap_or_else(|| Path::new(".")))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_complete {
            let _ = self.disk.remove_file(&self.path);
        }
    }
}

fn failed(source: io::Error, path: &str, written: u64) -> Error {
    if source.kind() == io::ErrorKind::BrokenPipe {
        return Error::Closed;
    }

    let path = path.to_owned();
    if is_full(&source) {
        return Error::Full { path, written };
    }

    Error::Output { path, source }
}

/// Returns the failure of an [`Output`] that a library passed on.
pub(crate) fn cause(error: ::parquet::errors::ParquetError) -> Error {
    use ::parquet::errors::ParquetError;

    let ParquetError::External(source) = error else {
        return Error::Parquet(error);
    };

    let told = source.downcast::<io::Error>();
    let told = told.and_then(|error| {
        let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());

        match error.into_inner() {
            Some(inner) if is_ours => Ok(inner),
            Some(inner) => Err(inner),
            None => Err("the output failed".into()),
        }
    });

    match told.and_then(|inner| inner.downcast::<Error>()) {
        Ok(error) => *error,
        Err(other) => Error::Parquet(ParquetError::External(other)),
    }
}
