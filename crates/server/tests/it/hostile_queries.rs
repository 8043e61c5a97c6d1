//! Queries that no honest client sends. Each gets an answer that names its fault or the limit, and
//! the server goes on.

use serde_json::json;

use crate::harness::duramen::Duramen;
use crate::harness::http::Request;
use crate::harness::samples::Body;
use crate::harness::wait::now_ms;

/// The most memory that one query may take, with the allocator's overhead in an unoptimized build.
const GROWTH_MAX: u64 = 100 << 20;

async fn refused(server: &mut Duramen, what: &str, request: &Request, text: &str) {
    ends(server, what, request, (400, "bad_data"), text).await;
}

/// Checks that the server answers with an error that has `text`, and is healthy afterwards.
async fn ends(
    server: &mut Duramen,
    what: &str,
    request: &Request,
    (status, kind): (u16, &str),
    text: &str,
) {
    let (before, _) = server.process().memory();
    let answer = server.send(request).await;
    let error = answer.error(status, kind);

    assert!(error.contains(text), "{what}: {error}");
    assert!(
        error.len() < 4 << 10,
        "{what}: an error of {} bytes",
        error.len()
    );

    let (_, most) = server.process().memory();
    assert!(
        most < before + GROWTH_MAX,
        "{what}: memory grew from {before} to {most} bytes"
    );

    assert_eq!(server.get("/-/healthy", &[]).await.status, 200, "{what}");
}

fn query(text: &str) -> Request {
    Request::post("/api/v1/query", &[("query", text)])
}

#[tokio::test]
async fn a_text_that_is_no_query_is_refused_with_its_fault() {
    let mut server = Duramen::local().await;

    for (text, error) in [
        ("", "invalid parameter \"query\""),
        ("up{", "invalid parameter \"query\""),
        ("(up", "unclosed left parenthesis"),
        ("up{job=~\"(\"}", "invalid parameter \"query\""),
        ("up{job=~\"a{1001}\"}", "invalid parameter \"query\""),
        ("{}", "at least one non-empty matcher"),
        ("{job=~\".*\"}", "at least one non-empty matcher"),
        ("rate(up)", "expected type range vector"),
        ("nonsense(up)", "nonsense"),
        ("sum by (a) (up) by (b)", "invalid parameter \"query\""),
        ("1 + \"a\"", "invalid parameter \"query\""),
        ("up offset", "invalid parameter \"query\""),
        ("up[5m", "invalid parameter \"query\""),
        ("\u{0}", "invalid parameter \"query\""),
    ] {
        refused(&mut server, text, &query(text), error).await;
    }
}

#[tokio::test]
async fn generated_queries_are_answered_however_long_they_are() {
    let server = Duramen::local().await;
    let now = now_ms();

    server
        .write(
            Body::default()
                .series(&[("__name__", "up"), ("i", "7")], &[(now, 1.0)])
                .snappy(),
        )
        .await;

    for ones in [500, 1000, 5000] {
        let answer = server.send(&query(&vec!["1"; ones].join("+"))).await.data();
        assert_eq!(answer["result"][1], ones.to_string());
    }

    let selectors: Vec<String> = (0..600).map(|at| format!("up{{i=\"{at}\"}}")).collect();
    let answer = server.send(&query(&selectors.join(" or "))).await.data();

    assert_eq!(answer["result"].as_array().map(Vec::len), Some(1));

    for depth in [130, 200, 500] {
        let nested = format!("{}up{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(
            server.send(&query(&nested)).await.data()["result"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
    }

    // A dashboard's variable becomes this if all of its values are chosen.
    let names: Vec<String> = (0..15_000).map(|at| at.to_string()).collect();
    let selector = format!("up{{i=~\"{}\"}}", names.join("|"));

    assert!(selector.len() > 64 << 10);
    assert_eq!(
        server.send(&query(&selector)).await.data()["result"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );

    for path in ["/api/v1/series", "/api/v1/labels"] {
        let answer = server
            .send(&Request::post(path, &[("match[]", &selector)]))
            .await
            .data();

        assert!(
            answer.as_array().is_some_and(|found| !found.is_empty()),
            "{path}: {answer}"
        );
    }

    let chain = vec!["up"; 1000].join(" + ");

    for (path, format) in [
        ("/api/v1/format_query", "json"),
        ("/api/v1/parse_query", "json"),
        ("/api/v1/explain", "json"),
        ("/api/v1/explain", "text"),
    ] {
        let answer = server
            .send(&Request::post(
                path,
                &[("query", &chain), ("format", format)],
            ))
            .await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.text().len() < 32 << 20,
            "{path}: {}",
            answer.text().len()
        );
    }
}

#[tokio::test]
async fn a_query_that_is_too_much_is_refused_with_its_limit() {
    let mut server = Duramen::local().await;
    server
        .write(
            Body::default()
                .series(&[("__name__", "up"), ("job", "a")], &[(now_ms(), 1.0)])
                .snappy(),
        )
        .await;

    let nested = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = format!("up{{job=\"{}\"}}", "x".repeat(1 << 20));
    let regex = format!("up{{job=~\"{}\"}}", "(a|b)*c".repeat((1 << 20) / 7));
    let chain = format!("1{}", "+1".repeat(30_000));

    let cases = [
        ("10,000 parentheses", nested, "nesting_depth_max=`500`"),
        ("30,000 additions", chain, "tree_height_max=`10000`"),
        ("1 MiB and some", long, "text_bytes_max=`1048576`"),
        ("a regex of 1 MB", regex, "text_bytes_max=`1048576`"),
        (
            "a bomb of repetitions",
            "up{job=~\"((a{1000}){1000}){1000}\"}".to_owned(),
            "invalid parameter \"query\"",
        ),
    ];

    for (what, text, error) in cases {
        refused(&mut server, what, &query(&text), error).await;
    }

    for (open, inner, close) in [
        ("abs(", "up", ")"),
        ("-(", "1", ")"),
        ("sum(", "up", ")"),
        ("1+(", "1", ")"),
        ("rate((", "up", ")[5m:1m])"),
    ] {
        let nested = format!("{}{inner}{}", open.repeat(2_001), close.repeat(2_001));
        refused(
            &mut server,
            open,
            &query(&nested),
            "nesting_depth_max=`500`",
        )
        .await;
    }

    let signs = format!("{}1", "-".repeat(40_000));
    assert_eq!(
        server.send(&query(&signs)).await.data()["result"][1],
        "1",
        "signs need no depth"
    );
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the time that others wait is what is tested"
)]
async fn a_request_full_of_regexes_holds_up_nobody() {
    let server = Duramen::local().await;
    let write = || {
        Body::default()
            .series(&[("__name__", "x"), ("l", "a")], &[(now_ms(), 1.0)])
            .snappy()
    };

    server.write(write()).await;

    let selector = |regexes: Vec<String>| {
        let matchers: Vec<String> = regexes
            .iter()
            .map(|regex| format!("l!~`{regex}`"))
            .collect();

        format!("x{{{}}}", matchers.join(","))
    };

    let same = selector(vec![r"\pL{60}".to_owned(); 4000]);
    let different = selector((0..100).map(|at| format!(r"\pL{{60}}{at}")).collect());

    let costly: Vec<Request> = [
        ("/api/v1/query", "query"),
        ("/api/v1/format_query", "query"),
        ("/api/v1/parse_query", "query"),
        ("/api/v1/query_exemplars", "query"),
        ("/api/v1/series", "match[]"),
        ("/api/v1/labels", "match[]"),
        ("/api/v1/label/l/values", "match[]"),
        ("/api/v1/rules", "match[]"),
        ("/federate", "match[]"),
        ("/api/v1/cardinality/label_names", "selector"),
    ]
    .map(|(path, name)| Request::get(path, &[(name, &different)]))
    .into();

    let refused = futures::future::join_all(costly.iter().map(|request| server.send(request)));
    let same = query(&same);
    let answered = futures::future::join_all((0..3).map(|_| server.send(&same)));

    let others = async {
        for _ in 0..5 {
            let start = std::time::Instant::now();
            assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
            assert_eq!(server.push(write()).await.status, 204);
            assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        }
    };

    let (refused, answered, ()) = futures::join!(refused, answered, others);

    for (request, answer) in costly.iter().zip(refused) {
        assert_eq!(answer.status, 400, "{request:?}: {}", answer.text());
        assert!(
            answer.text().contains("regex_bytes_max=`"),
            "{request:?}: {}",
            answer.text()
        );
    }

    for answer in answered {
        assert_eq!(
            answer.data()["result"].as_array().map(Vec::len),
            Some(1),
            "a regex that is repeated counts once"
        );
    }
}

#[tokio::test]
async fn a_query_that_becomes_too_much_ends_with_the_limit_that_it_went_past() {
    let server = Duramen::stopped(&[]);
    let limits = server.data_dir().with_file_name("limits.yml");
    std::fs::write(&limits, "defaults: {query: {memory_bytes_max: 64MiB}}\n")
        .expect("a test can write its own file");

    let limits = limits
        .to_str()
        .expect("a temporary path is text")
        .to_owned();

    let mut server = Duramen::with(&["--limits-file", &limits]).await;
    let now = now_ms();
    let long = "x".repeat(2000);

    let body = (0..1000).fold(Body::default(), |body, at| {
        let of = |name| [("__name__", name), ("job", "a")];
        let i = at.to_string();
        let [many, one] =
            ["many", "one"].map(|name| [&of(name)[..], &[("i", i.as_str())]].concat());

        body.series(&many, &[(now, 1.0)])
            .series(&one, &[(now, 1.0)])
    });

    server
        .write(
            body.series(&[("__name__", "long"), ("v", &long)], &[(now, 1.0)])
                .snappy(),
        )
        .await;

    let memory = "memory_bytes_max=`67108864`";
    let written = |open: &str, times: usize, close: &str| {
        format!("{}long{}", open.repeat(times), close.repeat(times))
    };
    let replace = format!(", \"v\", \"{}\", \"v\", \"(.*)\")", "$1".repeat(60));
    let execution = (422, "execution");

    for (what, text, error) in [
        (
            "a year of milliseconds",
            "sum_over_time(vector(1)[1y:1ms])",
            "samples_max=`1048576`",
        ),
        (
            "a series for every one",
            "many * on(job) group_left one",
            "many-to-many matching not allowed",
        ),
        (
            "labels by sixty",
            &written("label_replace(", 5, &replace),
            memory,
        ),
        (
            "labels by two",
            &written("label_join(", 60, ", \"v\", \"\", \"v\", \"v\")"),
            memory,
        ),
    ] {
        ends(&mut server, what, &query(text), execution, error).await;
    }

    let range = [
        ("query", "count_values(\"v\", vector(time()))"),
        ("start", "0"),
        ("end", "11000"),
        ("step", "1"),
    ];

    ends(
        &mut server,
        "a series a step",
        &Request::get("/api/v1/query_range", &range),
        execution,
        memory,
    )
    .await;
}

#[tokio::test]
async fn a_costly_regex_within_the_limits_ends() {
    let mut server = Duramen::local().await;
    let value = "a".repeat(2000);

    server
        .write(
            Body::default()
                .series(&[("__name__", "up"), ("job", &value)], &[(now_ms(), 1.0)])
                .snappy(),
        )
        .await;

    for regex in [
        "(a*)*b",
        "(a|a)*b",
        "(.*)(.*)(.*)(.*)(.*)[^a]",
        "(a?){900}a{900}",
    ] {
        let (before, _) = server.process().memory();
        let answer = server
            .send(&query(&format!("up{{job=~\"{regex}\"}}")))
            .await;
        assert!(
            [200, 400].contains(&answer.status),
            "{regex}: {}",
            answer.text()
        );
        let (_, most) = server.process().memory();
        assert!(
            most < before + GROWTH_MAX,
            "{regex}: memory grew from {before} to {most} bytes"
        );
    }
}

#[tokio::test]
async fn a_range_of_more_steps_than_allowed_is_refused() {
    let mut server = Duramen::local().await;
    let range = |end: &str, step: &str| {
        Request::get(
            "/api/v1/query_range",
            &[("query", "1"), ("start", "0"), ("end", end), ("step", step)],
        )
    };

    let answer = server.send(&range("11000", "1")).await;
    assert_eq!(
        answer.data()["result"][0]["values"]
            .as_array()
            .map(Vec::len),
        Some(11_001)
    );

    refused(
        &mut server,
        "11,002 steps",
        &range("11001", "1"),
        "11,000 points per timeseries",
    )
    .await;
    refused(
        &mut server,
        "a tiny step",
        &range("1e9", "0.001"),
        "11,000 points per timeseries",
    )
    .await;
    refused(
        &mut server,
        "a step of 0",
        &range("1", "0"),
        "zero or negative query resolution step",
    )
    .await;
    refused(
        &mut server,
        "a negative step",
        &range("1", "-1"),
        "zero or negative query resolution step",
    )
    .await;
    refused(
        &mut server,
        "no step",
        &range("1", ""),
        "invalid parameter \"step\"",
    )
    .await;
    refused(
        &mut server,
        "a step that is none",
        &range("1", "soon"),
        "invalid parameter \"step\"",
    )
    .await;
    refused(
        &mut server,
        "a step past all",
        &range("1", "1e300"),
        "invalid parameter \"step\"",
    )
    .await;
    refused(
        &mut server,
        "the end before the start",
        &range("-1", "1"),
        "invalid parameter \"end\"",
    )
    .await;

    let matrix = [
        ("query", "up[5m]"),
        ("start", "0"),
        ("end", "1"),
        ("step", "1"),
    ];

    refused(
        &mut server,
        "a range vector",
        &Request::get("/api/v1/query_range", &matrix),
        "invalid",
    )
    .await;
}

#[tokio::test]
async fn parameters_that_are_none_are_refused_by_name() {
    let mut server = Duramen::local().await;
    let one = |name, value| Request::get("/api/v1/query", &[("query", "1"), (name, value)]);

    for (name, value) in [
        ("time", "tomorrow"),
        ("time", "NaN"),
        ("timeout", "soon"),
        ("timeout", "-1s"),
        ("timeout", "-1"),
        ("timeout", "0"),
        ("timeout", "0s"),
        ("timeout", "1e10"),
        ("time", "+Inf"),
        ("time", "2015-06-03t13:21:58z"),
        ("time", "2015-06-03T23:59:60Z"),
        ("limit", "-1"),
        ("limit", "many"),
    ] {
        let text = format!("invalid parameter \"{name}\"");
        refused(
            &mut server,
            &format!("{name}={value}"),
            &one(name, value),
            &text,
        )
        .await;
    }

    let positive = "timeout must be positive, got -1.5s";
    refused(
        &mut server,
        "timeout=-1.5",
        &one("timeout", "-1.5"),
        positive,
    )
    .await;

    // A look-back of 0 or less means the process's own, and a limit of 0 means none, as in
    // Prometheus.
    for (name, value) in [
        ("lookback_delta", "0"),
        ("lookback_delta", "-5"),
        ("limit", "0"),
        ("timeout", "1e3"),
    ] {
        let answer = server
            .get(
                "/api/v1/query",
                &[("query", "1"), ("time", "4"), (name, value)],
            )
            .await;
        assert_eq!(answer.status, 200, "{name}={value}: {}", answer.text());
    }

    let text = "error parsing lookback delta duration: cannot parse \"x\" to a valid duration";
    refused(
        &mut server,
        "lookback_delta=x",
        &one("lookback_delta", "x"),
        text,
    )
    .await;

    let series = |selector| Request::get("/api/v1/series", &[("match[]", selector)]);

    for selector in [
        "",
        "{",
        "up[5m]",
        "1",
        "sum(up)",
        "{job=~\"(\"}",
        "{}",
        "{job=\"\"}",
        "{job=~\".*\"}",
    ] {
        refused(&mut server, selector, &series(selector), "match[]").await;
    }

    refused(
        &mut server,
        "no selector",
        &Request::get("/api/v1/series", &[]),
        "no match[] parameter",
    )
    .await;

    let invalid = Request::new("GET", "/api/v1/query?query=up%7Bjob%3D%22%FF%22%7D");
    refused(&mut server, "invalid UTF-8", &invalid, "UTF-8").await;
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_so() {
    let server = Duramen::local().await;

    for (method, path, status) in [
        ("DELETE", "/api/v1/query", 405),
        ("PUT", "/api/v1/query_range", 405),
        ("PUT", "/api/v1/label/job/values", 405),
        ("POST", "/api/v1/status/buildinfo", 405),
        ("POST", "/metrics", 405),
        ("GET", "/api/v1/admin/tsdb/flush", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/label//values", 400),
        ("GET", "/../../etc/passwd", 404),
    ] {
        let answer = server.send(&Request::new(method, path)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn times_at_the_ends_of_time_are_answered() {
    let server = Duramen::local().await;
    server
        .write(Body::default().sample("up", now_ms(), 1.0).snappy())
        .await;

    for query in ["up offset 1y", "rate(up[1y])"] {
        for time in [
            "0",
            "1e10",
            "-62135596800",
            "292277025-08-18T07:12:54.999999999Z",
        ] {
            let data = server
                .get("/api/v1/query", &[("query", query), ("time", time)])
                .await
                .data();
            assert_eq!(data["result"], json!([]), "{query} at {time}");
        }

        // The window begins before the earliest time.
        for time in [
            "-9223372036854775.808",
            "-1e300",
            "-292273086-05-16T16:47:06Z",
        ] {
            let answer = server
                .get("/api/v1/query", &[("query", query), ("time", time)])
                .await;
            assert!(
                [200, 400].contains(&answer.status),
                "{query} at {time}: {}",
                answer.text()
            );
        }
    }

    let probe = [
        ("match[]", "up"),
        ("start", "1700000000000"),
        ("end", "1700000100000"),
    ];

    assert_eq!(server.get("/api/v1/series", &probe).await.data(), json!([]));
}
