//! Records of the requests: a log, and counters as a bill would have them.

use std::collections::VecDeque;

use serde::Serialize;

use super::call::Op;
use super::range::ByteRange;

/// One request. The log has the order in which requests ended. For concurrent requests this may
/// differ from the order of their commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLog {
    pub op: Op,
    /// The key. [`Op`] says what it is for operations that are not about one object.
    pub key: String,
    /// The requested range, whatever the answer was.
    pub range: Option<ByteRange>,
    /// Whether this is a write with `If-None-Match` or `If-Match`.
    pub conditional: bool,
    /// The status, or `None` if the connection was dropped without an answer.
    pub status: Option<u16>,
    /// The bytes of the payload that came in, and of the body that went out. Headers are not
    /// counted.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The access key of the signature, if there is one.
    pub access_key: Option<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// The time at which the whole request had arrived.
    pub at_ms: i64,
}

/// Requests and bytes since the start or the last reset. Failed requests count as well, because a
/// store bills them too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub gets: u64,
    pub heads: u64,
    pub puts: u64,
    pub copies: u64,
    pub lists: u64,
    /// Requests that delete one object.
    pub deletes: u64,
    /// Requests that delete several objects. Each counts once, however many keys it names.
    pub bulk_deletes: u64,
    pub uploads_created: u64,
    pub parts: u64,
    pub uploads_completed: u64,
    pub uploads_aborted: u64,
    /// Requests about the bucket, and requests that are not supported.
    pub others: u64,
    /// How many of these requests were answered 400 or higher, or dropped.
    pub failures: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Counts {
    /// Returns the number of all requests.
    pub fn requests(&self) -> u64 {
        self.writes_billed()
            + self.gets
            + self.heads
            + self.deletes
            + self.bulk_deletes
            + self.uploads_aborted
            + self.others
    }

    /// Returns the number of requests that S3 bills at the high price: PUT, COPY, POST and LIST.
    /// Deletes are free.
    pub fn writes_billed(&self) -> u64 {
        self.puts
            + self.copies
            + self.lists
            + self.uploads_created
            + self.parts
            + self.uploads_completed
    }

    fn add(&mut self, entry: &RequestLog) {
        let counter = match entry.op {
            Op::Get => &mut self.gets,
            Op::Head => &mut self.heads,
            Op::Put => &mut self.puts,
            Op::Copy => &mut self.copies,
            Op::List => &mut self.lists,
            Op::Delete => &mut self.deletes,
            Op::DeleteMany => &mut self.bulk_deletes,
            Op::CreateUpload => &mut self.uploads_created,
            Op::PutPart => &mut self.parts,
            Op::CompleteUpload => &mut self.uploads_completed,
            Op::AbortUpload => &mut self.uploads_aborted,
            Op::HeadBucket | Op::GetVersioning | Op::GetObjectLock | Op::Other => &mut self.others,
        };

        *counter += 1;
        self.failures += u64::from(entry.status.is_none_or(|status| status >= 400));
        self.bytes_in += entry.bytes_in;
        self.bytes_out += entry.bytes_out;
    }
}

/// The log, which has a limit, and the counters.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) counts: Counts,
    pub(super) log: VecDeque<RequestLog>,
}

impl Records {
    /// Counts and logs a request. If the log is full, its oldest entry is dropped.
    pub(super) fn add(&mut self, entry: RequestLog, entries_max: usize) {
        self.counts.add(&entry);
        self.log.push_back(entry);

        while self.log.len() > entries_max {
            self.log.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_forgets_its_oldest_but_counts_on() {
        let entry = |key: &str| RequestLog {
            op: Op::Put,
            key: key.to_owned(),
            range: None,
            conditional: false,
            status: Some(200),
            bytes_in: 2,
            bytes_out: 0,
            access_key: None,
            session_token: None,
            at_ms: 0,
        };

        let mut records = Records::default();
        for key in ["a", "b", "c"] {
            records.add(entry(key), 2);
        }

        assert_eq!(records.log, [entry("b"), entry("c")]);
        assert_eq!(
            records.counts,
            Counts {
                puts: 3,
                bytes_in: 6,
                ..Counts::default()
            }
        );

        assert_eq!(records.counts.requests(), 3);
    }
}
