//! The runner of PromQL scripts: what it finds, what it refuses, and upstream's scripts over each
//! kind of storage.

use std::path::Path;
use std::process::Command;

use duramen_promqltest::{Mode, Report, Script, features_of, run};
use duramen_testkit::shared;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The number of evals in upstream's scripts. It may only grow.
const PASSED_MIN: usize = 1665;

/// Expectations of every kind, which are all met.
const SCRIPT: &str = r#"
load 10s
  up{job="a"} 0+1x30
  up{job="b"} 10+1x30
  down 3 2 1 stale
  native {{schema:1 count:6 sum:7 z_bucket:1 z_bucket_w:0.5 buckets:[2 3] offset:1 counter_reset_hint:gauge}}
  custom {{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}

# Values.
eval instant at 50s up
  up{job="a"} 5
  up{job="b"} 15

eval range from 0 to 40s step 10s down
  down 3 2 1 _

eval instant at 1m sort_desc(up)
  expect ordered
  up{job="b"} 16
  up{job="a"} 6

eval instant at 1m none

eval instant at 50s 1.5 * 2
  3
eval instant at 0 "text"
  expect string "text"

eval instant at 20s up{job="a"}[20s]
  expect range vector from 10s to 20s step 10s
  up{job="a"} 1 2

eval instant at 0 native
  native {{schema:1 count:6 sum:7 z_bucket:1 z_bucket_w:0.5 buckets:[2 3] offset:1 counter_reset_hint:gauge}}

eval instant at 0 custom
  custom {{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}

eval instant at 0 up + on() group_left native
  expect no_warn
  expect info regex: incompatible sample types

eval instant at 0 quantile(7, down)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 7 (1:10)
  expect no_info
  {} Inf

eval instant at 0 label_replace(up, "job", "x", "", "")
  expect fail msg: vector cannot contain metrics with the same labelset

eval_fail instant at 0 up + on() up
  expected_fail_regexp found duplicate series

clear

eval instant at 0 up
"#;

#[expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
async fn play(text: &str, mode: Mode) -> Report {
    run(
        &Script::parse(text).unwrap(),
        mode,
        features_of(Path::new("own.test")),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_with_every_kind_of_expectation_passes_in_every_mode() {
    for mode in Mode::ALL {
        let report = play(SCRIPT, mode).await;
        assert_eq!((report.failures, report.passed), (vec![], 14), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expectation_that_is_altered_is_not_met() {
    for (from, to, told) in [
        (
            "up{job=\"b\"} 15",
            "up{job=\"b\"} 15.1",
            "expected up{job=\"b\"} 15.1\ngot      up{job=\"b\"} 15",
        ),
        (
            "  up{job=\"a\"} 5\n",
            "  up{job=\"a\"} {{sum:5}}\n",
            "expected up{job=\"a\"} {{schema:0 count:0 sum:5}}",
        ),
        ("  up{job=\"a\"} 5\n", "", "extra    up{job=\"a\"} 5"),
        (
            "  up{job=\"a\"} 5\n",
            "  up{job=\"a\"} 5\n  up{job=\"c\"} 5\n",
            "missing  up{job=\"c\"} 5",
        ),
        (
            "  down 3 2 1 _",
            "  down 3 2 1 1",
            "expected down 3 2 1 1\ngot      down 3 2 1 _",
        ),
        ("  down 3 2 1 _", "  down 3 2", "expected down 3 2\ngot"),
        ("  down 3 2 1 _", "", "extra    down 3 2 1 _"),
        (
            "  up{job=\"b\"} 16\n  up{job=\"a\"} 6",
            "  up{job=\"a\"} 6\n  up{job=\"b\"} 16",
            "got      the order up{job=\"b\"}, up{job=\"a\"}",
        ),
        ("  3\neval", "  4\neval", "expected 4\ngot      3"),
        (
            "  3\neval",
            "  {} 3\n\neval",
            "expected an instant vector\ngot a scalar",
        ),
        (
            "expect string \"text\"",
            "expect string \"test\"",
            "expected \"test\"\ngot      \"text\"",
        ),
        (
            "  up{job=\"a\"} 1 2",
            "  up{job=\"a\"} 1 3",
            "expected up{job=\"a\"} 1 3\ngot      up{job=\"a\"} 1 2",
        ),
        (
            "from 10s to 20s step 10s",
            "from 10s to 20s step 5s",
            "expected up{job=\"a\"} 1 2\ngot      up{job=\"a\"} 1 _ 2",
        ),
        (
            "from 10s to 20s step 10s",
            "from 20s to 20s step 10s",
            "more values than steps",
        ),
        (
            "incompatible sample types",
            "incompatible species",
            "expected info /incompatible species/",
        ),
        (
            "expect no_warn\n",
            "expect warn\n",
            "expected warn anything",
        ),
        (
            "expect info regex: incompatible sample types",
            "expect no_info",
            "expected no_info",
        ),
        ("got 7 (1:10)", "got 7 (1:11)", "expected warn"),
        (
            "expect no_info\n  {} Inf",
            "expect info\n {} Inf",
            "expected info anything",
        ),
        (
            "same labelset\n",
            "same labels\n",
            "got                   vector cannot",
        ),
        (
            "  expect fail msg: vector cannot contain metrics with the same labelset\n",
            "",
            "it failed: vector cannot",
        ),
        (
            "found duplicate series",
            "found something",
            "/found something/",
        ),
        (
            "eval_fail instant at 0 up + on() up\n  expected_fail_regexp found duplicate series",
            "eval_fail instant at 0 up",
            "got an answer",
        ),
        (
            "eval instant at 1m none\n",
            "eval instant at 1m none\n none 1\n",
            "missing  none 1",
        ),
        (
            "clear\n\neval instant at 0 up\n",
            "clear\n\neval instant at 0 up\n  up 1\n",
            "missing  up 1",
        ),
        ("clear\n", "", "extra    up{job=\"a\"} 0"),
    ] {
        assert_eq!(SCRIPT.matches(from).count(), 1, "{from}");
        let altered = SCRIPT.replace(from, to);
        let fault = match Script::parse(&altered) {
            Err(error) => error.to_string(),
            Ok(_) => {
                let report = play(&altered, Mode::Memory).await;
                assert_eq!(
                    report.failures.len(),
                    1,
                    "{from} -> {to}: {:?}",
                    report.failures
                );

                report.failures[0].difference.clone()
            }
        };
        assert!(fault.contains(told), "{from} -> {to}: {fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_a_histogram_is_compared() {
    let native = "eval instant at 0 native\n  native {{schema:1 count:6 sum:7 z_bucket:1 z_bucket_w:0.5 buckets:[2 3] offset:1";
    let custom = "eval instant at 0 custom\n  custom {{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}";

    for (expected, from, to) in [
        (native, "schema:1", "schema:2"),
        (native, "count:6", "count:7"),
        (native, "sum:7", "sum:6"),
        (native, "z_bucket:1", "z_bucket:2"),
        (native, "z_bucket_w:0.5", "z_bucket_w:0.25"),
        (native, "[2 3]", "[2 4]"),
        (native, "[2 3]", "[2 3 1]"),
        (native, "offset:1", "offset:2"),
        (native, "offset:1", "offset:1 n_buckets:[1]"),
        (native, "offset:1", "offset:1 counter_reset_hint:reset}}\n#"),
        (custom, "custom_values:[1 2]", "custom_values:[1 3]"),
        (
            custom,
            "{{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}",
            "3",
        ),
    ] {
        assert_eq!(SCRIPT.matches(expected).count(), 1, "{expected}");
        let altered = SCRIPT.replace(expected, &expected.replace(from, to));
        let report = play(&altered, Mode::Memory).await;
        assert_eq!(report.failures.len(), 1, "{from} -> {to}");
    }
}

#[test]
fn what_is_no_script_is_refused_with_its_line() {
    for (text, line, reason) in [
        ("up 1", 1, "no command"),
        ("clear\n\nloads 1m", 3, "no command"),
        ("load", 1, "empty duration"),
        ("load x", 1, "not a valid duration"),
        ("load 1m\n  up 1\n  up y", 3, "no number"),
        ("load 1m\n  up{a=~\"b\"} 1", 2, "equal to something"),
        ("load 1m\n  up{ 1", 2, "braces without an end"),
        ("load 1m\n  up@st 1s", 2, "no samples follow"),
        (
            "load 1m\n  up@st 1s\n  down 1",
            3,
            "stand before samples of down",
        ),
        (
            "load 1m\n  up@st 1s\n  up 1 2",
            3,
            "1 start times for 2 slots",
        ),
        ("load 1m\n  up {{schema:x}}", 2, "no whole number"),
        ("load 1m\n  up {{sum:1 sum:1}}", 2, "stands twice"),
        ("load 1m\n  up {{sums:1}}", 2, "no key of a histogram"),
        (
            "load 1m\n  up {{offset:2147483647 buckets:[1 2]}}",
            2,
            "out of range",
        ),
        (
            "load_with_nhcb 1m\n  h_bucket{le=\"1\"} 2\n  h_bucket{le=\"2\"} 1",
            1,
            "do not ascend",
        ),
        ("eval", 1, "it is instant or range"),
        ("eval instant at", 1, "empty duration"),
        ("eval instant at 1m", 1, "there is no query"),
        ("eval instant at 1m sum(", 1, "parse error"),
        ("eval range from 1m to 0 step 1m up", 1, "ends no earlier"),
        ("eval range from 0 to 1m step 0 up", 1, "above zero"),
        ("eval range from 0 to 1y step 1ms up", 1, "too many steps"),
        (
            "eval_ordered range from 0 to 1m step 1m up",
            1,
            "no command",
        ),
        ("eval instant at 0 up\n  up 1 2", 1, "one value of a series"),
        (
            "eval instant at 0 up\n  up 1\n  up 2",
            3,
            "a series stands twice",
        ),
        (
            "eval instant at 0 up\n  expect fali",
            2,
            "nothing to expect",
        ),
        (
            "eval instant at 0 up\n  expect fail text",
            2,
            "msg: or regex:",
        ),
        (
            "eval instant at 0 up\n  expect fail regex: (",
            2,
            "missing closing",
        ),
        (
            "eval instant at 0 up\n  expect fail\n  expect fail",
            3,
            "fails once",
        ),
        (
            "eval instant at 0 up\n  expect warn\n  expect no_warn",
            1,
            "are expected and are not",
        ),
        (
            "eval instant at 0 up\n  expect range vector from 1m",
            2,
            "START to END",
        ),
        (
            "eval range from 0 to 1m step 1m up\n  expect range vector from 0 to 1m step 1m",
            2,
            "has no range vector",
        ),
        ("eval instant at 0 up\n  expect string 5", 2, "no string"),
        (
            "eval instant at 0 up\n  expect string \"\"\n  up 1",
            1,
            "more than one kind",
        ),
    ] {
        let error = Script::parse(text).unwrap_err();
        assert!(
            error.line == line && error.reason.contains(reason),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    let pieces = [
        "load ",
        "1m\n",
        "eval instant at ",
        "up",
        "{",
        "}",
        "{{",
        "}}",
        "x",
        "3",
        "+",
        "-",
        "@st",
        "é",
        "\"",
        "_",
        ":",
        "[",
        "]",
        " ",
        "\n",
        "expect ",
        "fail ",
        "regex:",
        "1",
        "NaN",
        "schema:",
        "9e9",
        "stale",
        "(",
        "buckets:",
        "h_bucket{le=\"1\"} 1",
        "load_with_nhcb 1s\n",
    ];

    for seed in 0..20_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(0..20);
        let text: String = (0..count)
            .map(|_| pieces[random.random_range(0..pieces.len())])
            .collect();
        let _ = Script::parse(&text);
        let mut cut: Vec<char> = SCRIPT.chars().collect();

        for _ in 0..random.random_range(1..4) {
            cut.remove(random.random_range(0..cut.len()));
        }

        let _ = Script::parse(&cut.into_iter().collect::<String>());
    }
}

#[expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
fn command(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_promqltest"))
        .args(args)
        .output()
        .unwrap();

    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn the_status_of_the_command_and_its_last_line_tell_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };

    let script = "load 1m\n up 1\n\neval instant at 0 up\n up 1\n";
    let good = write("good.test", script);
    let bad = write("bad.test", &script.replace("\n up 1\n\n", "\n up 2\n\n"));
    let torn = write("torn.script", "load 1m\n up 1\n\neval instant at 0 up(\n");
    let last = |text: &str| text.lines().last().unwrap().to_owned();

    let (status, text) = command(&[&good]);
    assert_eq!(
        (status, last(&text).as_str()),
        (0, "3 passed, 0 failed"),
        "{text}"
    );

    let (status, text) = command(&["--mode", "split", folder.path().to_str().unwrap()]);
    assert_eq!(
        (status, last(&text).as_str()),
        (1, "1 passed, 1 failed"),
        "{text}"
    );

    assert!(
        text.contains(&format!(
            "{bad}:4 (split): up at 0 ms\n    expected up 1\n    got      up 2\n"
        )),
        "{text}"
    );

    let named = "load 1m\n up 1\n\neval instant at 0 label_replace(-up, '__name__', 'm_$1', '__name__', '(.*)')\n m_up -1\n";
    let named = write("named.script", named);

    assert_eq!(command(&[&named]).0, 0);
    assert_eq!(
        command(&["--disable-feature", "promql-delayed-name-removal", &named]).0,
        1
    );

    let typed = "load 1m\n up{__unit__=\"s\"} 1\n\neval instant at 0 -up\n {} -1\n";
    let typed = write("typed.script", typed);

    assert_eq!(
        command(&["--enable-feature", "type-and-unit-labels", &typed]).0,
        0
    );

    assert_eq!(command(&[&typed]).0, 1);

    let (status, text) = command(&[&good, &torn]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains(&format!("{torn}:4: ")), "{text}");

    for args in [
        &["--mode", "disk", good.as_str()][..],
        &[],
        &["/nowhere.test"],
        &["/proc/self/fdinfo"],
    ] {
        assert_eq!(command(args).0, 2, "{args:?}");
    }
}

// The engine's own tests run these over a source in memory.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_over_blocks() {
    upstream_scripts_pass(Mode::Blocks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_scripts_pass_over_blocks_and_head() {
    upstream_scripts_pass(Mode::Split).await;
}

#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and a score is told"
)]
async fn upstream_scripts_pass(mode: Mode) {
    let Some(folder) = shared::path("conformance/promqltest") else {
        return;
    };
    let mut scripts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();

    scripts.sort();

    let mut passed = 0;

    for path in scripts {
        let script = Script::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let report = run(&script, mode, features_of(&path)).await.unwrap();

        assert!(
            report.failures.is_empty(),
            "{}: {:#?}",
            path.display(),
            report.failures
        );

        passed += report.passed;
    }

    println!("{passed} evals passed");
    assert!(passed >= PASSED_MIN, "{passed}");
}
