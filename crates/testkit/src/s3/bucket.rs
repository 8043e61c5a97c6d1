//! Carries out one operation on the bucket. Pure apart from the bucket itself: no I/O, no waiting.

use hyper::StatusCode;
use hyper::header::ETAG;

use super::answer::{Answer, Refusal};
use super::call::{self, Call, Op};
use super::clock;
use super::list;
use super::multipart::Uploads;
use super::objects::{self, Condition, Object, Objects, kept_headers, not_implemented};
use super::options::S3Options;
use super::xml::{self, CompleteUpload, DeleteMany, Document};

/// S3's limit for the keys of one `POST ?delete`.
const DELETE_KEYS_MAX: usize = 1000;

/// All data of the server. One lock around it makes the server linearizable.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) objects: Objects,
    pub(super) uploads: Uploads,
}

impl Bucket {
    /// Carries out `call` at the time `now_ms`. After a refusal nothing has changed; after an
    /// answer the operation is done.
    pub(super) fn perform(
        &mut self,
        call: &Call,
        options: &S3Options,
        now_ms: i64,
    ) -> Result<Answer, Refusal> {
        if call.bucket != options.bucket {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "NoSuchBucket",
                "there is no bucket of this name",
            ));
        }

        match call.op {
            Op::Get | Op::Head => objects::read(&self.objects, call),
            Op::Put => self.put(call, options, now_ms),
            Op::Copy => self.copy(call, options, now_ms),
            Op::Delete => {
                self.objects.remove(&call.key);
                Ok(Answer::new(StatusCode::NO_CONTENT))
            }
            Op::DeleteMany => self.delete_many(call),
            Op::List => list::answer(&self.objects, call),
            Op::CreateUpload => Ok(self.create_upload(call)),
            Op::PutPart => self.put_part(call, options, now_ms),
            Op::CompleteUpload => self.complete_upload(call, options, now_ms),
            Op::AbortUpload => {
                self.uploads
                    .close(&call.key, call.query("uploadId").unwrap_or_default())?;
                Ok(Answer::new(StatusCode::NO_CONTENT))
            }
            Op::HeadBucket => Ok(Answer::new(StatusCode::OK)),
            Op::GetVersioning => Ok(versioning(options)),
            Op::GetObjectLock => object_lock(options),
            Op::Other => Err(not_implemented("this operation")),
        }
    }

    fn put(&mut self, call: &Call, options: &S3Options, now_ms: i64) -> Result<Answer, Refusal> {
        let object = Object::new(call.body.clone(), kept_headers(&call.headers), now_ms);
        let answer = Answer::new(StatusCode::OK).with(ETAG, &object.e_tag);
        self.write(call, options, object)?;

        Ok(answer)
    }

    /// Creates or replaces an object. All writes go through here.
    fn write(&mut self, call: &Call, options: &S3Options, object: Object) -> Result<(), Refusal> {
        if options.honest_conditional_puts {
            Condition::of(call)?.check(self.objects.get(&call.key))?;
        }

        self.objects.insert(call.key.clone(), object);
        Ok(())
    }

    fn copy(&mut self, call: &Call, options: &S3Options, now_ms: i64) -> Result<Answer, Refusal> {
        let source = self.source(call, options)?;
        let headers = match call.header("x-amz-metadata-directive") {
            Some("REPLACE") => kept_headers(&call.headers),
            _ => source.headers,
        };

        let object = Object::new(source.body, headers, now_ms);
        let document = copied("CopyObjectResult", &object);
        self.write(call, options, object)?;

        Ok(Answer::xml(StatusCode::OK, document))
    }

    /// Returns the object in `x-amz-copy-source`: `bucket/key` or `/bucket/key`, escaped.
    fn source(&self, call: &Call, options: &S3Options) -> Result<Object, Refusal> {
        let source = call.header("x-amz-copy-source").unwrap_or_default();
        let source = source.strip_prefix('/').unwrap_or(source);
        let (bucket, key) = source
            .split_once('/')
            .ok_or_else(|| Refusal::invalid("the copy source has no key"))?;

        if call::decode(bucket)? != options.bucket {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "NoSuchBucket",
                "there is no bucket of this name",
            ));
        }

        let object = self
            .objects
            .get(&call::decode(key)?)
            .ok_or_else(Refusal::no_such_key)?;

        Ok(object.clone())
    }

    fn delete_many(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let asked: DeleteMany = xml::read(&call.body).ok_or_else(Refusal::malformed_xml)?;
        if asked.objects.is_empty() || asked.objects.len() > DELETE_KEYS_MAX {
            return Err(Refusal::malformed_xml());
        }

        let document = Document::new("DeleteResult", |result| {
            for object in &asked.objects {
                self.objects.remove(&object.key);
                if !asked.quiet {
                    result.nest("Deleted", |deleted| deleted.text("Key", &object.key));
                }
            }
        });

        Ok(Answer::xml(StatusCode::OK, document))
    }

    fn create_upload(&mut self, call: &Call) -> Answer {
        let id = self.uploads.create(&call.key, kept_headers(&call.headers));
        let document = Document::new("InitiateMultipartUploadResult", |result| {
            result.text("Bucket", &call.bucket);
            result.text("Key", &call.key);
            result.text("UploadId", &id);
        });

        Answer::xml(StatusCode::OK, document)
    }

    fn put_part(
        &mut self,
        call: &Call,
        options: &S3Options,
        now_ms: i64,
    ) -> Result<Answer, Refusal> {
        let id = call.query("uploadId").unwrap_or_default();
        let number = call
            .query("partNumber")
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);

        if call.header("x-amz-copy-source").is_none() {
            let e_tag = self
                .uploads
                .put(&call.key, id, number, call.body.clone(), now_ms)?;
            return Ok(Answer::new(StatusCode::OK).with(ETAG, &e_tag));
        }

        if call.headers.contains_key("x-amz-copy-source-range") {
            return Err(not_implemented("x-amz-copy-source-range"));
        }

        let source = self.source(call, options)?;
        let part = Object::new(source.body, Vec::new(), now_ms);
        self.uploads
            .put(&call.key, id, number, part.body.clone(), now_ms)?;

        Ok(Answer::xml(StatusCode::OK, copied("CopyPartResult", &part)))
    }

    fn complete_upload(
        &mut self,
        call: &Call,
        options: &S3Options,
        now_ms: i64,
    ) -> Result<Answer, Refusal> {
        let id = call.query("uploadId").unwrap_or_default();
        let named: CompleteUpload = xml::read(&call.body).ok_or_else(Refusal::malformed_xml)?;
        let object =
            self.uploads
                .assemble(&call.key, id, &named.parts, options.part_bytes_min, now_ms)?;

        let document = Document::new("CompleteMultipartUploadResult", |result| {
            result.text("Bucket", &call.bucket);
            result.text("Key", &call.key);
            result.text("ETag", &object.e_tag);
        });

        self.write(call, options, object)?;
        self.uploads.close(&call.key, id)?;
        Ok(Answer::xml(StatusCode::OK, document))
    }
}

fn copied(root: &str, object: &Object) -> Document {
    Document::new(root, |result| {
        result.text("LastModified", &clock::iso_date(object.modified_ms));
        result.text("ETag", &object.e_tag);
    })
}

fn versioning(options: &S3Options) -> Answer {
    let document = Document::new("VersioningConfiguration", |configuration| {
        if options.versioned {
            configuration.text("Status", "Enabled");
        }
    });

    Answer::xml(StatusCode::OK, document)
}

fn object_lock(options: &S3Options) -> Result<Answer, Refusal> {
    if !options.locked {
        let code = "ObjectLockConfigurationNotFoundError";
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            code,
            "the bucket has no object lock",
        ));
    }

    let document = Document::new("ObjectLockConfiguration", |configuration| {
        configuration.text("ObjectLockEnabled", "Enabled");
    });
    Ok(Answer::xml(StatusCode::OK, document))
}
