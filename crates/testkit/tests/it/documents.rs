//! The links between the documents of the project lead somewhere.

use std::path::{Path, PathBuf};

/// Returns the targets of the links `[text](target)` of a page, without those to other sites.
fn links(page: &str) -> Vec<&str> {
    let behind = page.split("](").skip(1);
    behind
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .collect()
}

/// Returns the anchors of a page's headings, as web pages have them: lower case, spaces become
/// hyphens, and other characters than letters, digits, hyphens and underscores are dropped.
fn anchors(page: &str) -> Vec<String> {
    let headings = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());

    let anchor = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };

    headings.map(anchor).collect()
}

/// Says what is wrong with the link `target` of the page `from`.
fn fault(from: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() {
        from.to_path_buf()
    } else {
        from.parent()?.join(file)
    };

    if !path.exists() {
        return Some(format!("{}: there is no {target}", from.display()));
    }

    let anchor = anchor?;
    let page = std::fs::read_to_string(&path).ok()?;
    let found = anchors(&page).iter().any(|known| known == anchor);

    (!found).then(|| format!("{}: no heading for {target}", from.display()))
}

/// Finds all pages of the project, but not those in build results.
fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();

        if path.is_dir() && name != "target" && !name.starts_with('.') {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();

    for directory in ["docs", "bench", "crates"] {
        pages(&root.join(directory), &mut found);
    }

    let names = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];

    found.extend(names.map(|name| root.join(name)));

    let mut faults = Vec::new();

    for from in &found {
        let page = std::fs::read_to_string(from).unwrap();
        faults.extend(
            links(&page)
                .into_iter()
                .filter_map(|target| fault(from, target)),
        );
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    assert_eq!(
        links("see [a](b.md), [c](https://d.e) and [f](g.md#h)"),
        ["b.md", "g.md#h"]
    );

    assert_eq!(
        anchors("# The `WAL`, version 0\ntext\n## What (not)"),
        ["the-wal-version-0", "what-not"]
    );
}

#[test]
fn a_dead_link_is_found() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    assert_eq!(fault(&from, "ARCHITECTURE.md#crates-and-floors"), None);
    assert!(
        fault(&from, "nowhere.md").is_some_and(|fault| fault.ends_with("there is no nowhere.md"))
    );
    assert!(
        fault(&from, "ARCHITECTURE.md#nothing").is_some_and(|fault| fault.contains("no heading"))
    );
}
