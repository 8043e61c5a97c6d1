//! Reads the frames of a segment ahead of the replay: a thread verifies and decodes them while the
//! caller applies the records before.

#![deny(clippy::indexing_slicing)]

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use crate::frame::{Found, Frames, Salt, kind};
use crate::header::HEADER_LEN;
use crate::payload::Decoder;
use crate::position::Position;
use crate::record::OwnedRecord;
use crate::varint::Input;

/// Frames that wait for the caller. With the one that is decoded and the one that is applied, this
/// bounds the memory of a replay beside the segment.
const FRAMES_AHEAD: usize = 4;

/// A frame whose checksum is right, or bytes that are none.
#[derive(Debug)]
pub(crate) enum Item {
    Frame {
        offsets: Range<usize>,
        /// The position of the frame; for a void, the last of its positions.
        last: Position,
        content: Content,
    },
    Bad {
        offsets: Range<usize>,
    },
}

/// What a frame holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// `None` if the payload cannot be decoded, or is of an unknown kind.
    Record(Option<Box<OwnedRecord>>),
    /// No record has the positions from this one on. `None` if there is no such position.
    Void(Option<Position>),
}

/// Starts the thread that reads the frames of `bytes`. It ends with the last frame, or when the
/// receiver is dropped.
pub(crate) fn read_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    bytes: &'scope [u8],
    salt: Salt,
) -> std::io::Result<Receiver<Item>> {
    let (sender, receiver) = sync_channel(FRAMES_AHEAD);

    let reading = move || {
        let mut decoder = Decoder::new();

        for found in Frames::new(bytes, HEADER_LEN, salt) {
            if sender.send(item(found, &mut decoder)).is_err() {
                return;
            }
        }
    };

    Builder::new()
        .name("wal-read".to_owned())
        .spawn_scoped(scope, reading)?;
    Ok(receiver)
}

fn item(found: Found<'_>, decoder: &mut Decoder) -> Item {
    let (offset, frame) = match found {
        Found::Frame { offset, frame } => (offset, frame),
        Found::Bad { offsets } => return Item::Bad { offsets },
    };

    let content = match frame.kind {
        kind::VOID => Content::Void(void_start(frame.sequence, frame.payload)),
        kind::WRITE => Content::Record(decoder.decode(frame.payload).map(Box::new)),
        _ => Content::Record(None),
    };

    Item::Frame {
        offsets: offset..offset + frame.len(),
        last: Position(frame.sequence),
        content,
    }
}

fn void_start(sequence: u64, payload: &[u8]) -> Option<Position> {
    let count = u64::from_le_bytes(Input::new(payload).array()?);
    let before = sequence.checked_sub(count)?;
    (count > 0).then_some(Position(before).next())
}
