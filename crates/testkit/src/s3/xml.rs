//! The XML of S3: a small writer, and two request bodies.

use quick_xml::escape::escape;
use serde::Deserialize;

/// Writes a document of nested elements.
#[derive(Debug)]
pub(super) struct Document(String);

impl Document {
    /// Writes a document with a root element; `inside` adds its contents.
    pub(super) fn new(root: &str, inside: impl FnOnce(&mut Self)) -> Self {
        let mut document = Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
        document.nest(root, inside);
        document
    }

    /// Adds an element that contains other elements.
    pub(super) fn nest(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Adds an element with text. The text is escaped.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.nest(name, |document| document.0.push_str(&escape(text)));
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// The body of `POST ?delete`.
#[derive(Debug, Deserialize)]
pub(super) struct DeleteMany {
    #[serde(rename = "Object", default)]
    pub(super) objects: Vec<DeleteOne>,
    #[serde(rename = "Quiet", default)]
    pub(super) quiet: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct DeleteOne {
    #[serde(rename = "Key")]
    pub(super) key: String,
}

/// The body of `POST ?uploadId`.
#[derive(Debug, Deserialize)]
pub(super) struct CompleteUpload {
    #[serde(rename = "Part", default)]
    pub(super) parts: Vec<CompletePart>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CompletePart {
    #[serde(rename = "PartNumber")]
    pub(super) number: u32,
    #[serde(rename = "ETag")]
    pub(super) e_tag: String,
}

/// Parses a request body. Returns `None` if it is not the expected XML.
pub(super) fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Option<T> {
    quick_xml::de::from_str(std::str::from_utf8(body).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_going_out_and_unescaped_coming_in() {
        let key = "a<b>&\"c\"'d' é";
        let body = Document::new("Delete", |delete| {
            delete.nest("Object", |object| object.text("Key", key));
            delete.text("Quiet", "true");
        });

        let read: DeleteMany = read(body.into_string().as_bytes()).unwrap();
        assert_eq!(read.objects.len(), 1);
        assert_eq!(read.objects[0].key, key);
        assert!(read.quiet);
    }

    #[test]
    fn quotes_of_an_e_tag_survive_either_spelling() {
        let body = "<CompleteMultipartUpload xmlns=\"x\"><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>\
                    <Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag></Part></CompleteMultipartUpload>";
        let read: CompleteUpload = read(body.as_bytes()).unwrap();

        let parts: Vec<_> = read
            .parts
            .iter()
            .map(|part| (part.number, part.e_tag.as_str()))
            .collect();

        assert_eq!(parts, [(1, "\"a\""), (2, "\"b\"")]);
    }

    #[test]
    fn a_body_that_is_no_xml_is_refused() {
        assert!(read::<DeleteMany>(b"not xml").is_none());
        assert!(read::<CompleteUpload>(b"\xff").is_none());

        assert!(
            read::<CompleteUpload>(
                b"<CompleteMultipartUpload><Part></Part></CompleteMultipartUpload>"
            )
            .is_none()
        );
    }
}
