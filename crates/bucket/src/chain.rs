//! An ordered chain of objects, which decides who came first.
//!
//! A chain is a sequence of immutable objects under one prefix. Each is made by create-if-absent.
//! Its order is the only thing on which processes must agree. All other objects in the bucket have
//! keys that only one process writes.

use bytes::{BufMut, Bytes, BytesMut};
use duramen_model::WriterId;
use duramen_runtime::Clock;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};
use ulid::Ulid;

use crate::retry::is_passing;
use crate::{Bucket, Error, keys};

/// Who made an object, and in which attempt. It is part of the body, because some stores do not
/// keep attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    pub writer: WriterId,
    /// Identifies one body for one slot. Never reused.
    pub attempt: Ulid,
}

impl Author {
    /// Starts a new attempt of `writer`.
    pub fn new(writer: WriterId, clock: &dyn Clock) -> Self {
        Self {
            writer,
            attempt: clock.new_ulid(),
        }
    }
}

/// One object of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub slot: u64,
    pub author: Author,
    pub body: Bytes,
}

/// The outcome of a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The slot holds our body, and always will.
    Ours,
    /// The slot holds another body, and always will.
    Theirs(Entry),
}

/// An ordered chain of immutable objects. Cheap to clone.
///
/// Take the slots in order and without a gap: read a slot before you take the next one.
#[derive(Clone, Debug)]
pub struct Chain {
    bucket: Bucket,
    prefix: Path,
}

/// The largest object of a chain. It limits how much is read if a store returns nonsense.
pub const ENTRY_BYTES_MAX: u64 = 64 << 20;

impl Chain {
    pub fn new(bucket: Bucket, prefix: Path) -> Self {
        Self { bucket, prefix }
    }

    /// The key of `slot`.
    pub fn key(&self, slot: u64) -> Path {
        self.prefix.clone().join(keys::slot(slot))
    }

    /// Takes `slot` if it is free. The object is durable on return. One PUT. After a conflict or an
    /// unclear response, one more GET reads the object back and compares it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if readers would refuse the object; then nothing is sent.
    /// [`Error::OutcomeUnknown`] if the store could not be reached while retries lasted. The object
    /// may exist, or appear later. The next one who takes the slot finds out.
    pub async fn create(&self, slot: u64, author: Author, body: &[u8]) -> Result<Created, Error> {
        let key = self.key(slot);
        let object = encode(slot, author, body);
        check_size(&key, &object)?;

        let mut attempts = 0;

        loop {
            let payload = PutPayload::from_bytes(object.clone());
            let error = match self
                .bucket
                .store()
                .put_opts(&key, payload, PutMode::Create.into())
                .await
            {
                Ok(_) => {
                    self.bucket.retries().succeeded();
                    return Ok(Created::Ours);
                }

                Err(error) => error,
            };

            let is_conflict = matches!(
                error,
                object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. }
            );

            if !is_conflict && !is_passing(&error) {
                return Err(Error::store("create", &key, error));
            }

            match self.get(slot).await {
                Ok(Some(entry)) if entry.author == author => return Ok(Created::Ours),
                Ok(Some(entry)) => return Ok(Created::Theirs(entry)),
                // There is no object. Either the conflict was with an object that is not visible
                // yet, or our request was lost before its commit, or it may still be committed. In
                // each case it is safe to send the same bytes again.
                Ok(None) => {}
                Err(unreadable @ (Error::Corrupt { .. } | Error::Format { .. })) => {
                    return Err(unreadable);
                }
                Err(_) => {}
            }

            attempts += 1;
            if !self.bucket.retries().again(attempts).await {
                return Err(Error::OutcomeUnknown {
                    key: key.to_string(),
                    attempts,
                    source: error,
                });
            }

            self.bucket.metrics().add_retry();
        }
    }

    /// Returns the object of `slot`, or `None` if the slot is free. One GET.
    pub async fn get(&self, slot: u64) -> Result<Option<Entry>, Error> {
        let key = self.key(slot);
        let object = self.bucket.get_if_exists(&key, ENTRY_BYTES_MAX).await?;
        object.map(|object| decode(&key, slot, &object)).transpose()
    }

    /// Returns the highest slot that is taken, and only slots greater than `after` if that is
    /// given. One LIST for each 1,000 of them.
    pub async fn last(&self, after: Option<u64>) -> Result<Option<u64>, Error> {
        let after = after.map(|slot| self.key(slot));
        let objects = self.bucket.list(&self.prefix, after.as_ref()).await?;
        Ok(objects
            .iter()
            .filter_map(|o| o.location.filename().and_then(keys::parse_slot))
            .max())
    }
}

/// The header of an object. All of it is text: see `docs/formats/bucket.md`.
///
/// ```text
/// duramen-chain 1 crc32c=xxxxxxxx slot=dddddddddddddddddddd bytes=dddddddddd writer=<ulid> attempt=<ulid>\n
/// ```
const MAGIC: &str = "duramen-chain ";
const FORMAT: u64 = 1;
const CRC_START: usize = MAGIC.len() + "1 crc32c=".len();
/// The CRC covers all bytes from here to the end of the object.
const CRC_END: usize = CRC_START + 8;
const HEADER_BYTES: usize = CRC_END
    + " slot=".len()
    + 20
    + " bytes=".len()
    + 10
    + " writer=".len()
    + 26
    + " attempt=".len()
    + 26
    + 1;

/// Encodes the object of a slot.
pub fn encode(slot: u64, author: Author, body: &[u8]) -> Bytes {
    let Author { writer, attempt } = author;
    let rest = format!(
        " slot={} bytes={:010} writer={writer} attempt={attempt}\n",
        keys::slot(slot),
        body.len()
    );

    let crc = crc32c::crc32c_append(crc32c::crc32c(rest.as_bytes()), body);
    let mut object = BytesMut::with_capacity(HEADER_BYTES + body.len());
    object.put_slice(format!("{MAGIC}{FORMAT} crc32c={crc:08x}").as_bytes());
    object.put_slice(rest.as_bytes());
    object.put_slice(body);

    object.freeze()
}

/// Checks the size of an object before it is written, because it could not be removed. Readers
/// refuse a larger one.
pub fn check_size(key: &Path, object: &Bytes) -> Result<(), Error> {
    let bytes = object.len() as u64;

    match bytes > ENTRY_BYTES_MAX {
        true => Err(Error::TooLarge {
            key: key.to_string(),
            bytes,
            bytes_max: ENTRY_BYTES_MAX,
        }),
        false => Ok(()),
    }
}

/// Decodes the object of `slot` and checks that it is what was written there.
pub fn decode(key: &Path, slot: u64, object: &Bytes) -> Result<Entry, Error> {
    let corrupt = |fault: &str| Error::Corrupt {
        key: key.to_string(),
        fault: fault.to_owned(),
    };

    let header = object
        .get(..HEADER_BYTES)
        .ok_or_else(|| corrupt("shorter than its header"))?;
    let header = std::str::from_utf8(header).map_err(|_| corrupt("the header is not text"))?;
    let format = header
        .strip_prefix(MAGIC)
        .ok_or_else(|| corrupt("not an object of a chain"))?;

    if let Some(found) = format
        .split(' ')
        .next()
        .and_then(|f| f.parse().ok())
        .filter(|f| *f != FORMAT)
    {
        return Err(Error::Format {
            key: key.to_string(),
            found,
            known: FORMAT,
        });
    }

    let expected = header
        .get(CRC_START..CRC_END)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let actual = object.get(CRC_END..).map(crc32c::crc32c);

    if expected.is_none() || expected != actual {
        return Err(corrupt("checksum mismatch"));
    }

    let author = parse_author(header).ok_or_else(|| corrupt("the header has no author"))?;
    let body = object.slice(HEADER_BYTES..);

    // This compares everything that was not compared above: the header must be exactly the one
    // for this content.
    if encode(slot, author, &body) != *object {
        return Err(corrupt("the header is that of another object"));
    }

    Ok(Entry { slot, author, body })
}

fn parse_author(header: &str) -> Option<Author> {
    let field = |name: &str| {
        header
            .trim_end()
            .split(' ')
            .find_map(|part| part.strip_prefix(name))
    };

    let writer = Ulid::from_string(field("writer=")?).ok()?;
    let attempt = Ulid::from_string(field("attempt=")?).ok()?;
    Some(Author {
        writer: WriterId(writer),
        attempt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AUTHOR: Author = Author {
        writer: WriterId(Ulid(7)),
        attempt: Ulid(9),
    };

    fn key() -> Path {
        Path::from("tenants/00000000000000000003")
    }

    #[test]
    fn the_header_is_a_line_of_text_of_known_length() {
        let object = encode(3, AUTHOR, b"{}");
        assert_eq!(object.len(), HEADER_BYTES + 2);

        assert_eq!(
            std::str::from_utf8(&object).unwrap(),
            "duramen-chain 1 crc32c=a6e2710e slot=00000000000000000003 bytes=0000000002 \
             writer=00000000000000000000000007 attempt=00000000000000000000000009\n{}"
        );
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let object = encode(3, AUTHOR, b"some body");

        for bit in 0..object.len() * 8 {
            let mut damaged = object.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);

            let error = decode(&key(), 3, &damaged.into()).unwrap_err();
            assert!(
                matches!(error, Error::Corrupt { .. } | Error::Format { .. }),
                "bit {bit}: {error}"
            );
        }
    }

    #[test]
    fn an_object_cut_anywhere_is_found() {
        let object = encode(3, AUTHOR, b"some body");
        for length in 0..object.len() {
            assert!(
                decode(&key(), 3, &object.slice(..length)).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn an_object_of_another_slot_is_found() {
        assert!(decode(&key(), 3, &encode(4, AUTHOR, b"x")).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(slot: u64, writer: u128, attempt: u128, body: Vec<u8>) {
            let author = Author { writer: WriterId(Ulid(writer)), attempt: Ulid(attempt) };
            let entry = decode(&key(), slot, &encode(slot, author, &body)).unwrap();

            prop_assert_eq!(entry, Entry { slot, author, body: body.into() });
        }

        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes: Vec<u8>, header in "duramen-chain 1 crc32c=.{0,200}") {
            let _ = decode(&key(), 3, &bytes.into());
            let _ = decode(&key(), 3, &header.into());
        }
    }
}
