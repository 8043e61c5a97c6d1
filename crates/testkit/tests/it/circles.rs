//! The files of a crate do not refer to each other in circles.
//!
//! Without circles, there is an order in which each file can be read after the files that it uses.
//! The rules for the files in each crate's `src`:
//!
//! - A reference is a `use`, or a path in code (`crate::a::b()`, `super::A`, `a::b()` of a module
//!   in scope), also in the input of macros. `pub use` counts too. Calls of an inherent method that
//!   another file defines are not detected.
//! - A reference leads to the file that defines the item, through all re-exports, globs and
//!   aliases. If the item cannot be found (a macro made it, or it is from another crate), the
//!   reference leads to the module in the path.
//! - `mod x;` is not a reference. A child that uses items of its parent refers to the parent. A
//!   parent that uses items of its child refers to the child. Both together are a circle.
//! - A door is transparent: a file that has only `mod` and `use` refers to nothing. So `lib.rs` may
//!   re-export items of files that use `crate::`.
//! - Code for tests only (`#[cfg(test)]`) is ignored, and so is `pub(in path)`.

mod graph;
mod modules;
mod references;

use std::collections::BTreeSet;
use std::path::Path;

use graph::{in_circles, shortest_circle};
use modules::{Files, Modules};

/// A circle of references between files of a crate.
struct Circle {
    /// Each file, with the path by which it refers to the next.
    steps: Vec<(String, String)>,
    /// How many files are part of any circle.
    files: usize,
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} files are in circles, for example", self.files)?;

        for (i, (file, path)) in self.steps.iter().enumerate() {
            let (next, _) = &self.steps[(i + 1) % self.steps.len()];
            write!(f, "\n    {file} mentions {next} by `{path}`")?;
        }

        Ok(())
    }
}

/// Returns the shortest circle between the files of a crate. Pure.
fn circle(files: &Files) -> Option<Circle> {
    let modules = Modules::of(files);
    let edges = modules.edges();
    let pairs: BTreeSet<(usize, usize)> = edges.keys().copied().collect();
    let circle = shortest_circle(&pairs)?;

    let steps = circle.iter().enumerate().map(|(i, from)| {
        let to = circle[(i + 1) % circle.len()];
        (
            modules.file_name(*from).to_owned(),
            edges[&(*from, to)].clone(),
        )
    });

    Some(Circle {
        steps: steps.collect(),
        files: in_circles(&pairs),
    })
}

/// Reads all files of `folder`, by their path below it.
fn read(folder: &Path, below: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let below = [below, &*name].join("/");
        let below = below.trim_start_matches('/');

        if path.is_dir() {
            read(&path, below, files);
        } else if below.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            files.insert(below.to_owned(), text);
        }
    }
}

#[test]
fn the_files_of_no_crate_refer_to_each_other_in_circles() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut faults = Vec::new();

    for entry in std::fs::read_dir(crates).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !folder.join("src").is_dir() {
            continue;
        }

        let mut files = Files::new();
        read(&folder.join("src"), "", &mut files);

        assert!(!files.is_empty(), "{name} has no source");

        if let Some(circle) = circle(&files) {
            faults.push(format!("{name}: {circle}"));
        }
    }

    faults.sort_unstable();

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns the circle of a crate with these files, beginning with the file that sorts first.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    let Some(circle) = circle(&files.iter().map(owned).collect()) else {
        return vec![];
    };

    let mut names: Vec<String> = circle.steps.into_iter().map(|(file, _)| file).collect();
    names.sort_unstable();
    names
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(found(files), expected);
}

/// Checks a crate of the files `a.rs` and `b.rs`, in which `b` refers to `a`.
#[track_caller]
fn check_a(a: &str, expected: &[&str]) {
    check(
        &[
            ("lib.rs", "mod a; mod b; pub use b::B;"),
            ("a.rs", a),
            ("b.rs", "pub struct B; fn b(a: crate::a::A) -> B {}"),
        ],
        expected,
    );
}

const BOTH: &[&str] = &["a.rs", "b.rs"];

#[test]
fn a_use_and_a_path_in_code_are_references() {
    check_a("pub struct A;", &[]);

    for a in [
        "use crate::b::B; pub struct A;",
        "use crate::{b::{self as c, B as D}}; pub struct A;",
        "use super::b::B; pub struct A;",
        "use super::b; pub struct A;",
        "pub use self::super::b::B; pub struct A;",
        "pub struct A(crate::b::B);",
        "pub struct A; fn f() { crate::b::b(A); }",
        "pub struct A; fn f() { use super::b::b; }",
        "pub struct A; impl From<super::b::B> for A {}",
        "pub struct A; impl<T: Iterator<Item = crate::b::B>> A {}",
        "pub struct A; fn f() { println!(\"{}\", x + crate::b::b(y)); }",
        "pub struct A; fn f() { vec![vec![1, super::b::B]]; }",
        "pub struct A; mod inner { fn f() { super::super::b::b(); } }",
    ] {
        check_a(a, BOTH);
    }
}

#[test]
fn a_reference_through_a_door_is_one_to_the_file_that_defines_the_item() {
    check_a("use crate::B; pub struct A;", BOTH);
    check_a("use crate as all; pub struct A; fn f() { all::B; }", BOTH);
    check_a("use crate::*; pub struct A; fn f() -> B {}", BOTH);
    check_a("use crate::*; pub struct A;", &[]);
    check_a("pub struct A; fn f() { crate::Unknown; }", &[]);

    let deep = [
        ("lib.rs", "mod a; mod b; mod door; pub use door::*;"),
        (
            "door.rs",
            "mod inner; pub use crate::b::B; pub use inner::C;",
        ),
        ("door/inner.rs", "pub struct C;"),
        ("a.rs", "pub struct A; fn f(c: crate::C) {}"),
        ("b.rs", "use crate::a; pub struct B; fn f() -> a::A {}"),
    ];
    check(&deep, &[]);

    let mut closed = deep;
    closed[3].1 = "use crate::B as Other; pub struct A; fn f() -> Other {}";
    check(&closed, BOTH);
}

#[test]
fn a_door_refers_to_nothing_and_a_file_with_items_of_its_own_does() {
    let child = ("a/b.rs", "use super::A; pub struct B;");
    let lib = ("lib.rs", "pub mod a; pub use a::A;");
    let circle = &["a.rs", "a/b.rs"];

    check(&[lib, ("a.rs", "mod b; pub struct A;"), child], &[]);
    check(
        &[lib, ("a.rs", "mod b; pub use b::B; pub struct A;"), child],
        circle,
    );
    check(
        &[lib, ("a.rs", "mod b; pub struct A { b: b::B }"), child],
        circle,
    );
    check(
        &[
            lib,
            ("a.rs", "mod b; pub struct A; fn f(b: u8) -> u8 { b }"),
            child,
        ],
        &[],
    );
    check(
        &[
            ("lib.rs", "pub mod a; mod c; pub use a::{A, B};"),
            ("a.rs", "mod b; pub use b::B; pub use crate::c::A;"),
            child,
            ("c.rs", "pub struct A;"),
        ],
        &[],
    );
    check(
        &[
            ("lib.rs", "mod a; pub use a::A; pub const LENGTH: u8 = 1;"),
            ("a.rs", "pub struct A([u8; crate::LENGTH]);"),
        ],
        &["a.rs", "lib.rs"],
    );
}

#[test]
fn what_only_tests_see_is_left_out() {
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(test)] mod tests;",
        "#[cfg(test)] use crate::b::B; pub struct A;",
        "pub struct A; #[cfg(all(test, unix))] fn f() { crate::b::b(); }",
        "pub struct A; impl A { #[cfg(test)] fn f() { crate::b::b(); } }",
        "pub struct A { #[cfg(test)] b: crate::b::B }",
    ] {
        check_a(a, &[]);
    }

    check_a(
        "pub struct A; #[cfg(not(test))] fn f() { crate::b::b(); }",
        BOTH,
    );
    check_a("pub struct A; #[cfg(unix)] fn f(b: crate::b::B) {}", BOTH);
}

#[test]
fn names_of_other_crates_and_visibilities_are_no_references() {
    check_a(
        "use b::B; use ::b::C; pub(in crate::b) struct A; pub(crate) fn f(b: ::b::B) {}",
        &[],
    );
    check_a("pub struct A; fn f(b: &str) { b.trim(); x::b::B }", &[]);
}

#[test]
fn longer_circles_and_those_of_a_binary_are_found() {
    check(
        &[
            ("main.rs", "mod a; mod b; mod c; fn main() { a::f() }"),
            ("a.rs", "pub fn f() { crate::b::f() }"),
            ("b/mod.rs", "mod d; pub fn f() { d::f() }"),
            ("b/d.rs", "pub fn f() { crate::c::f() }"),
            ("c.rs", "use crate::a; pub fn f() { a::f() }"),
        ],
        &["a.rs", "b/d.rs", "b/mod.rs", "c.rs"],
    );
}
