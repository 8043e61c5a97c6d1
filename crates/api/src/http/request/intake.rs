//! Bodies of requests. They are read as they come, within a time and at a least rate, and are
//! counted before they are kept.
//!
//! A body comes in from its connection, and [`Received`] goes out, which stays counted until it is
//! dropped. A body takes no memory before its bytes arrive, whatever length it announces. The
//! decoder of a complete body reserves the memory for decoding in one step. So no body holds one
//! part of the memory for requests while it waits for another part of it.

mod room;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use duramen_qos::{Account, Full, Share, Use};
use duramen_runtime::Clock;
use duramen_settings::duration;
use futures::{Stream, StreamExt};
use room::{Place, Room};

use crate::http::config::BodyBounds;

/// The time before a body's rate counts, because connections start slowly.
const RATE_GRACE: Duration = Duration::from_secs(5);
/// The longest time without a byte, however fast the body was before.
const STALL_MAX: Duration = Duration::from_secs(10);
/// The longest time without a byte while other bodies wait for the end of this one.
const STALL_MAX_OF_ELDER: Duration = Duration::from_secs(1);
/// The first size of a body's buffer, which doubles.
const BUFFER_BYTES_MIN: usize = 16 << 10;
/// The memory for forms that are being read or whose queries wait. It has room for eight of the
/// largest forms, or for thousands of those that dashboards send.
const FORMS_BYTES_MAX: usize = 64 << 20;

/// Reads bodies of one kind. Writes and queries have one each, so that neither keeps the other out.
#[derive(Debug)]
pub struct Intake {
    room: Arc<Room>,
    account: Arc<Account>,
    wanted: Use,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// The longest time that a body waits for room, in all.
    wait_max: Duration,
}

impl Intake {
    /// Makes the intake for the bodies of writes.
    pub fn of_writes(bounds: &BodyBounds, account: &Arc<Account>, clock: &Arc<dyn Clock>) -> Self {
        Self::new(bounds.writes_bytes_max, Use::Body, bounds, account, clock)
    }

    /// Makes the intake for forms and other small bodies.
    pub fn of_forms(bounds: &BodyBounds, account: &Arc<Account>, clock: &Arc<dyn Clock>) -> Self {
        Self::new(FORMS_BYTES_MAX, Use::Query, bounds, account, clock)
    }

    fn new(
        bytes_max: usize,
        wanted: Use,
        bounds: &BodyBounds,
        account: &Arc<Account>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            room: Room::new(bytes_max),
            account: Arc::clone(account),
            wanted,
            clock: Arc::clone(clock),
            pace: Pace {
                whole_max: bounds.read_max,
                bytes_per_second_min: bounds.bytes_per_second_min,
            },
            wait_max: bounds.wait_max,
        }
    }
}

/// The speed that a body must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    whole_max: Duration,
    bytes_per_second_min: usize,
}

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the body is too large. bytes_max=`{bytes_max}`")]
    TooLarge { bytes_max: usize },
    #[error(
        "the body came too slowly. bytes=`{bytes}`, seconds=`{}`, http.body_bytes_per_second_min=`{}`, http.body_read_max=`{}`",
        took.as_secs(), pace.bytes_per_second_min, duration::print(pace.whole_max)
    )]
    Slow {
        bytes: usize,
        took: Duration,
        pace: Pace,
    },
    #[error("too many bodies are being read. http.bodies_bytes_max=`{bytes_max}`")]
    Crowded { bytes_max: usize },
    #[error(transparent)]
    Memory(#[from] Full),
    #[error("the body cannot be read: {0}")]
    Broken(String),
}

impl Fault {
    /// Marks the answer to a request whose body was given up: the connection ends after it, because
    /// the rest of the body is not read.
    pub(crate) fn close(&self, mut response: Response) -> Response {
        if !matches!(self, Self::Broken(_)) {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }

        response
    }
}

/// A body that was read to its end.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    counted: Counted,
}

/// The memory of a body, which is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    _place: Place,
    _share: Share,
}

impl Received {
    /// Returns the bytes and their count apart, for a caller that replaces the bytes by something
    /// of about the same size.
    pub(crate) fn into_parts(self) -> (Bytes, Counted) {
        (self.bytes.into(), self.counted)
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Intake {
    /// Reads the whole of a body that has at most `bytes_max`.
    ///
    /// # Errors
    /// If the headers announce too much, before a byte is read; otherwise as soon as the fault is
    /// known. After an error no memory is held.
    pub(crate) async fn read(
        &self,
        tenant: &str,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Received, Fault> {
        let announced = announced_bytes(headers);
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Fault::TooLarge { bytes_max });
        }

        let frames = body
            .into_data_stream()
            .map(|frame| frame.map_err(|e| Fault::Broken(e.to_string())));
        self.collect(tenant, announced.unwrap_or(bytes_max), frames, bytes_max)
            .await
    }

    async fn collect(
        &self,
        tenant: &str,
        expected: usize,
        mut frames: impl Stream<Item = Result<Bytes, Fault>> + Unpin,
        bytes_max: usize,
    ) -> Result<Received, Fault> {
        let mut place = self.room.enter(tenant);
        let mut share = self.account.share(self.wanted);
        let mut bytes: Vec<u8> = Vec::new();
        let started = self.clock.monotonic();

        // The time in which the body waited for room does not count against its sender.
        let mut waited = Duration::ZERO;

        loop {
            let took = self
                .clock
                .monotonic()
                .saturating_sub(started)
                .saturating_sub(waited);

            let patience = self.pace.patience(took, bytes.len());
            let is_elder = place.is_elder();

            let patience = if is_elder {
                patience.min(STALL_MAX_OF_ELDER)
            } else {
                patience
            };

            if took >= self.pace.whole_max {
                return Err(self.too_slow(bytes.len(), took));
            }

            let frame = tokio::select! {
                biased;
                frame = frames.next() => frame.transpose()?,
                () = self.clock.sleep(patience) => {
                    return Err(if is_elder { self.crowded() } else { self.too_slow(bytes.len(), took + patience) });
                }
            };

            let Some(frame) = frame else {
                return Ok(Received {
                    bytes,
                    counted: Counted {
                        _place: place,
                        _share: share,
                    },
                });
            };

            let needed = bytes.len().saturating_add(frame.len());
            if needed > bytes_max {
                return Err(Fault::TooLarge { bytes_max });
            }

            if needed > bytes.capacity() {
                // Frames are copied, because each of thousands of tiny frames would keep a buffer
                // of its connection alive.
                let doubled = bytes.capacity().saturating_mul(2).max(BUFFER_BYTES_MIN);
                let wanted = doubled.min(expected.max(needed)).max(needed);
                let more = wanted - bytes.capacity();

                share.grow(more)?;
                waited += self.wait_for_room(&mut place, more, waited).await?;
                bytes.reserve_exact(wanted - bytes.len());
            }

            bytes.extend_from_slice(&frame);
        }
    }

    /// Waits until a body may grow, and returns how long it waited.
    async fn wait_for_room(
        &self,
        place: &mut Place,
        bytes: usize,
        waited: Duration,
    ) -> Result<Duration, Fault> {
        if place.try_grow(bytes) {
            return Ok(Duration::ZERO);
        }

        let from = self.clock.monotonic();
        tokio::select! {
            biased;
            () = place.grow(bytes) => Ok(self.clock.monotonic().saturating_sub(from)),
            () = self.clock.sleep(self.wait_max.saturating_sub(waited)) => Err(self.crowded()),
        }
    }

    fn too_slow(&self, bytes: usize, took: Duration) -> Fault {
        Fault::Slow {
            bytes,
            took,
            pace: self.pace,
        }
    }

    fn crowded(&self) -> Fault {
        Fault::Crowded {
            bytes_max: self.room.bytes_max(),
        }
    }
}

impl Pace {
    /// Returns how long a body may go on without another byte, after `bytes` have come in `took`.
    fn patience(&self, took: Duration, bytes: usize) -> Duration {
        let per_second = self.bytes_per_second_min.max(1);
        let enough_for = Duration::from_secs_f64(bytes as f64 / per_second as f64);
        let end = enough_for.max(RATE_GRACE).min(self.whole_max);

        end.saturating_sub(took).min(STALL_MAX)
    }
}

/// Returns the length that the sender announces. The limit applies to the body itself as well.
fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    let announced: u64 = headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;

    Some(usize::try_from(announced).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use duramen_runtime::{MockClock, SystemClock};
    use futures::{FutureExt, stream};

    use super::*;
    use crate::http::answer::statuses;

    const PACE: Pace = Pace {
        whole_max: Duration::from_secs(60),
        bytes_per_second_min: 1000,
    };

    fn intake(bytes_max: usize, account: &Arc<Account>, clock: Arc<dyn Clock>) -> Intake {
        Intake {
            room: Room::new(bytes_max),
            account: Arc::clone(account),
            wanted: Use::Body,
            clock,
            pace: PACE,
            wait_max: Duration::from_secs(10),
        }
    }

    fn frames(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, Fault>> + Unpin + use<> {
        let frames: Vec<_> = sizes
            .iter()
            .map(|bytes| Ok(Bytes::from(vec![b'x'; *bytes])))
            .collect();

        stream::iter(frames)
    }

    #[test]
    fn a_body_has_time_to_begin_and_then_has_to_keep_its_pace() {
        let secs = Duration::from_secs;

        for (took, bytes, patience) in [
            (0, 0, 5),
            (4, 1, 1),
            (5, 5000, 0),
            (5, 8000, 3),
            (5, 1_000_000, 10),
            (55, 1_000_000, 5),
            (70, 1_000_000, 0),
        ] {
            assert_eq!(
                PACE.patience(secs(took), bytes),
                secs(patience),
                "{bytes} bytes after {took} s"
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_counted_as_it_comes_and_until_it_is_let_go() {
        let account = Account::new(1 << 30);
        let intake = intake(1 << 20, &account, Arc::new(SystemClock::default()));
        let (mut sender, receiver) = futures::channel::mpsc::unbounded();
        let mut reading = Box::pin(intake.collect("a", 32 << 20, receiver, 32 << 20));

        assert!(reading.as_mut().now_or_never().is_none());
        assert_eq!(account.used(), 0, "what is announced takes nothing");

        sender.start_send(Ok(Bytes::from_static(b"x"))).unwrap();
        assert!(reading.as_mut().now_or_never().is_none());
        assert_eq!(account.used_by(Use::Body), BUFFER_BYTES_MIN);

        drop(sender);

        let received = reading.await.unwrap();
        assert_eq!(&*received, b"x");
        assert_eq!(account.used(), BUFFER_BYTES_MIN);

        drop(received);
        assert_eq!(account.used(), 0);
    }

    #[tokio::test]
    async fn a_body_ends_at_its_limit_while_it_is_read() {
        let account = Account::new(1 << 30);
        let intake = intake(1 << 20, &account, Arc::new(SystemClock::default()));
        let endless = stream::iter(std::iter::repeat_with(|| Ok(Bytes::from(vec![b'x'; 1000]))));
        let fault = intake
            .collect("a", 1 << 20, endless, 100_000)
            .await
            .unwrap_err();

        assert_eq!(fault, Fault::TooLarge { bytes_max: 100_000 });
        assert_eq!(account.used(), 0);
    }

    #[tokio::test]
    async fn a_body_that_the_account_has_no_room_for_is_refused_at_once() {
        let account = Account::new(100_000);
        let intake = intake(1 << 20, &account, Arc::new(SystemClock::default()));
        let fault = intake
            .collect("a", 200_000, frames(&[60_000, 60_000]), 1 << 20)
            .await
            .unwrap_err();

        assert!(matches!(fault, Fault::Memory(_)), "{fault:?}");
        assert!(
            fault.to_string().contains("memory_bytes_max=`100000`"),
            "{fault}"
        );

        assert_eq!(account.used(), 0);
    }

    #[tokio::test]
    async fn many_bodies_at_once_all_pass_a_room_that_holds_few_of_them() {
        let account = Account::new(1 << 30);
        let intake = intake(1 << 20, &account, Arc::new(SystemClock::default()));

        // Each body comes in nine parts that alternate with those of the others. Together they are
        // forty times as large as the room.
        let bodies = (0..400).map(|_| async {
            let parts = frames(&[12_000; 9]).then(|frame| async {
                tokio::task::yield_now().await;
                frame
            });

            let received = intake
                .collect("a", 108_000, Box::pin(parts), 1 << 20)
                .await?;
            tokio::task::yield_now().await;
            Ok::<_, Fault>(received.len())
        });

        let read = futures::future::join_all(bodies).await;
        assert!(
            read.iter().all(|bytes| *bytes == Ok(108_000)),
            "{:?}",
            read.iter().find(|bytes| bytes.is_err())
        );

        assert_eq!(account.used(), 0);
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up_in_time() {
        let account = Account::new(1 << 30);
        let clock = MockClock::at(0);
        let intake = intake(1 << 20, &account, Arc::<MockClock>::clone(&clock));
        let still = frames(&[1]).chain(stream::pending());
        let mut reading = Box::pin(intake.collect("a", 32 << 20, still, 32 << 20));

        assert!(reading.as_mut().now_or_never().is_none());

        clock.advance(RATE_GRACE);

        let fault = reading.await.unwrap_err();
        assert_eq!(statuses::of_body(&fault).0, StatusCode::REQUEST_TIMEOUT);

        assert!(
            fault
                .to_string()
                .contains("http.body_bytes_per_second_min=`1000`"),
            "{fault}"
        );

        assert_eq!(account.used(), 0);
    }
}
