//! The series of a pod: of its container, of its state in Kubernetes, and of the application in it.

use super::behaviour::Behaviour;
use super::process;
use super::series::Builder;

/// Upper bounds of the latency histograms, in seconds.
const LATENCY_BOUNDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0,
];
const PATHS: [&str; 8] = [
    "/",
    "/api/v1/items",
    "/api/v1/items/{id}",
    "/api/v1/orders",
    "/api/v1/users/{id}",
    "/healthz",
    "/login",
    "/metrics",
];

/// The series of one container that a kubelet's cadvisor exposes.
pub(super) fn cadvisor(b: &mut Builder<'_>, now_s: f64) {
    for m in ["user", "system"] {
        let r = b.rng.log_uniform(1e-3, 0.3);
        b.seconds(&format!("container_cpu_{m}_seconds_total"), &[], r, 100.0);
    }

    let r = b.rng.log_uniform(1e-3, 0.5);
    b.seconds(
        "container_cpu_usage_seconds_total",
        &[("cpu", "total")],
        r,
        1e9,
    );

    b.count("container_cpu_cfs_periods_total", &[], 0.5, 10.0, 0.0);
    b.count(
        "container_cpu_cfs_throttled_periods_total",
        &[],
        1e-3,
        0.5,
        0.4,
    );

    b.seconds("container_cpu_cfs_throttled_seconds_total", &[], 1e-3, 1e9);

    for n in ["usage", "working_set", "rss", "cache", "mapped_file"] {
        b.walk(
            &format!(
                "container_memory_{n}{}",
                if n == "usage" || n == "working_set" {
                    "_bytes"
                } else {
                    ""
                }
            ),
            &[],
            3e3..2e5,
            40.0,
            0.6,
            4096.0,
        );
    }

    b.constant("container_memory_swap", &[], 0.0);
    b.constant("container_memory_failcnt", &[], 0.0);

    b.count(
        "container_memory_failures_total",
        &[("failure_type", "pgfault"), ("scope", "container")],
        1.0,
        500.0,
        0.0,
    );

    b.constant(
        "container_memory_failures_total",
        &[("failure_type", "pgmajfault"), ("scope", "container")],
        12.0,
    );

    for d in ["receive", "transmit"] {
        b.bytes(
            &format!("container_network_{d}_bytes_total"),
            &[("interface", "eth0")],
            1e2,
            1e6,
        );

        b.count(
            &format!("container_network_{d}_packets_total"),
            &[("interface", "eth0")],
            0.5,
            2e3,
            0.0,
        );

        b.constant(
            &format!("container_network_{d}_errors_total"),
            &[("interface", "eth0")],
            0.0,
        );

        b.constant(
            &format!("container_network_{d}_packets_dropped_total"),
            &[("interface", "eth0")],
            0.0,
        );
    }

    for d in ["reads", "writes"] {
        b.count(
            &format!("container_fs_{d}_bytes_total"),
            &[("device", "/dev/nvme0n1")],
            10.0,
            1e5,
            0.5,
        );

        b.count(
            &format!("container_fs_{d}_total"),
            &[("device", "/dev/nvme0n1")],
            0.01,
            30.0,
            0.5,
        );
    }

    for (n, v) in [
        ("cpu_period", 100000.0),
        ("cpu_quota", 200000.0),
        ("cpu_shares", 512.0),
        ("memory_limit_bytes", 1073741824.0),
        ("memory_reservation_limit_bytes", 0.0),
    ] {
        b.constant(&format!("container_spec_{n}"), &[], v);
    }

    b.constant("container_start_time_seconds", &[], now_s.floor() - 86400.0);
    b.one("container_last_seen", &[], Behaviour::Clock { lag: 1.0 });
    b.walk("container_threads", &[], 5.0..90.0, 1.0, 0.1, 1.0);
    b.walk("container_processes", &[], 1.0..4.0, 1.0, 0.01, 1.0);
    b.walk("container_file_descriptors", &[], 9.0..200.0, 2.0, 0.2, 1.0);
    b.walk("container_sockets", &[], 3.0..90.0, 2.0, 0.2, 1.0);
}

/// The series of one pod that kube-state-metrics exposes.
pub(super) fn kube_state(b: &mut Builder<'_>, now_s: f64) {
    b.constant(
        "kube_pod_info",
        &[
            ("host_ip", "10.0.0.1"),
            ("created_by_kind", "ReplicaSet"),
            ("priority_class", "default"),
        ],
        1.0,
    );

    for p in ["Pending", "Running", "Succeeded", "Failed", "Unknown"] {
        b.constant(
            "kube_pod_status_phase",
            &[("phase", p)],
            f64::from(u8::from(p == "Running")),
        );
    }

    for c in ["true", "false", "unknown"] {
        b.constant(
            "kube_pod_status_ready",
            &[("condition", c)],
            f64::from(u8::from(c == "true")),
        );
    }

    for n in ["running", "waiting", "terminated", "ready"] {
        b.constant(
            &format!("kube_pod_container_status_{n}"),
            &[],
            f64::from(u8::from(n == "running" || n == "ready")),
        );
    }

    b.count(
        "kube_pod_container_status_restarts_total",
        &[],
        1e-5,
        1e-4,
        0.9,
    );

    for (r, u, v) in [("cpu", "core", 0.5), ("memory", "byte", 536870912.0)] {
        b.constant(
            "kube_pod_container_resource_requests",
            &[("resource", r), ("unit", u)],
            v,
        );

        b.constant(
            "kube_pod_container_resource_limits",
            &[("resource", r), ("unit", u)],
            v * 2.0,
        );
    }

    b.constant("kube_pod_created", &[], now_s.floor() - 86400.0);
    b.constant("kube_pod_start_time", &[], now_s.floor() - 86390.0);

    b.constant(
        "kube_pod_owner",
        &[
            ("owner_kind", "ReplicaSet"),
            ("owner_is_controller", "true"),
        ],
        1.0,
    );

    b.constant("kube_pod_labels", &[("label_tier", "backend")], 1.0);
}

/// The series that the application `name` exposes itself.
pub(super) fn application(b: &mut Builder<'_>, now_s: f64, name: &str) {
    process::scrape_meta(b, 290.0);
    b.constant(
        "build_info",
        &[
            ("branch", "main"),
            ("revision", "4f1c2ab"),
            ("version", "1.42.0"),
        ],
        1.0,
    );

    http_requests(b);
    latencies(b);
    grpc(b, name);
    clients(b);
    gauges(b);
    process::go_runtime(b, now_s);
}

fn http_requests(b: &mut Builder<'_>) {
    for p in PATHS {
        for (m, c, r) in [
            ("GET", "200", 8.0),
            ("POST", "200", 1.0),
            ("GET", "404", 0.02),
            ("GET", "500", 0.005),
            ("POST", "503", 0.0),
        ] {
            let e = [("code", c), ("method", m), ("path", p)];
            if r == 0.0 {
                b.constant("http_requests_total", &e, 0.0)
            } else {
                b.count(
                    "http_requests_total",
                    &e,
                    r * 0.1,
                    r * 10.0,
                    if r < 0.1 { 0.4 } else { 0.0 },
                )
            }
        }
    }
}

fn latencies(b: &mut Builder<'_>) {
    for p in &PATHS[..5] {
        let r = b.rng.log_uniform(0.02, 40.0);
        let m = b.rng.log_uniform(0.006, 0.3);

        b.histogram(
            "http_request_duration_seconds",
            &[("handler", p), ("method", "GET")],
            &LATENCY_BOUNDS,
            r,
            m,
        );
    }

    for q in ["select", "insert", "update"] {
        let r = b.rng.log_uniform(0.02, 60.0);
        let m = b.rng.log_uniform(0.001, 0.05);

        b.histogram(
            "db_query_duration_seconds",
            &[("db", "main"), ("op", q)],
            &LATENCY_BOUNDS[..11],
            r,
            m,
        );
    }
}

fn grpc(b: &mut Builder<'_>, name: &str) {
    for m in ["Get", "List", "Put", "Delete", "Watch"] {
        for (c, r) in [("OK", 5.0), ("NotFound", 0.01), ("Unavailable", 0.001)] {
            b.count(
                "grpc_server_handled_total",
                &[("grpc_code", c), ("grpc_method", m), ("grpc_service", name)],
                r * 0.1,
                r * 10.0,
                if r < 0.1 { 0.6 } else { 0.05 },
            );
        }
    }
}

fn clients(b: &mut Builder<'_>) {
    for s in ["billing", "stock", "mail"] {
        let r = b.rng.log_uniform(0.002, 10.0);
        let m = b.rng.log_uniform(0.002, 0.2);

        b.summary(
            "rpc_client_duration_seconds",
            &[("service", s)],
            &[0.5, 0.9, 0.99],
            r,
            m,
        );
    }
}

fn gauges(b: &mut Builder<'_>) {
    for c in ["l1", "l2"] {
        let m = 0.5 + 0.4 * b.rng.unit();
        b.ratio("cache_hit_ratio", &[("cache", c)], m, 0.01);
        b.walk("cache_entries", &[("cache", c)], 1e3..9e4, 40.0, 0.8, 1.0);
    }

    b.walk("queue_depth", &[("queue", "in")], 0.0..60.0, 5.0, 0.6, 1.0);
    b.walk(
        "queue_depth",
        &[("queue", "dead")],
        0.0..3.0,
        1.0,
        0.01,
        1.0,
    );

    b.walk(
        "db_connections",
        &[("state", "idle")],
        0.0..20.0,
        2.0,
        0.4,
        1.0,
    );

    b.walk(
        "db_connections",
        &[("state", "used")],
        0.0..20.0,
        2.0,
        0.4,
        1.0,
    );

    b.ratio("worker_utilization", &[], 0.4, 0.05);
    b.reading("request_size_average_bytes", &[], 1450.0, 200.0, 30.0, 3);

    for f in ["new_checkout", "dark_mode", "beta_search"] {
        b.constant("feature_enabled", &[("flag", f)], (f.len() % 2) as f64);
    }
}
