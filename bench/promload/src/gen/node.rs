//! The series of a node: what a node_exporter of one machine with 8 cores, 2 disks and 4 networks
//! exposes.

use super::behaviour::Behaviour;
use super::process;
use super::series::Builder;

/// Adds all series of one node, in a fixed order. `now_s` is the start of the data in seconds.
pub(super) fn node_exporter(b: &mut Builder<'_>, now_s: f64) {
    process::scrape_meta(b, 560.0);
    cpus(b);
    memory(b);
    disks(b);
    networks(b);
    file_systems(b);
    load_and_temperatures(b);
    kernel_counters(b);
    system(b, now_s);
    collectors(b);
    process::go_runtime(b, now_s);
}

fn cpus(b: &mut Builder<'_>) {
    for c in 0..8 {
        let c = c.to_string();

        for (m, r) in [
            ("idle", 0.72),
            ("user", 0.16),
            ("system", 0.06),
            ("iowait", 0.01),
            ("softirq", 0.006),
            ("steal", 0.0),
            ("nice", 0.0004),
            ("irq", 0.0),
        ] {
            let e = [("cpu", c.as_str()), ("mode", m)];
            if r == 0.0 {
                b.constant("node_cpu_seconds_total", &e, 0.0)
            } else {
                let r = r * (0.7 + 0.6 * b.rng.unit());
                b.seconds("node_cpu_seconds_total", &e, r, 100.0)
            }
        }

        b.constant(
            "node_cpu_guest_seconds_total",
            &[("cpu", &c), ("mode", "user")],
            0.0,
        );

        b.constant(
            "node_cpu_guest_seconds_total",
            &[("cpu", &c), ("mode", "nice")],
            0.0,
        );

        b.count(
            "node_softnet_processed_total",
            &[("cpu", &c)],
            1e2,
            1e4,
            0.0,
        );

        b.constant("node_softnet_dropped_total", &[("cpu", &c)], 0.0);
        b.count(
            "node_softnet_times_squeezed_total",
            &[("cpu", &c)],
            1e-3,
            0.1,
            0.3,
        );

        b.seconds(
            "node_schedstat_running_seconds_total",
            &[("cpu", &c)],
            0.3,
            1e9,
        );

        b.seconds(
            "node_schedstat_waiting_seconds_total",
            &[("cpu", &c)],
            0.02,
            1e9,
        );

        b.count(
            "node_schedstat_timeslices_total",
            &[("cpu", &c)],
            1e2,
            1e4,
            0.0,
        );

        b.walk(
            "node_cpu_scaling_frequency_hertz",
            &[("cpu", &c)],
            1.2e6..3.5e6,
            1e5,
            0.8,
            1000.0,
        );
    }
}

fn memory(b: &mut Builder<'_>) {
    b.constant("node_memory_MemTotal_bytes", &[], 67433414656.0);

    for n in [
        "MemFree",
        "MemAvailable",
        "Buffers",
        "Cached",
        "Active",
        "Inactive",
        "Active_anon",
        "Inactive_anon",
        "Active_file",
        "Inactive_file",
        "AnonPages",
        "Mapped",
        "Shmem",
        "Slab",
        "KReclaimable",
    ] {
        b.walk(
            &format!("node_memory_{n}_bytes"),
            &[],
            1e5..9e6,
            900.0,
            1.0,
            4096.0,
        );
    }

    for n in [
        "Dirty",
        "Writeback",
        "SReclaimable",
        "SUnreclaim",
        "PageTables",
        "KernelStack",
        "Committed_AS",
        "Percpu",
        "AnonHugePages",
    ] {
        b.walk(
            &format!("node_memory_{n}_bytes"),
            &[],
            1e3..9e4,
            30.0,
            0.6,
            4096.0,
        );
    }

    for n in [
        "SwapTotal",
        "SwapFree",
        "SwapCached",
        "HugePages_Total",
        "HugePages_Free",
        "HugePages_Rsvd",
        "HugePages_Surp",
        "Hugepagesize",
        "HardwareCorrupted",
        "VmallocTotal",
        "VmallocUsed",
        "VmallocChunk",
        "CommitLimit",
        "Bounce",
        "NFS_Unstable",
        "WritebackTmp",
        "Unevictable",
        "Mlocked",
        "DirectMap2M",
        "DirectMap4k",
    ] {
        let v = if b.rng.unit() < 0.5 {
            0.0
        } else {
            (b.rng.below(1 << 24) * 4096) as f64
        };
        b.constant(&format!("node_memory_{n}_bytes"), &[], v);
    }
}

fn disks(b: &mut Builder<'_>) {
    for d in ["nvme0n1", "sda"] {
        let e = [("device", d)];

        for n in [
            "reads_completed",
            "writes_completed",
            "reads_merged",
            "writes_merged",
            "flush_requests",
        ] {
            b.count(&format!("node_disk_{n}_total"), &e, 0.1, 300.0, 0.1);
        }

        b.bytes("node_disk_read_bytes_total", &e, 1e3, 1e7);
        b.bytes("node_disk_written_bytes_total", &e, 1e4, 3e7);

        for n in [
            "read_time_seconds_total",
            "write_time_seconds_total",
            "io_time_seconds_total",
            "io_time_weighted_seconds_total",
            "flush_requests_time_seconds_total",
        ] {
            let r = b.rng.log_uniform(1e-3, 0.3);
            b.seconds(&format!("node_disk_{n}"), &e, r, 1000.0);
        }

        b.walk("node_disk_io_now", &e, 0.0..6.0, 1.0, 0.3, 1.0);
        b.constant(
            "node_disk_info",
            &[("device", d), ("major", "259"), ("minor", "0")],
            1.0,
        );
    }
}

fn networks(b: &mut Builder<'_>) {
    for (d, lo, hi) in [
        ("eth0", 1e4, 3e7),
        ("lo", 1e2, 1e6),
        ("cni0", 1e3, 1e7),
        ("docker0", 0.0, 0.0),
    ] {
        let e = [("device", d)];
        for dir in ["receive", "transmit"] {
            if hi > 0.0 {
                b.bytes(&format!("node_network_{dir}_bytes_total"), &e, lo, hi);
                b.count(
                    &format!("node_network_{dir}_packets_total"),
                    &e,
                    lo / 700.0,
                    hi / 700.0,
                    0.0,
                );
            } else {
                b.constant(&format!("node_network_{dir}_bytes_total"), &e, 0.0);
                b.constant(&format!("node_network_{dir}_packets_total"), &e, 0.0);
            }

            for n in ["errs", "drop", "fifo", "compressed"] {
                b.count(
                    &format!("node_network_{dir}_{n}_total"),
                    &e,
                    1e-4,
                    0.05,
                    0.9,
                );
            }
        }
        for (n, v) in [
            ("up", 1.0),
            ("mtu_bytes", 1500.0),
            ("speed_bytes", 1.25e9),
            ("carrier", 1.0),
            ("transmit_queue_length", 1000.0),
            ("flags", 4099.0),
            ("iface_id", 2.0),
            ("dormant", 0.0),
        ] {
            b.constant(&format!("node_network_{n}"), &e, v);
        }
    }
}

fn file_systems(b: &mut Builder<'_>) {
    for (m, f) in [
        ("/", "ext4"),
        ("/boot", "ext4"),
        ("/run", "tmpfs"),
        ("/var/lib/kubelet", "xfs"),
    ] {
        let e = [
            ("device", "/dev/nvme0n1p1"),
            ("fstype", f),
            ("mountpoint", m),
        ];
        b.constant("node_filesystem_size_bytes", &e, 105089261568.0);
        let p = if m == "/boot" { 0.0 } else { 0.7 };
        for n in ["free_bytes", "avail_bytes"] {
            b.walk(
                &format!("node_filesystem_{n}"),
                &e,
                1e6..2e7,
                200.0,
                p,
                4096.0,
            );
        }
        b.constant("node_filesystem_files", &e, 6553600.0);
        b.walk(
            "node_filesystem_files_free",
            &e,
            5e6..6e6,
            5.0,
            p * 0.6,
            1.0,
        );
        b.constant("node_filesystem_readonly", &e, 0.0);
        b.constant("node_filesystem_device_error", &e, 0.0);
    }
}

fn load_and_temperatures(b: &mut Builder<'_>) {
    for (n, s) in [("1", 0.12), ("5", 0.05), ("15", 0.02)] {
        b.reading(&format!("node_load{n}"), &[], 2.5, 1.2, s, 2);
    }

    for (i, d) in [1, 1, 1, 3, 2, 1].iter().enumerate() {
        let s = format!("temp{}", i + 1);
        let m = 38.0 + b.rng.unit() * 20.0;

        b.reading(
            "node_hwmon_temp_celsius",
            &[("chip", "platform_coretemp_0"), ("sensor", &s)],
            m,
            4.0,
            0.4,
            *d,
        );

        b.constant(
            "node_hwmon_temp_max_celsius",
            &[("chip", "platform_coretemp_0"), ("sensor", &s)],
            100.0,
        );
    }
}

fn kernel_counters(b: &mut Builder<'_>) {
    for n in [
        "pgfault",
        "pgpgin",
        "pgpgout",
        "pgmajfault",
        "pswpin",
        "pswpout",
        "oom_kill",
    ] {
        let i = if n.starts_with("ps") || n == "oom_kill" {
            1.0
        } else {
            0.0
        };
        b.count(&format!("node_vmstat_{n}"), &[], 1.0, 1e4, i);
    }

    for n in [
        "Icmp_InErrors",
        "Icmp_InMsgs",
        "Icmp_OutMsgs",
        "IpExt_InOctets",
        "IpExt_OutOctets",
        "Ip_Forwarding",
        "TcpExt_ListenDrops",
        "TcpExt_ListenOverflows",
        "TcpExt_SyncookiesFailed",
        "TcpExt_SyncookiesRecv",
        "TcpExt_SyncookiesSent",
        "TcpExt_TCPSynRetrans",
        "TcpExt_TCPTimeouts",
        "Tcp_ActiveOpens",
        "Tcp_CurrEstab",
        "Tcp_InErrs",
        "Tcp_InSegs",
        "Tcp_OutRsts",
        "Tcp_OutSegs",
        "Tcp_PassiveOpens",
        "Tcp_RetransSegs",
        "Udp_InDatagrams",
        "Udp_InErrors",
        "Udp_NoPorts",
        "Udp_OutDatagrams",
        "Udp_RcvbufErrors",
        "Udp_SndbufErrors",
    ] {
        let idle = if n.contains("Err") || n.contains("Sync") || n.contains("Listen") {
            0.85
        } else {
            0.1
        };
        b.count(&format!("node_netstat_{n}"), &[], 0.01, 2e3, idle);
    }

    for n in [
        "TCP_alloc",
        "TCP_inuse",
        "TCP_mem",
        "TCP_orphan",
        "TCP_tw",
        "UDP_inuse",
        "UDP_mem",
        "sockets_used",
        "RAW_inuse",
        "FRAG_inuse",
    ] {
        b.walk(
            &format!("node_sockstat_{n}"),
            &[],
            0.0..300.0,
            4.0,
            0.5,
            1.0,
        );
    }

    for n in ["context_switches", "intr", "forks"] {
        b.count(&format!("node_{n}_total"), &[], 10.0, 3e4, 0.0);
    }
}

fn system(b: &mut Builder<'_>, now_s: f64) {
    b.walk("node_procs_running", &[], 1.0..9.0, 2.0, 0.8, 1.0);
    b.walk("node_procs_blocked", &[], 0.0..3.0, 1.0, 0.1, 1.0);

    b.walk(
        "node_entropy_available_bits",
        &[],
        256.0..257.0,
        0.0,
        0.0,
        1.0,
    );

    let boot = now_s.floor() - b.rng.below(9_000_000) as f64;
    b.constant("node_boot_time_seconds", &[], boot);
    b.one("node_time_seconds", &[], Behaviour::Clock { lag: 0.0 });

    b.constant(
        "node_uname_info",
        &[
            ("domainname", "(none)"),
            ("machine", "x86_64"),
            ("release", "6.1.0-21-amd64"),
            ("sysname", "Linux"),
            ("version", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1"),
        ],
        1.0,
    );

    b.reading("node_timex_offset_seconds", &[], 0.0, 0.0, 3e-5, 9);
    b.reading(
        "node_timex_frequency_adjustment_ratio",
        &[],
        1.0,
        0.0,
        1e-8,
        12,
    );

    for n in [
        "tick_seconds",
        "sync_status",
        "status",
        "pps_shift_seconds",
        "tai_offset_seconds",
        "loop_time_constant",
    ] {
        b.constant(&format!("node_timex_{n}"), &[], 2.0);
    }
}

fn collectors(b: &mut Builder<'_>) {
    for c in [
        "arp",
        "bonding",
        "conntrack",
        "cpu",
        "diskstats",
        "entropy",
        "filefd",
        "filesystem",
        "hwmon",
        "loadavg",
        "mdadm",
        "meminfo",
        "netclass",
        "netdev",
        "netstat",
        "pressure",
        "schedstat",
        "sockstat",
        "softnet",
        "stat",
        "time",
        "timex",
        "udp_queues",
        "uname",
        "vmstat",
        "xfs",
    ] {
        let m = b.rng.log_uniform(1e-5, 5e-3);
        b.one(
            "node_scrape_collector_duration_seconds",
            &[("collector", c)],
            Behaviour::Noise { mean: m },
        );
        b.constant("node_scrape_collector_success", &[("collector", c)], 1.0);
    }
}
