//! The series that every target has: those of the scrape itself, and those of a Go process.

use super::behaviour::Behaviour;
use super::series::Builder;

/// The series that a scraper adds to a scrape of `samples` samples.
pub(super) fn scrape_meta(b: &mut Builder<'_>, samples: f64) {
    b.one("up", &[], Behaviour::Up);
    b.one(
        "scrape_duration_seconds",
        &[],
        Behaviour::Noise { mean: 0.02 },
    );

    b.constant("scrape_samples_scraped", &[], samples);
    b.constant("scrape_samples_post_metric_relabeling", &[], samples);
    b.constant("scrape_series_added", &[], 0.0);
}

/// The series that the Go client library exposes by itself.
pub(super) fn go_runtime(b: &mut Builder<'_>, now_s: f64) {
    b.walk("go_goroutines", &[], 20.0..400.0, 3.0, 0.7, 1.0);
    b.walk("go_threads", &[], 8.0..30.0, 1.0, 0.02, 1.0);
    b.constant("go_info", &[("version", "go1.22.5")], 1.0);

    for (i, q) in ["0", "0.25", "0.5", "0.75", "1"].iter().enumerate() {
        let m = 2e-5 * 4f64.powi(i as i32);
        b.reading(
            "go_gc_duration_seconds",
            &[("quantile", q)],
            m,
            0.0,
            m * 0.05,
            9,
        );
    }

    b.seconds("go_gc_duration_seconds_sum", &[], 2e-5, 1e9);
    b.count("go_gc_duration_seconds_count", &[], 0.008, 0.1, 0.0);

    for n in [
        "alloc_bytes",
        "heap_alloc_bytes",
        "heap_inuse_bytes",
        "heap_idle_bytes",
    ] {
        b.walk(&format!("go_memstats_{n}"), &[], 1e6..9e7, 4e5, 1.0, 8.0);
    }

    for n in [
        "heap_released_bytes",
        "heap_sys_bytes",
        "stack_inuse_bytes",
        "sys_bytes",
        "next_gc_bytes",
    ] {
        b.walk(&format!("go_memstats_{n}"), &[], 1e2..9e3, 8.0, 0.1, 8192.0);
    }

    for n in [
        "buck_hash_sys_bytes",
        "gc_sys_bytes",
        "mcache_inuse_bytes",
        "mcache_sys_bytes",
        "mspan_sys_bytes",
        "other_sys_bytes",
        "stack_sys_bytes",
        "lookups_total",
    ] {
        let v = b.rng.below(1 << 22) as f64;
        b.constant(&format!("go_memstats_{n}"), &[], v);
    }

    b.bytes("go_memstats_alloc_bytes_total", &[], 1e4, 1e7);
    b.count("go_memstats_mallocs_total", &[], 1e2, 1e5, 0.0);
    b.count("go_memstats_frees_total", &[], 1e2, 1e5, 0.0);
    b.walk("go_memstats_heap_objects", &[], 1e4..9e5, 5e3, 1.0, 1.0);

    b.one(
        "go_memstats_last_gc_time_seconds",
        &[],
        Behaviour::Clock { lag: 40.0 },
    );

    let r = b.rng.log_uniform(0.003, 0.6);
    b.seconds("process_cpu_seconds_total", &[], r, 100.0);
    b.walk("process_open_fds", &[], 9.0..200.0, 2.0, 0.15, 1.0);
    b.constant("process_max_fds", &[], 1048576.0);

    b.walk(
        "process_resident_memory_bytes",
        &[],
        5e3..9e4,
        60.0,
        0.5,
        4096.0,
    );

    b.walk(
        "process_virtual_memory_bytes",
        &[],
        3e5..4e5,
        20.0,
        0.02,
        4096.0,
    );

    b.constant(
        "process_virtual_memory_max_bytes",
        &[],
        1.8446744073709552e19,
    );

    let st = now_s - b.rng.below(2_000_000) as f64 + (b.rng.below(100) as f64) / 100.0;
    b.constant("process_start_time_seconds", &[], st);
}
