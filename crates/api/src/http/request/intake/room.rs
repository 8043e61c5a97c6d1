//! The memory that bodies share while they arrive.
//!
//! One tenant may hold as much as it leaves free, so that no tenant can fill the room alone. A body
//! that does not fit waits. Bodies that each hold a part of what the others need would wait for
//! each other for ever. So the oldest of them, and only that one, may exceed the size of the room.
//! It ends before the next one may do so.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The room of one kind of bodies.
#[derive(Debug)]
pub(super) struct Room {
    bytes_max: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// The bytes that each tenant holds; only tenants that hold any.
    tenants: HashMap<String, usize>,
    /// The numbers of the bodies that wait.
    waiting: BTreeSet<u64>,
    /// The body that may exceed the room's size, until it is dropped.
    elder: Option<u64>,
    next: u64,
}

/// The bytes that one body holds of a room. They are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    tenant: String,
    /// The number of the body. A lower one is older.
    number: u64,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            state: Mutex::default(),
            freed: Notify::new(),
        })
    }

    pub(super) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Adds a body, which holds nothing yet.
    pub(super) fn enter(self: &Arc<Self>, tenant: &str) -> Place {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        drop(state);

        Place {
            room: Arc::clone(self),
            tenant: tenant.to_owned(),
            number,
            bytes: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.state.lock().held
    }
}

impl Place {
    /// Takes `bytes` more if this body may have them now, and returns whether it did.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        let mut state = self.room.state.lock();
        let own = state.tenants.get(&self.tenant).copied().unwrap_or(0);

        let left = self
            .room
            .bytes_max
            .saturating_sub(state.held)
            .saturating_sub(bytes);

        let fits = own.saturating_add(bytes) <= left;

        let is_oldest = state
            .waiting
            .first()
            .is_none_or(|first| self.number <= *first);

        let may_go_beyond = state.elder.map_or(is_oldest, |elder| elder == self.number);
        if !fits && !may_go_beyond {
            return false;
        }

        if !fits {
            state.elder = Some(self.number);
        }

        state.held += bytes;
        *state.tenants.entry(self.tenant.clone()).or_default() += bytes;
        drop(state);
        self.bytes += bytes;

        true
    }

    /// Waits until `bytes` more are free, and takes them. Dropping the future gives up the place in
    /// the queue.
    pub(super) async fn grow(&mut self, bytes: usize) {
        if self.try_grow(bytes) {
            return;
        }

        let room = Arc::clone(&self.room);
        let _queued = Queued::new(&room, self.number);

        loop {
            let mut freed = std::pin::pin!(room.freed.notified());
            freed.as_mut().enable();

            if self.try_grow(bytes) {
                return;
            }

            freed.await;
        }
    }

    /// Returns whether others wait for the end of this body.
    pub(super) fn is_elder(&self) -> bool {
        let state = self.room.state.lock();
        state.elder == Some(self.number) && !state.waiting.is_empty()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.room.state.lock();
        state.held -= self.bytes;

        if let Some(own) = state.tenants.get_mut(&self.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                state.tenants.remove(&self.tenant);
            }
        }

        if state.elder == Some(self.number) {
            state.elder = None;
        }

        drop(state);
        self.room.freed.notify_waiters();
    }
}

/// The number of a body in the queue, which is removed when this is dropped.
struct Queued<'a> {
    room: &'a Room,
    number: u64,
}

impl<'a> Queued<'a> {
    fn new(room: &'a Room, number: u64) -> Self {
        room.state.lock().waiting.insert(number);
        Self { room, number }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.room.state.lock().waiting.remove(&self.number);

        // The next body in the queue may now be the oldest.
        self.room.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_tenant_holds_no_more_than_it_leaves_free() {
        let room = Room::new(100);
        let mut bodies: Vec<Place> = (0..8).map(|n| room.enter(&format!("evil{n}"))).collect();

        for _ in 0..5 {
            assert!(bodies[0].try_grow(10), "half of the room is for one");
        }

        let mut good = room.enter("good");
        assert!(
            good.try_grow(10),
            "others have what one tenant may not take"
        );

        for body in &mut bodies {
            for _ in 0..5 {
                body.try_grow(1);
            }
        }

        assert!(room.held() < 100);
    }

    #[test]
    fn bodies_that_fill_the_room_end_one_after_the_other() {
        let room = Room::new(100);
        let mut bodies: Vec<Place> = (0..10).map(|n| room.enter(&n.to_string())).collect();
        let mut waiting = Vec::new();

        for mut body in bodies.drain(..) {
            waiting.push(Box::pin(async move {
                for _ in 0..3 {
                    body.grow(10).await;
                    tokio::task::yield_now().await;
                }

                body
            }));
        }

        let mut ended = 0;

        for _ in 0..200 {
            waiting.retain_mut(|body| match body.as_mut().now_or_never() {
                Some(_gone) => {
                    ended += 1;
                    false
                }
                None => true,
            });

            assert!(
                room.held() <= 100 + 30,
                "one body at most goes beyond the room: {}",
                room.held()
            );
        }

        assert_eq!(ended, 10);
        assert_eq!(room.held(), 0);
    }

    #[test]
    fn a_body_that_is_given_up_lets_the_next_pass() {
        let room = Room::new(10);
        let mut first = room.enter("a");
        let mut second = room.enter("a");
        let mut third = room.enter("a");

        assert!(first.try_grow(20), "nobody is older");

        let mut waits = Box::pin(second.grow(20));
        let mut waits_too = Box::pin(third.grow(20));

        assert!(waits.as_mut().now_or_never().is_none());
        assert!(waits_too.as_mut().now_or_never().is_none());

        drop(first);
        assert!(
            waits_too.as_mut().now_or_never().is_none(),
            "an older one waits"
        );

        drop(waits);
        assert!(waits_too.as_mut().now_or_never().is_some());
    }
}
