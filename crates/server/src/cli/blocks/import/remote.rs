//! Imports the samples of a running server by remote read.

use duramen_model::{Matcher, TimeRange};
use duramen_transfer::remote_read;
use reqwest::Client;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use url::Url;

use super::outcome::{Done, Outcome, Pieces};
use super::pieces::{end_shown, import_run, show};
use super::target::Target;

/// An answer of more bytes is asked for again in halves.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// A window that was halved down to this is asked for as it is.
const WINDOW_MS_MIN: i64 = 60_000;

/// What is asked for.
pub(super) struct RemoteRead {
    pub(super) url: Url,
    pub(super) matchers: Vec<Matcher>,
    /// As it was given, to tell imports apart.
    pub(super) selector: String,
    pub(super) range: TimeRange,
    pub(super) window_ms: i64,
}

impl RemoteRead {
    /// Imports window by window, aligned to the length of a window. A window that was imported
    /// before is not asked for.
    ///
    /// Requests for each window: 1 to the server, and those of reading the manifest, of uploading
    /// its blocks, and of one edit.
    pub(super) async fn import(&self, target: &Target) -> Outcome {
        let mut pieces = Pieces::default();
        let mut waiting = self.windows();
        let client = Client::new();
        waiting.reverse();

        let error = loop {
            let Some(window) = waiting.pop() else {
                break None;
            };

            match self.window(&client, window, target, &mut pieces).await {
                Ok(true) => show(&format!("to {} ms", window.end_ms()), &pieces),
                Ok(false) => waiting.extend(halves(window)),
                Err(error) => break Some(error),
            }
        };

        end_shown();
        Outcome {
            input: self.url.to_string(),
            done: Done::Pieces(pieces),
            error,
        }
    }

    fn windows(&self) -> Vec<TimeRange> {
        let mut windows = Vec::new();
        let mut start_ms = self.range.start_ms();

        while start_ms < self.range.end_ms() {
            let window = start_ms.div_euclid(self.window_ms).saturating_add(1);
            let end_ms = window.saturating_mul(self.window_ms);
            let end_ms = end_ms.min(self.range.end_ms());

            windows.extend(TimeRange::new(start_ms, end_ms));
            start_ms = end_ms;
        }

        windows
    }

    /// Imports a window. Returns whether the answer was small enough.
    async fn window(
        &self,
        client: &Client,
        window: TimeRange,
        target: &Target,
        pieces: &mut Pieces,
    ) -> anyhow::Result<bool> {
        let source = format!("remote read of {} {}", self.url, self.selector);
        let what = format!("{source} {} {}", window.start_ms(), window.end_ms());

        if target.begin(&what).await?.is_none() {
            pieces.there += 1;
            return Ok(true);
        }

        let Some((content_type, body)) = self.ask(client, window).await? else {
            return Ok(false);
        };

        let run = remote_read::run(&content_type, &body, ANSWER_BYTES_MAX, &source, window)?;
        import_run(&what, run, target, pieces).await?;
        Ok(true)
    }

    /// Returns the content type and the body of an answer; `None` if it is too large.
    async fn ask(
        &self,
        client: &Client,
        window: TimeRange,
    ) -> anyhow::Result<Option<(String, Vec<u8>)>> {
        let request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Read-Version", "0.1.0")
            .body(remote_read::request(&self.matchers, window));

        let mut answer = request.send().await?;
        let status = answer.status();

        if !status.is_success() {
            let said = answer.text().await.unwrap_or_default();
            let said: String = said.chars().take(300).collect();
            anyhow::bail!("{} answered {status}: {said}", self.url);
        }

        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let mut body = Vec::new();

        while let Some(piece) = answer.chunk().await? {
            body.extend_from_slice(&piece);

            if body.len() > ANSWER_BYTES_MAX {
                let length_ms = window.end_ms() - window.start_ms();
                anyhow::ensure!(
                    length_ms > WINDOW_MS_MIN,
                    "the answer for one minute has more than {ANSWER_BYTES_MAX} bytes: --match takes fewer series"
                );
                return Ok(None);
            }
        }

        Ok(Some((content_type, body)))
    }
}

/// Returns both halves, the second one first.
fn halves(window: TimeRange) -> impl Iterator<Item = TimeRange> {
    let middle_ms = window.start_ms() + (window.end_ms() - window.start_ms()) / 2;

    [
        TimeRange::new(middle_ms, window.end_ms()),
        TimeRange::new(window.start_ms(), middle_ms),
    ]
    .into_iter()
    .flatten()
}
