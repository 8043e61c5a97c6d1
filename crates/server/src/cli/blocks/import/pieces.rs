//! Imports what is taken in pieces: texts, and the answers of a running server.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use duramen_block::BlockLimits;
use duramen_transfer::{Reader, Run, RunReport, SortedRun};

use super::outcome::{Done, Outcome, Pieces};
use super::target::Target;

/// Imports a text, run by run. A run that was imported before is passed over. After an error, the
/// runs before it are imported.
///
/// Requests for each run: those of reading the manifest, of uploading its blocks, and of one edit.
pub(super) async fn import_text(
    input: String,
    mut reader: Box<dyn Reader>,
    target: &Target,
) -> Outcome {
    let mut pieces = Pieces::default();

    let error = loop {
        let reading = tokio::task::spawn_blocking(move || {
            let run = reader.next_run();
            (reader, run)
        });

        let run = match reading.await {
            Err(_) => break Some(anyhow::anyhow!("the import was stopped")),
            Ok((_, Err(error))) => break Some(error.into()),
            Ok((_, Ok(None))) => break None,
            Ok((back, Ok(Some(run)))) => {
                reader = back;
                run
            }
        };

        let last_line = run.last_line;
        let what = format!("run {:032x}", run.digest);

        if let Err(error) = import_run(&what, run, target, &mut pieces).await {
            break Some(error);
        }

        show(&format!("line {last_line}"), &pieces);
    };

    end_shown();
    Outcome {
        input,
        done: Done::Pieces(pieces),
        error,
    }
}

/// Imports one run, unless it was imported before.
pub(super) async fn import_run(
    what: &str,
    run: Run,
    target: &Target,
    pieces: &mut Pieces,
) -> anyhow::Result<()> {
    if run.is_empty() {
        return Ok(());
    }

    let Some(mut lot) = target.begin(what).await? else {
        pieces.there += 1;
        return Ok(());
    };

    let sorting = tokio::task::spawn_blocking(move || SortedRun::of(run));
    let sorted = Arc::new(sorting.await.context("the import was stopped")??);
    let mut report = RunReport::default();

    for day in sorted.days() {
        let window = sorted.window(day);
        let create = target.creator(window);
        let of_day = Arc::clone(&sorted);

        let writing =
            tokio::task::spawn_blocking(move || of_day.write(day, BlockLimits::default(), create));

        let (siblings, written) = writing.await.context("the import was stopped")??;
        report.add(&written);
        lot.put(window, siblings).await?;
    }

    let (blocks, bytes) = lot.commit().await?;
    pieces.report.add(&report);
    pieces.imported += 1;
    pieces.blocks += blocks;
    pieces.bytes += bytes;
    Ok(())
}

/// Shows on a terminal how far an import is.
pub(super) fn show(place: &str, pieces: &Pieces) {
    if !std::io::stderr().is_terminal() {
        return;
    }

    #[expect(clippy::print_stderr, reason = "progress on a terminal")]
    {
        eprint!(
            "\r{place}: {} samples, {} blocks, {} pieces were there ",
            pieces.report.samples, pieces.blocks, pieces.there
        );
    }
}

pub(super) fn end_shown() {
    #[expect(clippy::print_stderr, reason = "progress on a terminal")]
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}
