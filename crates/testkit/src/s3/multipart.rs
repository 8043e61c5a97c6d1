//! Uploads in parts. They are separate from the objects until they are completed.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use super::answer::Refusal;
use super::objects::{Object, digest, same_tag};
use super::xml::CompletePart;

/// S3's limit for part numbers, which start at 1.
const PART_NUMBER_MAX: u32 = 10_000;

/// An upload that is neither completed nor aborted.
#[derive(Debug)]
struct Upload {
    key: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    parts: BTreeMap<u32, Object>,
}

/// All open uploads, by id. An id is never reused.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: BTreeMap<String, Upload>,
    made: u64,
}

impl Uploads {
    /// Opens an upload and returns its id.
    pub(super) fn create(&mut self, key: &str, headers: Vec<(HeaderName, HeaderValue)>) -> String {
        self.made += 1;

        let id = format!("upload-{:08}", self.made);
        self.open.insert(
            id.clone(),
            Upload {
                key: key.to_owned(),
                headers,
                parts: BTreeMap::new(),
            },
        );

        id
    }

    /// Stores a part and returns its tag. An earlier part with the same number is replaced.
    pub(super) fn put(
        &mut self,
        key: &str,
        id: &str,
        number: u32,
        body: Bytes,
        now_ms: i64,
    ) -> Result<String, Refusal> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(Refusal::invalid("part numbers are 1 to 10000"));
        }

        let part = Object::new(body, Vec::new(), now_ms);
        let e_tag = part.e_tag.clone();
        self.find(key, id)?.parts.insert(number, part);

        Ok(e_tag)
    }

    /// Returns the object that the named parts make. The upload stays open until [`Self::close`].
    pub(super) fn assemble(
        &mut self,
        key: &str,
        id: &str,
        named: &[CompletePart],
        part_bytes_min: usize,
        now_ms: i64,
    ) -> Result<Object, Refusal> {
        let upload = self.find(key, id)?;
        if named.is_empty() {
            return Err(Refusal::malformed_xml());
        }

        if !named.is_sorted_by(|left, right| left.number < right.number) {
            return Err(bad_request(
                "InvalidPartOrder",
                "the parts are not in ascending order",
            ));
        }

        let mut body = BytesMut::new();
        let mut tags = String::new();

        for (at, name) in named.iter().enumerate() {
            let part = upload
                .parts
                .get(&name.number)
                .filter(|part| same_tag(&part.e_tag, &name.e_tag));

            let part = part.ok_or_else(|| {
                bad_request("InvalidPart", "a part is not there or has another tag")
            })?;
            if at + 1 < named.len() && part.body.len() < part_bytes_min {
                return Err(bad_request(
                    "EntityTooSmall",
                    "a part other than the last is too small",
                ));
            }

            body.extend_from_slice(&part.body);
            tags.push_str(&part.e_tag);
        }

        let mut object = Object::new(body.freeze(), upload.headers.clone(), now_ms);
        object.e_tag = format!("\"{}-{}\"", digest(tags.as_bytes()), named.len());
        Ok(object)
    }

    /// Ends an upload. Its id is unknown afterwards, also to a repeated completion.
    pub(super) fn close(&mut self, key: &str, id: &str) -> Result<(), Refusal> {
        self.find(key, id)?;
        self.open.remove(id);
        Ok(())
    }

    /// Returns how many uploads are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    fn find(&mut self, key: &str, id: &str) -> Result<&mut Upload, Refusal> {
        let upload = self.open.get_mut(id).filter(|upload| upload.key == key);
        upload.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "NoSuchUpload",
                "there is no upload of this id",
            )
        })
    }
}

fn bad_request(code: &'static str, message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}
