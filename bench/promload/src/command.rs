//! The command line.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use crate::duration::parse_ms;
use crate::http::Url;
use crate::process::Usage;
use crate::query_file::{Selection, Span};
use crate::{codec, column, decode, diff, export, floor, r#gen, query, replay, sink, write};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generates realistic data; the same options give the same bytes
    Gen(GenArgs),
    /// Sends a .rw file to a remote-write receiver; prints figures as JSON
    Write(WriteArgs),
    /// Asks a server the queries of a file; prints their times
    Query(QueryArgs),
    /// Asks two servers the queries of a file and compares the answers; fails when they differ
    Diff(DiffArgs),
    /// Saves the raw samples of a server as a .col file
    Export(ExportArgs),
    /// Turns a .col file back into a .rw file
    Replay(ReplayArgs),
    /// Estimates the entropy of a data set
    Floor(CodecArgs),
    /// Receives and forgets: the floor of the protocol
    Sink(SinkArgs),
    /// Size and decoding speed of simple codecs
    CodecBench(CodecArgs),
    /// The cost of decoding write requests, without a network
    DecodeBench(DecodeArgs),
    /// Prints the header of a .rw or .col file as JSON
    Info(InfoArgs),
    /// Prints CPU time, memory and writes of a process as JSON
    Stat(StatArgs),
}

impl Command {
    /// False when the command has done its work and the verdict is a failure.
    pub(crate) fn run(self) -> Result<bool> {
        match self {
            Self::Gen(args) => args.run()?,
            Self::Write(args) => write::run(&args.into())?,
            Self::Query(args) => args.run()?,
            Self::Diff(args) => {
                return diff::run(
                    &args.a,
                    &args.b,
                    &args.selection.selection()?,
                    args.tolerance,
                );
            }
            Self::Export(args) => {
                let span = Span {
                    start_ms: args.start,
                    end_ms: args.end,
                };

                export::run(&args.url, &args.selectors, span, args.window, &args.out)?;
            }
            Self::Replay(args) => replay::run(&args.into())?,
            Self::Floor(args) => floor::run(&args.file, args.max_series)?,
            Self::Sink(args) => sink::run(args.port, args.mode)?,
            Self::CodecBench(args) => codec::run(&args.file, args.max_series)?,
            Self::DecodeBench(args) => decode::run(&args.file, args.limit, args.loops)?,
            Self::Info(args) => println!("{}", column::read_header(&args.file)?.to_json()),
            Self::Stat(args) => println!("{}", Usage::of(args.pid)?.to_json()),
        }

        Ok(true)
    }
}

#[derive(Args, Debug)]
pub(crate) struct GenArgs {
    #[arg(long)]
    out: String,
    /// Series active at any time
    #[arg(long, default_value_t = 10_000)]
    series: usize,
    #[arg(long, default_value = "15s", value_parser = parse_ms)]
    interval: i64,
    #[arg(long, default_value = "1h", value_parser = parse_ms)]
    duration: i64,
    /// First scrapes, in ms since the epoch
    #[arg(long, default_value_t = 1_760_400_000_000)]
    start: i64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of the pods replaced per hour
    #[arg(long, default_value_t = 0.0)]
    churn: f64,
    /// Share of the scrapes that arrive late
    #[arg(long, default_value_t = 0.0)]
    ooo: f64,
    /// How late they are
    #[arg(long, default_value = "2m", value_parser = parse_ms)]
    ooo_delay: i64,
    /// Largest deviation of a scrape in ms; up to 2 there is none
    #[arg(long, default_value_t = 8)]
    jitter: i64,
    /// Share of the scrapes that deviate
    #[arg(long, default_value_t = 0.02)]
    jitter_share: f64,
    /// Share of the scrapes that fail
    #[arg(long, default_value_t = 0.0005)]
    miss: f64,
    /// Restarts of a target per day
    #[arg(long, default_value_t = 0.2)]
    resets: f64,
    /// Samples in a full request
    #[arg(long, default_value_t = 2000)]
    batch: u32,
    /// A series stays in one of so many independent streams of requests
    #[arg(long, default_value_t = 8)]
    shards: usize,
}

impl GenArgs {
    fn run(self) -> Result<()> {
        let started = Instant::now();
        let options = r#gen::Options {
            series: self.series,
            interval_ms: self.interval,
            duration_ms: self.duration,
            start_ms: self.start,
            seed: self.seed,
            churn_per_hour: self.churn,
            ooo: self.ooo,
            ooo_delay_ms: self.ooo_delay,
            jitter_ms: self.jitter,
            jitter_share: self.jitter_share,
            miss: self.miss,
            resets_per_day: self.resets,
            batch: self.batch,
            shards: self.shards,
        };

        let header = r#gen::run(&options, &self.out)?;
        println!("{}", header.to_json());

        println!(
            "{:.1} raw B/sample, {:.1} s",
            header.raw_bytes_per_sample(),
            started.elapsed().as_secs_f64()
        );

        Ok(())
    }
}

#[derive(Args, Debug)]
pub(crate) struct WriteArgs {
    #[arg(long = "in")]
    file: String,
    /// The address of the receiver, such as http://127.0.0.1:9090/api/v1/write
    #[arg(long)]
    url: Url,
    /// Another header, as name=value
    #[arg(long)]
    header: Vec<String>,
    /// Connections
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// Samples per second; without it as fast as they are taken
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// The server's process, to measure
    #[arg(long)]
    pid: Option<u32>,
    /// Stops after so many samples
    #[arg(long)]
    limit: Option<u64>,
}

fn positive(text: &str) -> Result<f64> {
    let number: f64 = text.parse()?;
    ensure!(number > 0.0, "not positive. number=`{text}`");
    Ok(number)
}

impl From<WriteArgs> for write::Options {
    fn from(args: WriteArgs) -> Self {
        let WriteArgs {
            file,
            url,
            header: headers,
            concurrency,
            rate,
            pid,
            limit,
        } = args;

        Self {
            file,
            url,
            headers,
            concurrency,
            rate,
            pid,
            limit,
        }
    }
}

/// Which queries, over what time.
#[derive(Args, Debug)]
pub(crate) struct SelectionArgs {
    /// The file of queries
    #[arg(long)]
    queries: String,
    /// The data file whose time the queries are about
    #[arg(long, required_unless_present_all = ["start", "end"])]
    data: Option<String>,
    /// Start of the data in ms since the epoch
    #[arg(long, conflicts_with = "data")]
    start: Option<i64>,
    /// End of the data in ms since the epoch
    #[arg(long, conflicts_with = "data")]
    end: Option<i64>,
    /// Only queries whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Added to each query string, such as &nocache=1
    #[arg(long, default_value = "")]
    extra: String,
}

impl SelectionArgs {
    fn selection(self) -> Result<Selection> {
        let span = match &self.data {
            Some(path) => {
                let header = column::read_header(path)?;
                Span {
                    start_ms: header.start_ms,
                    end_ms: header.end_ms,
                }
            }
            None => Span {
                start_ms: self.start.unwrap_or(0),
                end_ms: self.end.unwrap_or(0),
            },
        };

        Ok(Selection {
            file: self.queries,
            span,
            only: self.only,
            extra: self.extra,
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    /// The address of the server, such as http://127.0.0.1:9090
    #[arg(long)]
    url: Url,
    #[command(flatten)]
    selection: SelectionArgs,
    /// How often each query is asked; the first time counts apart
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// The server's process, to measure
    #[arg(long)]
    pid: Option<u32>,
    /// Where to write the figures as JSON
    #[arg(long)]
    json: Option<String>,
}

impl QueryArgs {
    fn run(self) -> Result<()> {
        let selection = self.selection.selection()?;
        query::run(&query::Options {
            url: self.url,
            selection,
            repeat: self.repeat,
            pid: self.pid,
            json: self.json,
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    #[arg(long)]
    a: Url,
    #[arg(long)]
    b: Url,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Relative difference of values that counts as none
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[arg(long)]
    url: Url,
    /// A selector, such as {job="node"}
    #[arg(long = "match", required = true)]
    selectors: Vec<String>,
    /// In ms since the epoch
    #[arg(long)]
    start: i64,
    /// The end, inclusive, in ms since the epoch
    #[arg(long)]
    end: i64,
    #[arg(long)]
    out: String,
    /// Asks for so much at a time
    #[arg(long, default_value = "5m", value_parser = parse_ms)]
    window: i64,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[arg(long = "in")]
    file: String,
    #[arg(long)]
    out: String,
    /// Keeps each n-th sample of a series
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Added to all timestamps, in ms
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    shift: i64,
    /// Repeats the set under as many values of the label `replica`
    #[arg(long, default_value_t = 1)]
    copies: usize,
    #[arg(long, default_value_t = 2000)]
    batch: u32,
    #[arg(long, default_value_t = 8)]
    shards: usize,
}

impl From<ReplayArgs> for replay::Options {
    fn from(args: ReplayArgs) -> Self {
        let ReplayArgs {
            file,
            out,
            every,
            shift: shift_ms,
            copies,
            batch,
            shards,
        } = args;

        Self {
            file,
            out,
            batch,
            shards,
            every,
            shift_ms,
            copies,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct CodecArgs {
    /// A .rw or .col file
    #[arg(long = "in")]
    file: String,
    /// Takes about so many series, spread over the file
    #[arg(long)]
    max_series: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct SinkArgs {
    #[arg(long, default_value_t = 18_999)]
    port: u16,
    #[arg(long, value_enum)]
    mode: sink::Mode,
}

#[derive(Args, Debug)]
pub(crate) struct DecodeArgs {
    #[arg(long = "in")]
    file: String,
    /// Takes the first so many samples
    #[arg(long)]
    limit: Option<u64>,
    /// The best of so many passes counts
    #[arg(long, default_value_t = 3)]
    loops: usize,
}

#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    #[arg(long = "in")]
    file: String,
}

#[derive(Args, Debug)]
pub(crate) struct StatArgs {
    #[arg(long)]
    pid: u32,
}
