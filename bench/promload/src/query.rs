//! Asks a server each query of a file some times in a row and says how long it took.

use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::http::{Client, Response, Url};
use crate::latency::Latencies;
use crate::process::Usage;
use crate::query_file::{Query, Selection};

/// The queries to ask, and how often to ask each.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) url: Url,
    pub(crate) selection: Selection,
    pub(crate) repeat: usize,
    /// The server's process, to measure.
    pub(crate) pid: Option<u32>,
    /// Where to write the figures as JSON.
    pub(crate) json: Option<String>,
}

/// The measured times of one query, all in ms, and its answer.
struct Measured {
    first: f64,
    /// The repetitions after the first.
    warm: Latencies,
    /// The CPU time of the server, if its process is known.
    server_cpu: Option<ServerCpu>,
    status: Option<u16>,
    bytes: usize,
    answer: Result<Answer>,
}

/// The CPU time of the server, in ms.
#[derive(Clone, Copy, Default)]
struct ServerCpu {
    first: f64,
    /// The mean of the repetitions after the first.
    warm: f64,
}

/// Sums over the queries that were answered; a quick refusal is no speed.
#[derive(Default)]
struct Totals {
    first: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

/// Prints a table. Queries the server refuses are listed with its words and are in no sum.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.repeat > 0, "a query has to be asked once at least");

    let queries = options.selection.load()?;
    let mut client = Client::new(&options.url.host);
    println!(
        "{:28} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8} {:>9}  hash",
        "query", "first", "p50", "p95", "max", "cpu ms", "series", "points", "bytes"
    );

    let mut totals = Totals::default();
    let mut figures = vec![];

    for query in &queries {
        let measured = measure(options, &mut client, query)?;
        figures.push(report(query, &measured, &mut totals));
    }

    println!(
        "{:28} {:8.2} {:8.2} {:8.2} {:8.2}",
        "TOTAL", totals.first, totals.p50, totals.p95, totals.max
    );

    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string(&figures)?)?;
    }

    Ok(())
}

fn measure(options: &Options, client: &mut Client, query: &Query) -> Result<Measured> {
    let path = options.url.path.clone() + &query.path;
    let cpu = || options.pid.map(Usage::of).transpose();
    let before = cpu()?;
    let mut between = None;
    let mut times = vec![];
    let mut last = Err(anyhow!("not asked"));

    for request in 0..options.repeat {
        let started = Instant::now();
        last = client.get(&path);
        times.push(started.elapsed().as_secs_f64() * 1e3);

        if request == 0 {
            between = cpu()?;
        }
    }

    let server_cpu = before.zip(between).zip(cpu()?);
    let server_cpu = server_cpu.map(|((before, between), after)| {
        let first = (between.cpu_s - before.cpu_s) * 1e3;
        let rest = (after.cpu_s - between.cpu_s) * 1e3;
        let repetitions = options.repeat - 1;

        // A query that is asked once has no repetitions.
        let warm = match repetitions {
            0 => first,
            repetitions => rest / repetitions as f64,
        };

        ServerCpu { first, warm }
    });
    let warm = if times.len() > 1 {
        times[1..].to_vec()
    } else {
        times.clone()
    };

    let status = last.as_ref().ok().map(|response| response.status);
    let bytes = last.as_ref().map_or(0, |response| response.body.len());

    Ok(Measured {
        first: times[0],
        warm: Latencies::new(warm),
        server_cpu,
        status,
        bytes,
        answer: last.and_then(|r| read(&r)),
    })
}

fn read(response: &Response) -> Result<Answer> {
    let answer = Answer::parse(&response.body)?;
    ensure!(
        response.status == 200,
        "an answer with the status of an error. status=`{}`",
        response.status
    );

    Ok(answer)
}

/// Prints one line, adds to the totals, and returns the same as JSON.
fn report(query: &Query, measured: &Measured, totals: &mut Totals) -> Value {
    let [best, p50, p95, max] = [0.0, 0.5, 0.95, 1.0].map(|q| measured.warm.quantile(q));
    let times = format!(
        "{:28} {:8.2} {p50:8.2} {p95:8.2} {max:8.2}",
        query.name, measured.first
    );

    let answer = match &measured.answer {
        Ok(answer) => answer,
        Err(error) => {
            println!("{times} ERROR {error:#}");
            return json!({"name": query.name, "status": measured.status, "error": format!("{error:#}")});
        }
    };

    totals.first += measured.first;
    totals.p50 += p50;
    totals.p95 += p95;
    totals.max += max;

    let series = answer.series.len();
    let points = answer.points();
    let digest = format!("{:016x}", answer.digest());
    let cpu = measured.server_cpu.map_or(f64::NAN, |cpu| cpu.warm);
    let server_cpu = measured.server_cpu.unwrap_or_default();

    println!(
        "{times} {cpu:8.1} {series:7} {points:8} {:9}  {digest}",
        measured.bytes
    );

    json!({
        "name": query.name,
        "status": measured.status,
        "first": measured.first,
        "best": best,
        "p50": p50,
        "p95": p95,
        "max": max,
        "first_cpu_ms": server_cpu.first,
        "cpu_ms": server_cpu.warm,
        "series": series,
        "points": points,
        "hash": digest,
    })
}
