//! Answers that are written piece by piece, as their clients take them.
//!
//! A [`Document`] comes in: an opening, a list, and a closing. A small document goes out as a
//! whole, with its length. A larger one becomes a stream: one piece is in memory beside the
//! elements that are still to be written, and the query keeps its turn until the last piece is
//! taken. Elements are dropped as they are written.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use duramen_model::TenantName;
use duramen_qos::{Account, Share, Use};
use duramen_query::{Error, Querier, Turn};
use futures::Stream;

use crate::http::answer::failure::{Failure, with_causes};

/// The approximate size of a piece: as much as a socket takes at once, and some hundred
/// microseconds of work.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Whether there are more elements to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

/// The list of a document.
pub(crate) trait Elements: Send + Unpin + 'static {
    /// Appends elements with commas between them, until `out` has about `until` bytes or no element
    /// is left.
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress;

    /// The least number of bytes that are still to be written.
    fn bytes_min(&self) -> usize {
        0
    }

    /// The memory of the elements that are still to be written, except for memory that is counted
    /// elsewhere.
    fn held_bytes(&self) -> usize;
}

/// The tenant that an answer goes to, and what the answer may take.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) tenant: TenantName,
    /// The most bytes that the answer may have.
    pub(crate) bytes_max: usize,
    /// The account that an answer draws from while it is on its way.
    pub(crate) memory: Arc<Account>,
    /// Counts answers that were refused or cut off.
    pub(crate) querier: Arc<Querier>,
}

impl Recipient {
    /// Refuses an answer that has more than `bytes_max`, and counts it.
    fn check(&self, bytes: usize) -> Result<(), Error> {
        within(bytes, self.bytes_max)
            .inspect_err(|error| self.querier.note_limited(&self.tenant, error))
    }
}

/// An answer that is not written yet.
#[derive(Debug)]
pub(crate) struct Document<E> {
    pub(crate) opening: Vec<u8>,
    pub(crate) elements: E,
    pub(crate) closing: Vec<u8>,
}

impl<E: Elements> Document<E> {
    fn bytes_min(&self) -> usize {
        self.opening.len() + self.elements.bytes_min() + self.closing.len()
    }

    /// Appends the next piece.
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress {
        out.append(&mut self.opening);

        let progress = self.elements.put(out, until);
        if progress == Progress::Done {
            out.append(&mut self.closing);
        }

        progress
    }

    /// Returns the whole text, written in pieces of about `piece_bytes`.
    #[cfg(test)]
    pub(crate) fn whole(mut self, piece_bytes: usize) -> String {
        let mut text = String::new();

        loop {
            let mut piece = Vec::new();
            let progress = self.put(&mut piece, piece_bytes);
            text.push_str(std::str::from_utf8(&piece).unwrap());

            if progress == Progress::Done {
                return text;
            }
        }
    }

    /// Answers with the document as JSON.
    ///
    /// # Errors
    /// Before anything is sent: the answer is known to be larger than the tenant's limit, or there
    /// is no memory for it.
    pub(crate) fn respond(mut self, recipient: Recipient, turn: Turn) -> Result<Response, Failure> {
        recipient.check(self.bytes_min())?;

        let mut first = Vec::new();
        let progress = self.put(&mut first, PIECE_BYTES);
        let written = first.len();

        recipient.check(written)?;

        let json = HeaderValue::from_static("application/json");
        let body = match progress {
            Progress::Done => Body::from(first),
            Progress::More => {
                let held_bytes = self.elements.held_bytes();
                let share = recipient.memory.take(Use::Answer, held_bytes);
                let share = share.map_err(|full| Failure::unavailable(full.to_string()))?;

                Body::from_stream(Streamed {
                    first: Some(first.into()),
                    document: Some(self),
                    written,
                    share,
                    _turn: turn,
                    recipient,
                })
            }
        };

        Ok(([(header::CONTENT_TYPE, json)], body).into_response())
    }
}

/// A document that is being sent.
struct Streamed<E> {
    first: Option<Bytes>,
    /// `None` after the last piece.
    document: Option<Document<E>>,
    written: usize,
    /// The memory of what is still to be written.
    share: Share,
    _turn: Turn,
    recipient: Recipient,
}

impl<E: Elements> Stream for Streamed<E> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }

        let Some(document) = &mut this.document else {
            return Poll::Ready(None);
        };
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        let progress = document.put(&mut piece, PIECE_BYTES);

        this.share.set(document.elements.held_bytes());
        if progress == Progress::Done {
            this.document = None;
        }

        this.written += piece.len();

        if let Err(error) = this.recipient.check(this.written) {
            this.document = None;

            let tenant = &this.recipient.tenant;
            tracing::warn!(error = with_causes(&error), %tenant, "an answer was cut off");
            return Poll::Ready(Some(Err(error.into())));
        }

        Poll::Ready(Some(Ok(piece.into())))
    }
}

/// A list whose elements are written one at a time, each as a whole.
pub(crate) struct List<T> {
    left: std::vec::IntoIter<T>,
    put: fn(&mut Vec<u8>, &T),
    is_first: bool,
    /// The approximate memory of one element.
    element_bytes: usize,
}

impl<T> List<T> {
    /// A list of `elements` of about `element_bytes` each, written by `put`.
    pub(crate) fn new(elements: Vec<T>, element_bytes: usize, put: fn(&mut Vec<u8>, &T)) -> Self {
        Self {
            left: elements.into_iter(),
            put,
            is_first: true,
            element_bytes,
        }
    }
}

impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send + Unpin + 'static> Elements for List<T> {
    fn put(&mut self, out: &mut Vec<u8>, until: usize) -> Progress {
        loop {
            let Some(element) = self.left.next() else {
                return Progress::Done;
            };
            if !std::mem::take(&mut self.is_first) {
                out.push(b',');
            }

            (self.put)(out, &element);
            if out.len() >= until && !self.left.as_slice().is_empty() {
                return Progress::More;
            }
        }
    }

    fn held_bytes(&self) -> usize {
        self.left.len() * self.element_bytes
    }
}

/// Returns an error if an answer of `bytes` is larger than `max`.
pub(crate) const fn within(bytes: usize, max: usize) -> Result<(), Error> {
    if bytes > max {
        Err(Error::TooManyAnswerBytes { bytes, max })
    } else {
        Ok(())
    }
}

/// Returns a body that is in memory as a whole. The query keeps its turn until the body is sent.
pub(crate) fn held(body: Vec<u8>, turn: Turn) -> Body {
    if body.len() < PIECE_BYTES {
        return Body::from(body);
    }

    Body::from(Bytes::from_owner(Held { body, _turn: turn }))
}

struct Held {
    body: Vec<u8>,
    _turn: Turn,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_same_in_pieces_of_any_size() {
        let document = |numbers: &[u64]| Document {
            opening: b"[".to_vec(),
            elements: List::new(numbers.to_vec(), 8, |out, number| {
                out.extend_from_slice(number.to_string().as_bytes())
            }),
            closing: b"]".to_vec(),
        };

        for piece_bytes in [0, 1, 2, 3, 100] {
            assert_eq!(document(&[]).whole(piece_bytes), "[]");
            assert_eq!(document(&[1]).whole(piece_bytes), "[1]");
            assert_eq!(document(&[1, 22, 3]).whole(piece_bytes), "[1,22,3]");
        }
    }

    #[test]
    fn what_is_written_is_not_held_any_more() {
        let mut list = List::new(vec![1_u8; 10], 100, |out, _| out.push(b'1'));
        assert_eq!(list.held_bytes(), 1000);
        assert_eq!(list.put(&mut Vec::new(), 5), Progress::More);
        assert_eq!(list.held_bytes(), 700);
    }
}
