//! The state of one connection, which its requests and its socket share: which requests are in
//! work, and how long an answer has waited for the client.
//!
//! A request is in work from its head until the last byte of its answer leaves for the socket.
//! While an answer waits for its client, two times are measured: since the client last took
//! anything, and in all. The watcher of the connection calls [`Link::verdict`], and cuts the
//! connection when that returns a reason.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use duramen_qos::{Account, Full, Share, Use};
use duramen_runtime::Clock;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::http::edge::crowd::Member;

/// How long clients may keep answers and connections waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The longest time without a request in work.
    pub(crate) idle: Duration,
    /// The longest time in which the client takes nothing of an answer.
    pub(crate) stall: Duration,
    /// The longest time that an answer waits for its client in all.
    pub(crate) answer: Duration,
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    Idle,
    AnswerStalled,
    AnswerSlow,
}

impl Reason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::AnswerStalled => "answer_stalled",
            Self::AnswerSlow => "answer_slow",
        }
    }
}

/// The requests in work on a connection, and the times of its client.
#[derive(Debug)]
pub(crate) struct Link {
    clock: Arc<dyn Clock>,
    account: Arc<Account>,
    /// When bytes last left for the socket, in milliseconds of the monotonic clock.
    written_ms: AtomicU64,
    state: Mutex<State>,
    /// Notified when the first request comes or the last one ends.
    pub(crate) changed: Notify,
}

#[derive(Debug)]
struct State {
    requests: HashMap<u64, Sending>,
    next: u64,
    /// The time at which the connection last became idle.
    idle_since: Duration,
    /// The connection's place among all connections; `None` if it is not counted among others.
    member: Option<Member>,
}

/// How long an answer has waited. Before there is an answer, nothing waits for the client.
#[derive(Clone, Copy, Debug, Default)]
struct Sending {
    /// The time since which the last bytes wait for the client.
    waits_since: Option<Duration>,
    waited: Duration,
}

impl Link {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        account: Arc<Account>,
        member: Option<Member>,
    ) -> Arc<Self> {
        let now = clock.monotonic();
        let state = State {
            requests: HashMap::new(),
            next: 0,
            idle_since: now,
            member,
        };

        let link = Self {
            clock,
            account,
            written_ms: AtomicU64::new(ms(now)),
            state: Mutex::new(state),
            changed: Notify::new(),
        };

        Arc::new(link)
    }

    /// Adds a request to those in work. It stays in work until the guard and everything that was
    /// answered with it is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Arc<Work> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.requests.insert(number, Sending::default());

        let is_first = state.requests.len() == 1;
        if is_first && let Some(member) = &mut state.member {
            member.work();
        }

        drop(state);
        if is_first {
            self.changed.notify_one();
        }

        Arc::new(Work {
            link: Arc::clone(self),
            number,
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().requests.len()
    }

    /// Returns the reason to cut the connection now, or else the longest time after which to ask
    /// again.
    pub(crate) fn verdict(&self, patience: &Patience) -> Result<Duration, Reason> {
        let now = self.clock.monotonic();
        let written = Duration::from_millis(self.written_ms.load(Ordering::Relaxed));
        let state = self.state.lock();

        if state.requests.is_empty() {
            let idle = now.saturating_sub(state.idle_since);
            return patience
                .idle
                .checked_sub(idle)
                .filter(|left| !left.is_zero())
                .ok_or(Reason::Idle);
        }

        for Sending {
            waits_since,
            waited,
        } in state.requests.values()
        {
            let Some(since) = *waits_since else { continue };
            if now.saturating_sub(since.max(written)) >= patience.stall {
                return Err(Reason::AnswerStalled);
            }

            if waited.saturating_add(now.saturating_sub(since)) >= patience.answer {
                return Err(Reason::AnswerSlow);
            }
        }

        let tick = patience.stall.min(patience.answer) / 4;
        Ok(tick.clamp(Duration::from_millis(20), Duration::from_secs(1)))
    }

    fn wrote(&self) {
        self.written_ms
            .store(ms(self.clock.monotonic()), Ordering::Relaxed);
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A request in work.
#[derive(Debug)]
pub(crate) struct Work {
    link: Arc<Link>,
    number: u64,
}

impl Work {
    fn change(&self, change: impl FnOnce(&mut Sending, Duration)) {
        let now = self.link.clock.monotonic();
        if let Some(sending) = self.link.state.lock().requests.get_mut(&self.number) {
            change(sending, now);
        }
    }

    /// Notes that the client takes more, so nothing waits for it.
    fn asked(&self) {
        self.change(|sending, now| {
            if let Some(since) = sending.waits_since.take() {
                sending.waited += now.saturating_sub(since);
            }
        });
    }

    /// Notes that bytes wait for the client.
    fn handed_out(&self) {
        self.change(|sending, now| sending.waits_since = Some(now));
    }

    /// Prepares an answer for sending. Its bytes are counted while they wait for the client.
    ///
    /// A small answer is never refused, because an error in its place would not be smaller. So
    /// acknowledgements, errors and health pages get out even while queries hold the memory.
    ///
    /// # Errors
    /// The answer is in memory as a whole, and the account has no room for it.
    pub(crate) fn answer(self: Arc<Self>, response: Response) -> Result<Response, Full> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);

        let wanted = match response.extensions().get::<Vital>() {
            Some(Vital) => Use::Body,
            None => Use::Answer,
        };
        let mut share = self.link.account.share(wanted);

        if size <= SMALL_BYTES_MAX {
            share.set(size);
        } else {
            share.grow(size)?;
        }

        Ok(response.map(|inner| {
            Body::new(Outgoing {
                inner,
                work: self,
                share: Some(share),
            })
        }))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let now = self.link.clock.monotonic();
        let mut state = self.link.state.lock();
        state.requests.remove(&self.number);

        let is_last = state.requests.is_empty();
        if is_last {
            state.idle_since = now;
            if let Some(member) = &mut state.member {
                member.rest();
            }
        }

        drop(state);
        if is_last {
            self.link.changed.notify_one();
        }
    }
}

/// An extension for answers that are needed most while memory is short, such as the metrics of the
/// process. Such an answer may take memory with the priority of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vital;

/// The largest answer that is counted and never refused.
const SMALL_BYTES_MAX: usize = 16 << 10;

/// The body of an answer.
#[derive(Debug)]
struct Outgoing {
    inner: Body,
    work: Arc<Work>,
    /// The memory of a body that is in memory as a whole. It moves to the body's bytes when they
    /// are handed out.
    share: Option<Share>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.work.asked();

        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        self.work.handed_out();

        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let whole = self.share.take().filter(|share| share.bytes() > 0);

        let counted = frame.map_data(|bytes| {
            let share = whole.unwrap_or_else(|| {
                let mut share = self.work.link.account.share(Use::Answer);
                share.set(bytes.len());
                share
            });

            Bytes::from_owner(Counted {
                bytes,
                _work: Arc::clone(&self.work),
                _share: share,
            })
        });

        Poll::Ready(Some(Ok(counted)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Bytes that wait for the client. Their request is in work until the socket has them.
struct Counted {
    bytes: Bytes,
    _work: Arc<Work>,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A socket that tells its link when bytes were written.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    socket: S,
    link: Arc<Link>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(socket: S, link: Arc<Link>) -> Self {
        Self { socket, link }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, bytes));
        self.link.wrote();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(context, parts));
        self.link.wrote();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use duramen_runtime::MockClock;
    use futures::StreamExt;

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(120),
        stall: Duration::from_secs(30),
        answer: Duration::from_secs(60),
    };

    struct World {
        clock: Arc<MockClock>,
        account: Arc<Account>,
        link: Arc<Link>,
    }

    fn world(memory: usize) -> World {
        let clock = MockClock::at(0);
        let account = Account::new(memory);
        let link = Link::new(Arc::<MockClock>::clone(&clock), Arc::clone(&account), None);

        World {
            clock,
            account,
            link,
        }
    }

    impl World {
        fn pass(&self, seconds: u64) -> Option<Reason> {
            self.clock.advance(Duration::from_secs(seconds));
            self.link.verdict(&PATIENCE).err()
        }
    }

    #[test]
    fn a_connection_without_a_request_is_cut_in_time_and_one_with_a_request_is_not() {
        let world = world(1000);
        let work = world.link.begin();

        assert_eq!(
            world.pass(1000),
            None,
            "it computes for as long as it takes"
        );

        drop(work);
        assert_eq!(world.pass(119), None);
        assert_eq!(world.pass(1), Some(Reason::Idle));
    }

    #[tokio::test]
    async fn an_answer_is_in_work_until_its_bytes_are_gone() {
        let world = world(1000);
        let response = world
            .link
            .begin()
            .answer(Response::new(Body::from(vec![b'x'; 100])))
            .unwrap();

        let mut frames = response.into_body().into_data_stream();
        let bytes = frames.next().await.unwrap().unwrap();

        assert!(frames.next().await.is_none());

        drop(frames);
        assert_eq!(
            (world.link.requests(), world.account.used_by(Use::Answer)),
            (1, 100)
        );

        assert_eq!(world.pass(29), None);
        assert_eq!(world.pass(1), Some(Reason::AnswerStalled));

        world.link.wrote();
        assert_eq!(world.pass(29), None, "the client has taken something");

        world.link.wrote();
        assert_eq!(
            world.pass(1),
            Some(Reason::AnswerSlow),
            "it has waited for a minute in all"
        );

        drop(bytes);
        assert_eq!((world.link.requests(), world.account.used()), (0, 0));
    }

    #[tokio::test]
    async fn time_in_which_the_client_waits_for_the_server_is_not_its_own() {
        let world = world(1000);
        let (mut sender, receiver) = futures::channel::mpsc::unbounded();
        let body = Body::from_stream(receiver.map(Ok::<_, io::Error>));
        let response = world.link.begin().answer(Response::new(body)).unwrap();
        let mut frames = response.into_body().into_data_stream();

        for _ in 0..5 {
            let mut next = frames.next();
            assert!(futures::poll!(&mut next).is_pending());
            assert_eq!(world.pass(100), None);

            sender.start_send(Bytes::from_static(b"more")).unwrap();
            next.await.unwrap().unwrap();

            assert_eq!(world.pass(5), None);
        }
    }

    #[test]
    fn an_answer_that_there_is_no_memory_for_is_not_put_on_its_way() {
        let world = world(1000);
        let full = world
            .link
            .begin()
            .answer(Response::new(Body::from(vec![b'x'; SMALL_BYTES_MAX + 1])))
            .unwrap_err();

        assert_eq!(full.wanted, Use::Answer);
        assert_eq!((world.link.requests(), world.account.used()), (0, 0));
    }

    #[test]
    fn while_memory_is_short_small_answers_and_vital_ones_go_out() {
        let world = world(10 * SMALL_BYTES_MAX);
        let all = world.account.mark(Use::Query);
        let queries = world.account.take(Use::Query, all).unwrap();
        let answer = |size: usize| Response::new(Body::from(vec![b'x'; size]));

        for size in [0, 20, SMALL_BYTES_MAX] {
            world.link.begin().answer(answer(size)).unwrap();
        }

        let large = SMALL_BYTES_MAX + 1;
        world.link.begin().answer(answer(large)).unwrap_err();

        let mut vital = answer(large);
        vital.extensions_mut().insert(Vital);
        world.link.begin().answer(vital).unwrap();

        drop(queries);
        assert_eq!(world.account.used(), 0);
    }
}
