//! The location of a store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;

/// A store's URL: `file:PATH`, `memory:` or `s3://BUCKET[/PREFIX]`. It never contains a secret: a
/// URL with a user or a query is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A directory of this machine. A relative path begins at the working directory.
    File(PathBuf),
    /// A store in memory, for tests. It ends with the process.
    Memory,
    /// A bucket, and the prefix of all our keys in it. The prefix has no slash at either end. It
    /// may be empty.
    S3 { bucket: String, prefix: String },
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }

        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(Error::Url { fault: "no path" })
            } else {
                Ok(Self::File(path.into()))
            };
        }

        let Some(rest) = text.strip_prefix("s3://") else {
            return Err(Error::Url {
                fault: "unknown scheme",
            });
        };

        if rest.contains(['@', '?', '#']) {
            return Err(Error::Url {
                fault: "credentials and options do not belong into the URL",
            });
        }

        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::Url { fault: "no bucket" });
        }

        let prefix = prefix.trim_matches('/');
        object_store::path::Path::parse(prefix).map_err(|_| Error::Url {
            fault: "the prefix is not a legal key",
        })?;
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_store_are_read_and_written_back() {
        for (text, back) in [
            ("memory:", "memory:"),
            ("file:data/store", "file:data/store"),
            ("file:///var/lib/duramen", "file:/var/lib/duramen"),
            ("s3://metrics", "s3://metrics"),
            ("s3://metrics/", "s3://metrics"),
            ("s3://metrics/a/b/", "s3://metrics/a/b"),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), back);
        }
    }

    #[test]
    fn what_is_no_store_is_refused_without_repeating_it() {
        for text in [
            "",
            "file:",
            "s3://",
            "s3:///x",
            "gs://b",
            "memory:x",
            "s3://key:hunter2@b",
            "s3://b?secret=hunter2",
            "s3://b/a/../b",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        }
    }
}
