//! Parses settings files and combines their values.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::options;

use crate::Fault;

/// The maximum size of a settings file in bytes. Some 100,000 tenants with a few limits each fit
/// in.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// Parses one YAML document. An empty document, or one with only comments, is an empty map.
///
/// The fault never repeats a line of the file, because the line may have a secret.
pub fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, Fault> {
    let whole = |why: String| Fault {
        key: String::new(),
        line: None,
        why,
    };

    if yaml.len() > FILE_BYTES_MAX {
        return Err(whole(format!(
            "the file is too large. bytes=`{}`, bytes_max=`{FILE_BYTES_MAX}`",
            yaml.len()
        )));
    }

    let is_empty = yaml
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line == "---");
    let yaml = if is_empty { "{}" } else { yaml };
    let mut key = String::new();

    let read = serde_saphyr::with_deserializer_from_str_with_options(
        yaml,
        options! { with_snippet: false },
        |from| {
            serde_path_to_error::deserialize(from).map_err(|error| {
                key = error.path().to_string();
                error.into_inner()
            })
        },
    );

    read.map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map(|at| at.line());

        let key = if key == "." {
            String::new()
        } else {
            std::mem::take(&mut key)
        };

        Fault {
            key,
            line,
            why: without_place(&error.to_string()),
        }
    })
}

/// The first line of a message, without the place, which [`Fault`] has already.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let end = first
        .find(" at line ")
        .or_else(|| first.find(" (line "))
        .unwrap_or(first.len());

    let text = first.get(..end).unwrap_or(first).trim();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

/// All values that are not maps, each with its keys, joined by points.
pub fn leaves(tree: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect("", tree, &mut found);
    found
}

fn collect<'a>(key: &str, tree: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    let Value::Object(map) = tree else {
        return found.push((key.to_owned(), tree));
    };

    for (name, value) in map {
        let key = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };

        collect(&key, value, found);
    }
}

/// Replaces values of `under` by those of `over`. Maps are merged, and all other values are
/// replaced.
pub fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                overlay(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        // An empty section (`ingest:`) changes nothing.
        (Value::Object(_), Value::Null) => {}
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        name: String,
        inner: Inner,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        #[serde(with = "crate::duration")]
        wait: std::time::Duration,
        #[serde(with = "crate::duration::optional")]
        most: Option<std::time::Duration>,
        #[serde(with = "crate::size")]
        bytes: usize,
        secret: Option<crate::Secret>,
    }

    fn fault(yaml: &str) -> String {
        read::<Outer>(yaml).unwrap_err().to_string()
    }

    #[test]
    fn values_are_read_in_every_form_that_people_use() {
        let read = |yaml| read::<Outer>(yaml).unwrap();
        let outer =
            read("# a comment\nname: x\ninner:\n  wait: 1m30s\n  most: 2h\n  bytes: 64MiB\n");
        let wait = std::time::Duration::from_secs(90);
        let most = Some(std::time::Duration::from_secs(7200));

        assert_eq!(
            outer,
            Outer {
                name: "x".into(),
                inner: Inner {
                    wait,
                    most,
                    bytes: 64 << 20,
                    secret: None
                }
            }
        );

        let outer = read("inner: {wait: 0, bytes: 100, most: null}");
        assert_eq!((outer.inner.bytes, outer.inner.most), (100, None));

        for empty in ["", "# nothing\n", "---\n", "{}", "\n\n"] {
            assert_eq!(read(empty), Outer::default(), "{empty:?}");
        }
    }

    #[test]
    fn a_fault_names_its_key_and_its_line() {
        let unknown = fault("name: x\ninner:\n  wiat: 5s\n");
        assert!(
            unknown.starts_with("inner.wiat: ") && unknown.ends_with("(line 3)"),
            "{unknown}"
        );

        assert!(unknown.contains("wait"), "what there is: {unknown}");

        let wrong = fault("name: x\n\ninner:\n  bytes: 64MB\n");
        assert!(
            wrong.starts_with("inner.bytes: ")
                && wrong.contains("MiB")
                && wrong.ends_with("(line 4)"),
            "{wrong}"
        );

        let wrong = fault("inner: {wait: 5}");
        assert!(
            wrong.starts_with("inner.wait: ") && wrong.contains("1h30m"),
            "{wrong}"
        );

        assert!(fault("name: x\nname: y\n").contains("name"));
        assert!(fault("- 1\n- 2\n").ends_with("(line 1)"));
    }

    #[test]
    fn a_fault_repeats_nothing_of_the_file() {
        for yaml in [
            "inner:\n  secret: hunter2\n  wait: x5\n",
            "inner:\n  secret: hunter2\n  wiat: 5s\n",
            "inner:\n  secret: hunter2\n bad: [\n",
            "inner:\n  secret: [hunter2]\n",
            "inner:\n  secret: {hunter2: hunter2}\n",
            "inner:\n  secret: \"hunter2\n",
        ] {
            assert!(!fault(yaml).contains("hunter2"), "{yaml}: {}", fault(yaml));
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_unread() {
        let error = read::<Outer>(&"# 34\n".repeat(FILE_BYTES_MAX / 5 + 1)).unwrap_err();
        assert!(error.to_string().contains("bytes_max"), "{error}");
    }

    #[test]
    fn what_lies_over_replaces_value_by_value() {
        let mut tree = json!({"a": {"x": 1, "y": 2}, "b": 3, "c": {"z": 4}});
        overlay(&mut tree, &json!({"a": {"y": null}, "b": 5, "c": null}));

        assert_eq!(
            tree,
            json!({"a": {"x": 1, "y": null}, "b": 5, "c": {"z": 4}})
        );

        let keys: Vec<_> = leaves(&tree).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a.x", "a.y", "b", "c.z"]);
    }
}
