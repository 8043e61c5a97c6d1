//! Outputs that fail, and outputs that are not complete.

use std::io::{self, Write};

use duramen_model::{METRIC_NAME, Sample};
use duramen_source::MemorySource;
use duramen_testkit::SimDisk;
use duramen_transfer::csv::CsvForm;
use duramen_transfer::{Error, LabelsAs, Output};
use std::path::Path;
use std::sync::Arc;
use ulid::Ulid;

use crate::world::{NOW_MS, disk, export, labels};

/// Samples of more than some MiB of text.
fn large() -> MemorySource {
    let mut source = MemorySource::default();

    for n in 0..40 {
        let name = format!("m{n}");
        let samples = (0..3000).map(|step| Sample::new(NOW_MS + step, 0.1));
        source.push(
            labels(&[(METRIC_NAME, &name), ("l", "long".repeat(10).as_str())]),
            samples,
        );
    }

    source
}

#[test]
fn a_closed_pipe_is_told_apart() {
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let form = Box::new(CsvForm::new(Output::pipe(Closed), LabelsAs::Columns));
    assert!(matches!(export(large(), form), Err(Error::Closed)));
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_no_file() {
    let disk = SimDisk::new();
    let shared: Arc<dyn duramen_runtime::Disk> = Arc::new(disk.clone());
    shared.create_dir(Path::new("/out")).unwrap();

    let path = Path::new("/out/all.csv");
    let output = Output::file(&shared, path, Ulid::nil()).unwrap();
    disk.set_space(Some(0));

    let form = Box::new(CsvForm::new(output, LabelsAs::Columns));
    let error = export(large(), form).unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
    assert_eq!(shared.read_dir(Path::new("/out")).unwrap(), []);
}

#[test]
fn a_file_has_its_name_only_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.csv");
    std::fs::write(&path, "before").unwrap();

    let output = Output::file(&disk(), &path, Ulid::nil()).unwrap();
    let form = CsvForm::new(output, LabelsAs::Columns);
    assert_eq!(std::fs::read(&path).unwrap(), b"before");

    drop(form);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"before");

    let output = Output::file(&disk(), &path, Ulid::nil()).unwrap();
    export(large(), Box::new(CsvForm::new(output, LabelsAs::Columns))).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(
        std::fs::read(&path)
            .unwrap()
            .starts_with(b"__name__,l,time,value,histogram\n")
    );
}

#[test]
fn too_many_labels_for_columns_are_refused_by_name() {
    let mut source = MemorySource::default();

    for n in 0..1001 {
        let name = format!("l{n}");
        let labels = labels(&[(METRIC_NAME, "m"), (&name, "x")]);
        source.push(labels, [Sample::new(NOW_MS, 1.0)]);
    }

    let form = CsvForm::new(Output::pipe(Vec::new()), LabelsAs::Columns);
    let error = export(source, Box::new(form)).unwrap_err().to_string();
    assert!(
        error.contains("1002 label names") && error.contains("--labels map"),
        "{error}"
    );
}
