//! What became of the inputs of an import, as text and as JSON.

use std::fmt::Write as _;

use duramen_blocks::ImportReport;
use duramen_transfer::RunReport;
use serde_json::{Value as Json, json};

/// What became of one input.
pub(super) struct Outcome {
    pub(super) input: String,
    pub(super) done: Done,
    pub(super) error: Option<anyhow::Error>,
}

/// What was done of an input, before an error or all of it.
pub(super) enum Done {
    /// A block of a TSDB.
    Block {
        report: ImportReport,
        blocks: usize,
        bytes: u64,
    },
    /// An input that is taken in pieces.
    Pieces(Pieces),
    /// It is marked for deletion, so it was passed over.
    Marked,
    /// It was imported before, or nothing was done.
    Nothing,
}

/// What was done of an input that is taken in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pieces {
    pub(super) report: RunReport,
    pub(super) imported: u64,
    /// Pieces that were imported before.
    pub(super) there: u64,
    pub(super) blocks: usize,
    pub(super) bytes: u64,
}

pub(super) fn told(outcomes: &[Outcome]) -> String {
    let mut text = String::new();

    for Outcome { input, done, error } in outcomes {
        // Writing to a text cannot fail.
        let _ = match (done, error) {
            (
                Done::Block {
                    report,
                    blocks,
                    bytes,
                },
                _,
            ) => writeln!(
                text,
                "imported  {input}: {} series, {} samples, {} histograms, {} deleted, {} repeated -> {blocks} blocks, {bytes} bytes",
                report.series, report.samples, report.histograms, report.deleted, report.repeated
            ),
            (Done::Pieces(pieces), _) => writeln!(
                text,
                "imported  {input}: {} series, {} samples, {} histograms, {} exemplars, {} families, {} repeated -> {} blocks, {} bytes; {} of {} pieces were there",
                pieces.report.series,
                pieces.report.samples,
                pieces.report.histograms,
                pieces.report.exemplars,
                pieces.report.families,
                pieces.report.repeated,
                pieces.blocks,
                pieces.bytes,
                pieces.there,
                pieces.there + pieces.imported
            ),
            (Done::Marked, _) => writeln!(text, "marked    {input}: its owner deletes it"),
            (Done::Nothing, None) => writeln!(text, "there     {input}"),
            (Done::Nothing, Some(_)) => Ok(()),
        };

        if let Some(error) = error {
            let _ = writeln!(text, "FAILED    {input}: {error:#}");
        }
    }

    text
}

pub(super) fn in_json(Outcome { input, done, error }: &Outcome) -> Json {
    let mut json = match done {
        Done::Block {
            report,
            blocks,
            bytes,
        } => json!({
            "directory": input,
            "outcome": "imported",
            "series": report.series,
            "samples": report.samples,
            "histograms": report.histograms,
            "deleted": report.deleted,
            "repeated": report.repeated,
            "blocks": blocks,
            "bytes": bytes,
        }),
        Done::Pieces(pieces) => json!({
            "input": input,
            "outcome": if pieces.imported == 0 && pieces.there > 0 { "there" } else { "imported" },
            "series": pieces.report.series,
            "samples": pieces.report.samples,
            "histograms": pieces.report.histograms,
            "exemplars": pieces.report.exemplars,
            "families": pieces.report.families,
            "repeated": pieces.report.repeated,
            "pieces": pieces.imported,
            "piecesThere": pieces.there,
            "blocks": pieces.blocks,
            "bytes": pieces.bytes,
        }),
        Done::Marked => json!({ "directory": input, "outcome": "marked" }),
        Done::Nothing => json!({ "directory": input, "outcome": "there" }),
    };

    if let Some(error) = error {
        json["outcome"] = "failed".into();
        json["error"] = format!("{error:#}").into();
    }

    json
}
