//! From a whole request to its response: access, faults, and the operation itself.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;
use parking_lot::Mutex;

use super::answer::{Answer, Dropped, Refusal};
use super::bucket::Bucket;
use super::call::{Call, Op};
use super::clock;
use super::faults::{Decision, Fault, Faults, Point};
use super::options::S3Options;
use super::records::{Records, RequestLog};

/// The state that all connections share. It outlives an outage. No lock is held across an await,
/// and never two at the same time.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) data: Mutex<ServerData>,
    pub(super) faults: Mutex<Faults>,
    pub(super) records: Mutex<Records>,
    pub(super) outage: AtomicBool,
}

/// The data behind the one lock: the bucket, and the options of the server.
#[derive(Debug)]
pub(super) struct ServerData {
    pub(super) bucket: Bucket,
    pub(super) options: S3Options,
}

impl Shared {
    /// Carries out a request, and logs it before the response is sent.
    pub(super) async fn exchange(&self, head: Parts, body: Bytes) -> Result<Answer, Dropped> {
        if head.uri.path().starts_with("/_admin/") && self.data.lock().options.admin {
            return Ok(self.admin(&head));
        }

        let at_ms = clock::now_ms();
        let resource = head.uri.path().to_owned();
        let bytes_in = body.len() as u64;
        let call = match Call::read(head, body) {
            Ok(call) => call,
            Err(refusal) => return Ok(self.refuse(&refusal, resource, bytes_in, at_ms)),
        };

        let answer = match self.admit(&call) {
            Err(refusal) => Ok(refusal.answer(&resource)),
            Ok(()) => self.serve(&call, &resource).await,
        };

        let answer = match call.op {
            Op::Head | Op::HeadBucket => answer.map(Answer::without_body),
            _ => answer,
        };

        self.record(call, at_ms, answer.as_ref().ok());
        answer
    }

    /// Refuses every request during an outage, and requests that are not signed with the right key.
    fn admit(&self, call: &Call) -> Result<(), Refusal> {
        if self.outage.load(Ordering::Acquire) {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "an outage",
            ));
        }

        let Some(access_key) = &call.access_key else {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "AccessDenied",
                "the request is not signed",
            ));
        };

        let wrong_key = self
            .data
            .lock()
            .options
            .require_key
            .as_ref()
            .is_some_and(|required| required != access_key);

        match wrong_key {
            true => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "InvalidAccessKeyId",
                "this key is not known",
            )),
            false => Ok(()),
        }
    }

    async fn serve(&self, call: &Call, resource: &str) -> Result<Answer, Dropped> {
        let Decision { delay, fault } = self.faults.lock().decide(call);
        if !delay.is_zero() {
            clock::pause(delay).await;
        }

        if let Some(outcome) = instead(fault.as_ref()) {
            return outcome.map(|refusal| refusal.answer(resource));
        }

        if let Some(Fault::HoldUntil {
            point: Point::BeforeCommit,
            gate,
        }) = &fault
        {
            gate.pass().await;
        }

        let done = {
            let mut data = self.data.lock();
            let ServerData { bucket, options } = &mut *data;
            bucket.perform(call, options, clock::now_ms())
        };

        if let Some(Fault::HoldUntil {
            point: Point::AfterCommit,
            gate,
        }) = &fault
        {
            gate.pass().await;
        }

        let answer = done.unwrap_or_else(|refusal| refusal.answer(resource));
        spoil(answer, call.op, fault, resource)
    }

    fn record(&self, call: Call, at_ms: i64, answer: Option<&Answer>) {
        self.add_record(RequestLog {
            op: call.op,
            range: call.range(),
            conditional: call.is_conditional_write(),
            status: answer.map(|answer| answer.status.as_u16()),
            bytes_in: call.body.len() as u64,
            bytes_out: answer.map_or(0, Answer::bytes_out),
            key: call.key,
            access_key: call.access_key,
            session_token: call.session_token,
            at_ms,
        });
    }

    /// Answers a request that cannot be parsed. It is logged under its raw path.
    fn refuse(&self, refusal: &Refusal, path: String, bytes_in: u64, at_ms: i64) -> Answer {
        let answer = refusal.answer(&path);
        self.add_record(RequestLog {
            op: Op::Other,
            key: path,
            range: None,
            conditional: false,
            status: Some(answer.status.as_u16()),
            bytes_in,
            bytes_out: answer.bytes_out(),
            access_key: None,
            session_token: None,
            at_ms,
        });

        answer
    }

    fn add_record(&self, entry: RequestLog) {
        let entries_max = self.data.lock().options.log_entries_max;
        self.records.lock().add(entry, entries_max);
    }

    /// `GET /_admin/counts`, `POST /_admin/reset`, `POST /_admin/outage/on` and `.../off`.
    fn admin(&self, head: &Parts) -> Answer {
        match (head.method.as_str(), head.uri.path()) {
            ("GET", "/_admin/counts") => {
                let counts = self.records.lock().counts;
                match serde_json::to_string(&counts) {
                    Ok(json) => Answer::json(json),
                    Err(_) => Answer::new(StatusCode::INTERNAL_SERVER_ERROR),
                }
            }
            ("POST", "/_admin/reset") => {
                *self.records.lock() = Records::default();
                Answer::new(StatusCode::NO_CONTENT)
            }
            ("POST", "/_admin/outage/on") => self.switch(true),
            ("POST", "/_admin/outage/off") => self.switch(false),
            _ => Answer::new(StatusCode::NOT_FOUND),
        }
    }

    fn switch(&self, outage: bool) -> Answer {
        self.outage.store(outage, Ordering::Release);
        Answer::new(StatusCode::NO_CONTENT)
    }
}

/// Returns what happens instead of the operation, if the fault prevents it.
fn instead(fault: Option<&Fault>) -> Option<Result<Refusal, Dropped>> {
    let refusal = match fault? {
        Fault::ResetBeforeCommit => return Some(Err(Dropped)),
        Fault::Status(status) => injected(*status),
        Fault::Conflict409 => {
            let message = "another request for this key is under way";
            Refusal::new(StatusCode::CONFLICT, "ConditionalRequestConflict", message)
        }
        Fault::Forbidden403 => Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "injected"),
        Fault::ExpiredToken => Refusal::new(
            StatusCode::FORBIDDEN,
            "ExpiredToken",
            "the token has expired",
        ),
        Fault::ClockSkew => Refusal::new(
            StatusCode::FORBIDDEN,
            "RequestTimeTooSkewed",
            "the clocks differ too much",
        ),
        _ => return None,
    };

    Some(Ok(refusal))
}

fn injected(status: u16) -> Refusal {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = match status {
        StatusCode::SERVICE_UNAVAILABLE => "SlowDown",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        _ => "Injected",
    };

    Refusal::new(status, code, "injected")
}

/// Damages the response to a request that was carried out. The body is damaged only for a
/// successful GET.
fn spoil(answer: Answer, op: Op, fault: Option<Fault>, resource: &str) -> Result<Answer, Dropped> {
    let carries_object = op == Op::Get && answer.status.is_success();

    match fault {
        Some(Fault::Status500AfterCommit) => Ok(injected(500).answer(resource)),
        Some(Fault::ResetAfterCommit) => Err(Dropped),
        Some(Fault::TruncateBody(bytes)) if carries_object => Ok(answer.truncated(bytes)),
        Some(Fault::ShortenBody(bytes)) if carries_object => Ok(answer.shortened(bytes)),
        Some(Fault::FlipBit { offset }) if carries_object => Ok(answer.flipped(offset)),
        Some(Fault::Trickle { piece_bytes, pause }) if carries_object => {
            Ok(answer.trickled(piece_bytes, pause))
        }
        _ => Ok(answer),
    }
}
