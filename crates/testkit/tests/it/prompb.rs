//! The generated messages match the definitions in `proto/`.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_generated_messages_are_those_of_the_definitions() {
    let definitions = [
        "prometheus/remote.proto",
        "io/prometheus/write/v2/types.proto",
        "io/prometheus/client/metrics.proto",
    ];

    let set = protox::compile(definitions, [root().join("proto")]).unwrap();
    let generated = tempfile::tempdir().unwrap();
    prost_build::Config::new()
        .out_dir(generated.path())
        .compile_fds(set)
        .unwrap();

    for file in [
        "prometheus.rs",
        "io.prometheus.write.v2.rs",
        "io.prometheus.client.rs",
    ] {
        let held = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/prompb")
            .join(file);
        let fresh = std::fs::read_to_string(generated.path().join(file)).unwrap();
        if std::env::var_os("DURAMEN_BLESS").is_some() {
            std::fs::write(&held, &fresh).unwrap();
        }
        assert!(
            std::fs::read_to_string(&held).unwrap() == fresh,
            "{file} is not what `proto/` says; bless it"
        );
    }
}
