//! Settings from a file, and limits that change while the process runs.

use duramen_testkit::s3::{S3, S3Options};
use serde_json::{Value as Json, json};

use crate::harness::duramen::{Duramen, write};
use crate::harness::http::Request;
use crate::harness::process::{Process, free_address};
use crate::harness::samples::Body;
use crate::harness::wait::{now_ms, until};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Writes a file beside the data directory of a server that is not started, and returns its path.
fn file(server: &Duramen, name: &str, text: &str) -> String {
    let path = server
        .data_dir()
        .parent()
        .expect("a folder of the test")
        .join(name);

    std::fs::write(&path, text).expect("a folder of the test");
    // Some of these files have secrets.
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner).expect("a file of the test");
    path.to_str().expect("a folder of the test").to_owned()
}

/// Returns the output of a call with these arguments, and whether it was a success.
async fn said(
    server: &Duramen,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (bool, String) {
    let log = server
        .data_dir()
        .parent()
        .expect("a folder of the test")
        .join("said");

    let _ = std::fs::remove_file(&log);
    let mut command = server.command(free_address(), &server.data_dir());
    command.args(arguments).envs(environment.iter().copied());

    let mut process = Process::start(&mut command, &log);
    let status = process.ended(PATIENCE).await;
    (status.success(), process.log())
}

#[tokio::test]
async fn settings_come_from_defaults_file_variables_and_flags_and_are_printed_with_their_origin() {
    let server = Duramen::stopped(&[]);
    let config = file(
        &server,
        "duramen.yml",
        "flush: {interval: 1h}\nquery: {timeout: 1m}\nhead: {bytes_max: 64MiB}\n",
    );

    let arguments = [
        "--config",
        &config,
        "--print-config",
        "--query-timeout",
        "3m",
    ];

    let (good, yaml) = said(
        &server,
        &arguments,
        &[
            ("DURAMEN_QUERY_TIMEOUT", "2m"),
            ("DURAMEN_HEAD_BYTES_MAX", "1GiB"),
        ],
    )
    .await;
    assert!(good, "{yaml}");

    for line in [
        "interval: 1h  # file",
        "timeout: 3m  # --query-timeout",
        "bytes_max: 1GiB  # DURAMEN_HEAD_BYTES_MAX",
    ] {
        assert!(yaml.contains(line), "{line}: {yaml}");
    }

    assert!(
        yaml.contains("lookback_delta: 5m\n"),
        "a default has no origin: {yaml}"
    );

    assert!(!server.data_dir().exists(), "nothing is started");
}

#[tokio::test]
async fn settings_that_cannot_be_stop_the_start_with_their_place() {
    let server = Duramen::stopped(&[]);
    let config = file(&server, "duramen.yml", "flush:\n  intervall: 1h\n");
    let (good, log) = said(&server, &["--config", &config], &[]).await;

    assert!(
        !good && log.contains("flush.intervall") && log.contains("(line 2)"),
        "{log}"
    );

    let limits = file(
        &server,
        "limits.yml",
        "tenants:\n  a:\n    ingest: {samples_burst: 0}\n",
    );

    for more in [&[][..], &["--check-config"]] {
        let (good, log) = said(&server, &[&["--limits-file", &limits], more].concat(), &[]).await;
        assert!(
            !good && log.contains("tenants.a.ingest.samples_burst") && log.contains("limits.yml"),
            "{log}"
        );
    }

    let limits = file(
        &server,
        "limits.yml",
        "tenants: {a: {ingest: {samples_burst: 1}}}\n",
    );

    assert!(
        said(&server, &["--limits-file", &limits, "--check-config"], &[])
            .await
            .0
    );
}

#[tokio::test]
async fn the_account_of_memory_is_a_share_of_the_machine_or_what_is_set_and_is_told() {
    let server = Duramen::stopped(&[]);
    let (good, yaml) = said(&server, &["--print-config"], &[]).await;

    assert!(
        good && yaml.contains("memory:\n  bytes_max: ") && yaml.contains(" % of "),
        "{yaml}"
    );

    let (good, log) = said(
        &server,
        &[
            "--check-config",
            "--memory-bytes-max",
            "1GiB",
            "--cache-bytes-max",
            "1GiB",
        ],
        &[],
    )
    .await;
    assert!(
        !good && log.contains("cache.bytes_max: 1GiB is more than 60 %"),
        "{log}"
    );

    let mut server =
        Duramen::with(&["--memory-bytes-max", "1GiB", "--cache-bytes-max", "1GiB"]).await;
    let log = server.process().log();

    assert!(
        log.contains("memory: 1GiB for bodies, heads, queries"),
        "{log}"
    );

    assert!(
        log.contains("cache.bytes_max: 1GiB is more than 60 %"),
        "{log}"
    );

    assert!((server.metric("duramen_memory_bytes_max").await - f64::from(1 << 30)).abs() < 0.5);
    assert!(server.metric("duramen_memory_resident_bytes").await > 0.0);
}

#[tokio::test]
async fn features_are_switched_on_by_the_names_that_prometheus_gives_them() {
    let server = Duramen::stopped(&[]);
    let (good, log) = said(&server, &["--features", "old-ui"], &[]).await;

    assert!(
        !good && log.contains("feature=`old-ui`") && log.contains("promql-delayed-name-removal"),
        "{log}"
    );

    let config = file(
        &server,
        "duramen.yml",
        "features: [promql-delayed-name-removal, use-start-timestamps]\n",
    );

    let server = Duramen::with(&["--config", &config]).await;
    let features = server.get("/api/v1/features", &[]).await.data();
    let promql = &features["promql"];

    assert_eq!(promql["delayed_name_removal"], true);
    assert_eq!(promql["use_start_timestamps"], true);
    assert_eq!(promql["type_and_unit_labels"], false);

    let now = now_ms();
    server
        .write(
            Body::default()
                .sample("a", now, 1.0)
                .sample("b", now, 2.0)
                .snappy(),
        )
        .await;

    assert_eq!(
        server
            .value("count(-{__name__=~\"a|b\"})", now)
            .await
            .as_deref(),
        Some("2")
    );
}

#[tokio::test]
async fn secrets_of_the_file_are_seen_nowhere() {
    const SECRET: &str = "seeded-hunter2";

    let mut server = Duramen::stopped(&[]);
    let keys = format!(
        "access_key_id: id-{SECRET}, secret_access_key: {SECRET}, session_token: token-{SECRET}"
    );
    let text = format!("s3: {{{keys}}}\nlog_level: trace\n");
    let config = file(&server, "duramen.yml", &text);
    let (good, yaml) = said(&server, &["--config", &config, "--print-config"], &[]).await;

    assert!(
        good && yaml.contains("secret_access_key: \"<secret>\"  # file") && !yaml.contains(SECRET),
        "{yaml}"
    );

    for broken in [
        format!("{text}s3:\n  x: [\n"),
        text.replace("log_level", "log_levle"),
        text.replace("trace", "["),
    ] {
        let config = file(&server, "broken.yml", &broken);
        let (good, log) = said(&server, &["--config", &config], &[]).await;
        assert!(!good && !log.contains(SECRET), "{log}");
    }

    assert!(
        yaml.contains("session_token: \"<secret>\"  # file"),
        "{yaml}"
    );

    for flag in [
        "--s3-access-key-id",
        "--s3-secret-access-key",
        "--s3-session-token",
    ] {
        let (good, log) = said(&server, &["--config", &config, flag, SECRET], &[]).await;
        assert!(!good && !log.contains(SECRET), "{log}");
    }

    server = Duramen::with(&["--config", &config]).await;
    server
        .write(Body::default().sample("m", now_ms(), 1.0).snappy())
        .await;

    for path in [
        "/metrics",
        "/api/v1/limits",
        "/config",
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/",
    ] {
        let answer = server.get(path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains(SECRET), "{path}");
    }

    assert!(
        server
            .get("/config", &[])
            .await
            .text()
            .contains("log_level: trace  # file\n")
    );

    assert!(
        server.get("/api/v1/status/config", &[]).await.data()["yaml"]
            .as_str()
            .unwrap()
            .contains("flush:\n")
    );

    let flags = server.get("/api/v1/status/flags", &[]).await.data();
    assert!(
        flags.as_object().unwrap().values().all(Json::is_string),
        "{flags}"
    );

    let flag = |name: &str| flags[name].as_str().unwrap_or("not there").to_owned();
    assert_eq!(
        (flag("s3-session-token"), flag("log-level")),
        ("<secret>".to_owned(), "trace".to_owned())
    );

    assert_eq!(
        (flag("flush-interval"), flag("multi-tenancy")),
        ("15m".to_owned(), "false".to_owned())
    );

    assert_eq!(
        (flag("store"), flag("features")),
        (String::new(), String::new())
    );

    let log = server.process().log();
    assert!(!log.is_empty() && !log.contains(SECRET));
}

#[tokio::test]
async fn a_limits_file_holds_for_its_tenants_and_is_told() {
    let server = Duramen::stopped(&[]);
    let yaml =
        "defaults: {query: {steps_max: 7}}\ntenants: {a: {ingest: {label_value_bytes_max: 5}}}\n";
    let limits = file(&server, "limits.yml", yaml);
    let server = Duramen::with(&["--multi-tenancy", "--limits-file", &limits]).await;

    let long = || {
        write(
            Body::default()
                .series(&[("__name__", "m"), ("l", "123456")], &[(now_ms(), 1.0)])
                .snappy(),
        )
    };

    let refused = server.send(&long().header("X-Scope-OrgID", "a")).await;
    assert_eq!(refused.status, 400);

    assert!(
        refused.text().contains("label_value_bytes_max=`5`"),
        "{}",
        refused.text()
    );

    assert_eq!(
        server
            .send(&long().header("X-Scope-OrgID", "b"))
            .await
            .status,
        204
    );

    for path in ["/api/v1/limits", "/api/v1/user_limits"] {
        let told = server
            .send(&Request::get(path, &[]).header("X-Scope-OrgID", "a"))
            .await
            .data();

        assert_eq!(told["tenant"], "a");
        assert_eq!(told["limits"]["ingest"]["label_value_bytes_max"], "5B");
        assert_eq!(told["limits"]["query"]["timeout"], "2m");

        let overridden =
            json!({ "ingest.label_value_bytes_max": "tenant", "query.steps_max": "defaults" });
        assert_eq!(told["overridden"], overridden);
    }

    assert_eq!(server.get("/api/v1/limits", &[]).await.status, 401);
}

#[tokio::test]
async fn limits_are_read_again_on_request_on_a_signal_and_by_themselves_and_a_fault_changes_nothing()
 {
    let server = Duramen::stopped(&[]);
    let of = |bytes: usize| format!("defaults: {{ingest: {{label_value_bytes_max: {bytes}}}}}\n");
    let limits = file(&server, "limits.yml", &of(5));
    let mut server = Duramen::with(&["--limits-file", &limits]).await;
    let in_force = async |server: &Duramen| {
        server.get("/api/v1/limits", &[]).await.data()["limits"]["ingest"]["label_value_bytes_max"]
            .clone()
    };
    assert_eq!(in_force(&server).await, "5B");
    let first = server
        .metric("duramen_limits_last_reload_success_timestamp_seconds")
        .await;
    assert!(first > 1e9);
    std::fs::write(&limits, of(6)).unwrap();
    assert_eq!(
        server.send(&Request::new("POST", "/-/reload")).await.status,
        200
    );
    assert_eq!(in_force(&server).await, "6B");
    std::fs::write(&limits, "defaults: {ingest: {label_value_bytes_mx: 7}}\n").unwrap();
    let fault = server.send(&Request::new("POST", "/-/reload")).await;
    assert_eq!(fault.status, 500);
    assert!(
        fault
            .text()
            .contains("defaults.ingest.label_value_bytes_mx"),
        "{}",
        fault.text()
    );
    assert_eq!(in_force(&server).await, "6B");
    assert_eq!(
        server.metric("duramen_limits_last_reload_successful").await,
        0.0
    );
    std::fs::write(&limits, of(8)).unwrap();
    server.process().signal("HUP");
    until("the limits of the signal", PATIENCE, async || {
        (in_force(&server).await == "8B").then_some(())
    })
    .await;
    assert_eq!(
        server.metric("duramen_limits_last_reload_successful").await,
        1.0
    );
    assert!(
        server
            .metric("duramen_limits_last_reload_success_timestamp_seconds")
            .await
            > first
    );
    std::fs::write(&limits, of(9)).unwrap();
    until("the limits of the file", PATIENCE, async || {
        (in_force(&server).await == "9B").then_some(())
    })
    .await;
    std::fs::remove_file(&limits).unwrap();
    assert_eq!(
        server.send(&Request::new("POST", "/-/reload")).await.status,
        500
    );
    assert_eq!(in_force(&server).await, "9B");
}

#[tokio::test]
async fn temporary_credentials_of_the_file_sign_with_their_token_and_others_without_any() {
    for (token, expected) in [
        (
            ", session_token: token-of-the-file",
            Some("token-of-the-file"),
        ),
        ("", None),
    ] {
        let s3 = S3::start(S3Options::default()).await.unwrap();
        let server = Duramen::stopped(&["--store", "s3://test", "--s3-endpoint", &s3.endpoint()]);
        let text = format!("s3: {{access_key_id: key-of-the-file, secret_access_key: s{token}}}\n");
        let config = file(&server, "duramen.yml", &text);
        let mut command = server.command(free_address(), &server.data_dir());
        command
            .args(["--config", &config])
            .env("AWS_SESSION_TOKEN", "token-of-the-environment");
        let mut process = Process::start(&mut command, &server.data_dir().with_extension("log"));
        let request = until("a request", PATIENCE, async || s3.log().pop()).await;
        process.kill();
        assert_eq!(request.access_key.as_deref(), Some("key-of-the-file"));
        assert_eq!(request.session_token.as_deref(), expected);
    }
}

/// Returns the exit code and the output of the binary alone, with these arguments.
async fn ended(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder of the test");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_duramen"));
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder.path());

    let mut process = Process::start(&mut command, &folder.path().join("said"));
    let status = process.ended(PATIENCE).await;
    (status.code(), process.log())
}

/// Arguments, variables, the exit code, and words of the error.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

/// What was said or set wrong is told in one form, names what is wrong, and ends with 2; what goes
/// wrong ends with 1.
#[tokio::test]
async fn a_start_that_cannot_be_names_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder of the test");
    let inside = |name: &str| folder.path().join(name).display().to_string();

    std::os::unix::fs::symlink("nowhere", inside("link")).expect("a link");
    let secrets = inside("secrets.yml");
    std::fs::write(&secrets, "s3: {access_key_id: a, secret_access_key: b}\n").expect("a file");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&secrets, everybody).expect("a file of the test");

    let below_link = inside("link/data");
    let cases: [Case; 8] = [
        (&["--log-format", "xml"], &[], 2, "must be text or json"),
        (&["--log-level", "chatty"], &[], 2, "neither a level"),
        (&["--log-level", "info,chatty"], &[], 2, "neither a level"),
        (
            &["--http-listen", "here:7480"],
            &[],
            2,
            "localhost, a colon, and a port",
        ),
        (
            &["--check-config"],
            &[("DURAMEN_FLUSH_INTERVAL", "soon")],
            2,
            "'DURAMEN_FLUSH_INTERVAL'",
        ),
        (
            &["--config", &secrets, "--check-config"],
            &[],
            2,
            "everybody on this machine may read it",
        ),
        (&["--data-dir", &below_link], &[], 1, "No such file"),
        (
            &["--data-dir", "/proc/duramen/data"],
            &[],
            1,
            "No such file",
        ),
    ];

    for (arguments, environment, code, words) in cases {
        let (ended, said) = ended(arguments, environment).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");

        let error = said.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("{arguments:?}: {said}"));
        assert!(error.contains(words), "{arguments:?}: {said}");
    }

    // A switch takes its value in either form.
    for value in [
        "--multi-tenancy=false",
        "--multi-tenancy false",
        "--multi-tenancy",
    ] {
        let words: Vec<&str> = value.split(' ').chain(["--print-config"]).collect();
        let (code, said) = ended_well(&words).await;
        let expected = format!("multi_tenancy: {}", value == "--multi-tenancy");
        assert!(said.contains(&expected), "{code:?}: {said}");
    }

    let (_, help) = ended(&["-h"], &[]).await;
    assert!(
        help.starts_with("Duramen: a time-series database"),
        "{help}"
    );
}

async fn ended_well(arguments: &[&str]) -> (Option<i32>, String) {
    let (code, said) = ended(arguments, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    (code, said)
}

#[tokio::test]
async fn the_log_is_json_if_a_setting_says_so() {
    let mut server = Duramen::with(&["--log-format", "json"]).await;
    let log = server.process().log();
    // The last line may be half written.
    let (whole, _) = log.rsplit_once('\n').expect("some lines");

    let lines: Vec<serde_json::Value> = whole
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();

    assert!(lines.len() > 3, "{log}");
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string());
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
}
