//! The parameters in the body of a request, which is a URL-encoded or a multipart form. They are
//! read as Go's `http.Request` does it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, header};
use multer::{Constraints, Multipart, SizeLimit};
use percent_encoding::percent_decode;

use crate::http::answer::failure::Failure;

/// The most bytes of a form. It has room for many selectors even if each byte is escaped to three.
pub(super) const FORM_BYTES_MAX: usize = 8 << 20;
/// The most values of one form. No honest form has more, and each value costs memory of its own.
const FORM_VALUES_MAX: usize = 100_000;

/// A name and a value.
pub(super) type Pair = (String, String);

/// The kind of body, by the method and the content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormKind {
    /// The body is not read.
    Ignored,
    UrlEncoded,
    Multipart {
        boundary: String,
    },
    /// The body must be empty; any other body is refused.
    Empty {
        content_type: Option<String>,
    },
}

impl FormKind {
    /// Returns the kind of body that the head of a request announces. As in Go, a multipart form is
    /// read with any method, and a URL-encoded form only if the method has a body.
    ///
    /// # Errors
    /// A multipart form without a boundary cannot be read.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Result<Self, Failure> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = content_type
            .and_then(|text| text.split(';').next())
            .unwrap_or_default()
            .trim();

        if media_type.eq_ignore_ascii_case("multipart/form-data") {
            let boundary = multer::parse_boundary(content_type.unwrap_or_default());
            let boundary = boundary
                .map_err(|_| Failure::bad_data("the form has no boundary between its parts"))?;
            return Ok(Self::Multipart { boundary });
        }

        let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
        if !has_body {
            return Ok(Self::Ignored);
        }

        if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self::UrlEncoded);
        }

        Ok(Self::Empty {
            content_type: content_type.map(str::to_owned),
        })
    }

    pub(super) const fn has_body(&self) -> bool {
        !matches!(self, Self::Ignored)
    }
}

/// Returns all parameters of a request in their order: the values of a URL-encoded form stand
/// before those of the URL, the values of a multipart form behind them.
///
/// # Errors
/// Parts that cannot be read are refused. If they were skipped, the query would be evaluated
/// without them.
pub(super) async fn read(
    kind: FormKind,
    body: Bytes,
    url_query: &[u8],
) -> Result<Vec<Pair>, Failure> {
    if body.len() > FORM_BYTES_MAX {
        let bytes = body.len();
        let why =
            format!("the form is too large. bytes=`{bytes}`, form_bytes_max=`{FORM_BYTES_MAX}`");
        return Err(Failure::too_large(why));
    }

    let mut pairs = Vec::new();

    match kind {
        FormKind::Ignored => decode(url_query, &mut pairs)?,
        FormKind::UrlEncoded => {
            decode(&body, &mut pairs)?;
            decode(url_query, &mut pairs)?;
        }
        FormKind::Multipart { boundary } => {
            decode(url_query, &mut pairs)?;
            decode_parts(body, boundary, &mut pairs).await?;
        }
        FormKind::Empty { content_type } => {
            if !body.is_empty() {
                return Err(not_a_form(content_type.as_deref()));
            }

            decode(url_query, &mut pairs)?;
        }
    }

    Ok(pairs)
}

fn not_a_form(content_type: Option<&str>) -> Failure {
    let found = content_type.map_or_else(
        || "has no Content-Type".to_owned(),
        |found| format!("is {found:?}"),
    );

    Failure::bad_data(format!(
        "the body {found}; parameters are read from the URL, or from a body of \"application/x-www-form-urlencoded\" or \
         \"multipart/form-data\""
    ))
}

/// Returns the parameters of a URL.
pub(super) fn of_url(query: &[u8]) -> Result<Vec<Pair>, Failure> {
    let mut pairs = Vec::new();
    decode(query, &mut pairs)?;
    Ok(pairs)
}

/// Appends the pairs of a URL-encoded form.
fn decode(form: &[u8], pairs: &mut Vec<Pair>) -> Result<(), Failure> {
    for pair in form
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let equals = pair
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(pair.len());

        let name = unescape(&pair[..equals])?;
        let value = unescape(pair.get(equals + 1..).unwrap_or_default())?;
        push(pairs, name, value)?;
    }

    Ok(())
}

/// Decodes one part of a form: `+` is a space, `%41` a byte. Text that is not UTF-8 is refused.
fn unescape(part: &[u8]) -> Result<String, Failure> {
    let spaced: Vec<u8> = part
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();

    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::bad_data("a parameter is not UTF-8"))
}

fn push(pairs: &mut Vec<Pair>, name: String, value: String) -> Result<(), Failure> {
    if pairs.len() >= FORM_VALUES_MAX {
        let why = format!("the form has too many values. form_values_max=`{FORM_VALUES_MAX}`");
        return Err(Failure::too_large(why));
    }

    pairs.push((name, value));
    Ok(())
}

/// Appends the values of a multipart form. Files are skipped: Go does not count them as values.
async fn decode_parts(body: Bytes, boundary: String, pairs: &mut Vec<Pair>) -> Result<(), Failure> {
    let unreadable =
        |error: multer::Error| Failure::bad_data(format!("the form cannot be read: {error}"));
    let whole = futures::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let sizes = SizeLimit::new().whole_stream(FORM_BYTES_MAX as u64);
    let mut parts =
        Multipart::with_constraints(whole, boundary, Constraints::new().size_limit(sizes));

    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        if part.file_name().is_some() {
            continue;
        }

        let Some(name) = part
            .name()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
        else {
            continue;
        };

        let value = text(part.bytes().await.map_err(unreadable)?.to_vec())?;
        push(pairs, name, value)?;
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};
    use axum::response::IntoResponse;

    use super::*;

    async fn parsed(
        method: Method,
        content_type: &str,
        body: &[u8],
        url: &str,
    ) -> Result<Vec<Pair>, String> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_str(content_type).unwrap(),
            );
        }

        let outcome = match FormKind::of(&method, &headers) {
            Ok(kind) => read(kind, Bytes::copy_from_slice(body), url.as_bytes()).await,
            Err(failure) => Err(failure),
        };

        match outcome {
            Ok(pairs) => Ok(pairs),
            Err(failure) => {
                let response = failure.into_response();
                let body = axum::body::to_bytes(response.into_body(), 1 << 20)
                    .await
                    .unwrap();
                Err(String::from_utf8(body.to_vec()).unwrap())
            }
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<Pair>, String> {
        Ok(pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect())
    }

    const PARTS: &str = "multipart/form-data; boundary=xyz";
    const BODY: &[u8] = b"--xyz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nup{a=\"\xc3\xa4\"}\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"match[]\"\r\nContent-Type: text/plain\r\n\r\na\r\nb\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"match[]\"\r\n\r\n\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"time\"; filename=\"time.txt\"\r\n\r\n7\r\n\
        --xyz--\r\n";

    #[tokio::test]
    async fn a_form_in_parts_is_read_behind_the_url() {
        let values = [
            ("query", "up{a=\"ä\"}"),
            ("match[]", "a\r\nb"),
            ("match[]", ""),
        ];

        let expected = [&[("query", "1"), ("x", " ")][..], &values].concat();
        for method in [Method::POST, Method::PUT, Method::GET] {
            assert_eq!(
                parsed(method, PARTS, BODY, "query=1&x=+").await,
                pairs(&expected)
            );
        }

        assert_eq!(
            parsed(
                Method::POST,
                "Multipart/Form-Data; Boundary=\"xyz\"",
                BODY,
                ""
            )
            .await,
            pairs(&values)
        );
    }

    #[tokio::test]
    async fn an_encoded_form_is_read_before_the_url() {
        let expected = pairs(&[("query", "a b"), ("query", "1")]);

        for content_type in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-URLEncoded;charset=utf-8",
        ] {
            assert_eq!(
                parsed(Method::POST, content_type, b"query=a%20b", "query=1").await,
                expected
            );
            assert_eq!(
                parsed(Method::GET, content_type, b"query=a%20b", "query=1").await,
                pairs(&[("query", "1")])
            );
        }
    }

    #[tokio::test]
    async fn a_body_that_is_no_form_is_told_of() {
        for (content_type, found) in [
            (
                "application/json",
                "the body is \\\"application/json\\\"; parameters are read from the URL",
            ),
            ("text/plain", "the body is \\\"text/plain\\\""),
            ("application/x-www-form-urlencoded2", "the body is"),
            ("", "the body has no Content-Type; parameters are read"),
        ] {
            let message = parsed(Method::POST, content_type, b"{\"query\":\"up\"}", "query=1")
                .await
                .unwrap_err();
            assert!(message.contains(found), "{message}");
            assert_eq!(
                parsed(Method::POST, content_type, b"", "query=1").await,
                pairs(&[("query", "1")])
            );
            assert_eq!(
                parsed(Method::GET, content_type, b"{}", "query=1").await,
                pairs(&[("query", "1")])
            );
        }
    }

    #[tokio::test]
    async fn a_form_in_parts_that_is_damaged_is_refused() {
        let cut = &BODY[..BODY.len() - 20];
        let no_text =
            b"--xyz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n\xff\r\n--xyz--\r\n";

        for (content_type, body, expected) in [
            (
                "multipart/form-data",
                BODY,
                "the form has no boundary between its parts",
            ),
            ("multipart/form-data; boundary=", BODY, "the form"),
            (PARTS, cut, "the form cannot be read"),
            (PARTS, &b"query=1"[..], "the form cannot be read"),
            (PARTS, &no_text[..], "a parameter is not UTF-8"),
        ] {
            let message = parsed(Method::POST, content_type, body, "")
                .await
                .unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[tokio::test]
    async fn a_form_is_bounded_in_bytes_and_values() {
        let many = "a&".repeat(FORM_VALUES_MAX + 1);
        let message = parsed(Method::GET, "", b"", &many).await.unwrap_err();

        assert!(message.contains("form_values_max=`100000`"), "{message}");

        let large = vec![b'a'; FORM_BYTES_MAX + 1];
        let failure = read(FormKind::UrlEncoded, large.into(), b"")
            .await
            .unwrap_err();

        assert_eq!(
            failure.into_response().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}
