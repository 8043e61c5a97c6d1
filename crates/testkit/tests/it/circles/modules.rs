//! The modules of one crate, and the files that paths lead to.

use std::collections::BTreeMap;

use syn::Item;

use super::references::{Import, References, Segments, imports, is_for_tests};

/// The sources of a crate: texts by path below `src`, with `/` between folders.
pub(crate) type Files = BTreeMap<String, String>;

/// All modules of a crate, including inline ones. Each root (`lib.rs`, `main.rs`, binaries) has a
/// tree of its own.
pub(crate) struct Modules {
    all: Vec<Module>,
    /// Paths below `src`.
    files: Vec<String>,
    /// For each of `files`: whether it only declares modules and re-exports.
    doors: Vec<bool>,
}

#[derive(Default)]
struct Module {
    file: usize,
    root: usize,
    /// The parent; a root is its own parent.
    parent: usize,
    children: BTreeMap<String, usize>,
    names: BTreeMap<String, Name>,
    /// The paths of `use a::*`.
    globs: Vec<Segments>,
    /// All paths that the module mentions: in `use` and in code.
    paths: Vec<Segments>,
}

enum Name {
    /// The module itself defines it.
    Here,
    Import(Segments),
}

/// What a path leads to: a module, or an item in a module.
enum Found {
    Module(usize),
    In(usize),
}

/// Chains of re-exports are followed up to this length.
const DEPTH_MAX: usize = 32;

impl Modules {
    /// # Panics
    /// If a file cannot be parsed, or a module has no file.
    pub(crate) fn of(files: &Files) -> Self {
        let mut modules = Self {
            all: Vec::new(),
            files: Vec::new(),
            doors: Vec::new(),
        };

        for path in files.keys() {
            let folder = match path.as_str() {
                "lib.rs" | "main.rs" => "",
                binary => match binary.strip_prefix("bin/") {
                    Some(name) if !name.contains('/') => "bin",
                    Some(name) if name.ends_with("/main.rs") => binary.trim_end_matches("/main.rs"),
                    _ => continue,
                },
            };

            let root = modules.all.len();
            modules.add_file(files, path, folder, root, root);
        }

        modules
    }

    pub(crate) fn file_name(&self, file: usize) -> &str {
        &self.files[file]
    }

    /// Returns the edges between files: from and to, each with the first path that makes it.
    pub(crate) fn edges(&self) -> BTreeMap<(usize, usize), String> {
        let mut edges = BTreeMap::new();

        for (at, module) in self.all.iter().enumerate() {
            if self.doors[module.file] {
                continue;
            }

            // In code, a name alone is a value or a type. For example, a variable may have the name
            // of a child module.
            let named = module.paths.iter().filter_map(|path| {
                let found = self.follow(at, path, 0)?;
                let is_name = path.len() == 1 && matches!(found, Found::Module(_));
                (!is_name).then_some((path, found))
            });
            let globs = module
                .globs
                .iter()
                .filter_map(|path| Some((path, self.follow(at, path, 0)?)));

            for (path, found) in named.chain(globs) {
                let (Found::Module(to) | Found::In(to)) = found;
                let to = self.all[to].file;

                if to != module.file {
                    let path = || path.join("::");
                    edges.entry((module.file, to)).or_insert_with(path);
                }
            }
        }

        edges
    }

    /// Adds the module of a file and all modules below it. `folder` has the files of its children.
    fn add_file(
        &mut self,
        files: &Files,
        path: &str,
        folder: &str,
        root: usize,
        parent: usize,
    ) -> usize {
        assert!(files.contains_key(path), "a module has no file: {path}");
        let parsed = syn::parse_file(&files[path])
            .map_err(|e| format!("{path}: {e}"))
            .expect("a file that compiles");

        let file = self.files.len();
        self.files.push(path.to_owned());
        self.doors.push(is_door(&parsed.items));

        self.add(files, &parsed.items, file, folder, root, parent)
    }

    fn add(
        &mut self,
        files: &Files,
        items: &[Item],
        file: usize,
        folder: &str,
        root: usize,
        parent: usize,
    ) -> usize {
        let at = self.all.len();
        self.all.push(Module {
            file,
            root,
            parent,
            ..Module::default()
        });

        for item in items {
            match item {
                Item::Mod(module) if is_for_tests(&module.attrs) => {}
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = [folder, &name].join("/");
                    let below = below.trim_start_matches('/');

                    let child = match &module.content {
                        Some((_, items)) => self.add(files, items, file, below, root, at),
                        None => {
                            let path = file_of(files, folder, below, &module.attrs);
                            self.add_file(files, &path, below, root, at)
                        }
                    };
                    self.all[at].children.insert(name, child);
                }
                Item::Use(used) if is_for_tests(&used.attrs) || used.leading_colon.is_some() => {}
                Item::Use(used) => self.import(at, imports(&used.tree)),
                other => self.add_code(at, other),
            }
        }

        at
    }

    fn import(&mut self, at: usize, imports: Vec<Import>) {
        let module = &mut self.all[at];

        for Import { name, path } in imports {
            match name {
                Some(name) => {
                    module.paths.push(path.clone());
                    module.names.entry(name).or_insert(Name::Import(path));
                }
                None => module.globs.push(path),
            }
        }
    }

    fn add_code(&mut self, at: usize, item: &Item) {
        let References { paths, imports } = References::of(item);
        self.all[at].paths.extend(paths);
        self.import(at, imports);

        let name = match item {
            Item::Const(it) => &it.ident,
            Item::Enum(it) => &it.ident,
            Item::Fn(it) => &it.sig.ident,
            Item::Static(it) => &it.ident,
            Item::Struct(it) => &it.ident,
            Item::Trait(it) => &it.ident,
            Item::Type(it) => &it.ident,
            Item::Union(it) => &it.ident,
            Item::Macro(it) => match &it.ident {
                Some(name) => name,
                None => return,
            },
            _ => return,
        };

        self.all[at].names.insert(name.to_string(), Name::Here);
    }

    /// Follows `path`, which is in module `at`. Returns `None` if it leads to another crate, or to
    /// a scope within a function.
    fn follow(&self, at: usize, path: &[String], depth: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let module = &self.all[at];

        let mut found = match first.as_str() {
            "crate" => Found::Module(module.root),
            "self" => Found::Module(at),
            "super" => Found::Module(module.parent),
            name => self.find(at, name, depth)?,
        };

        for name in rest {
            let Found::Module(within) = found else {
                // The rest of the path is a variant or an associated function.
                return Some(found);
            };

            found = match name.as_str() {
                "super" => Found::Module(self.all[within].parent),
                // What a file re-exports from another crate counts as its own.
                name => self.find(within, name, depth).unwrap_or(Found::In(within)),
            };
        }

        Some(found)
    }

    /// Returns what `name` is in module `at`: a child, a definition or an import.
    fn find(&self, at: usize, name: &str, depth: usize) -> Option<Found> {
        if depth > DEPTH_MAX {
            return None;
        }

        let module = &self.all[at];
        if let Some(child) = module.children.get(name) {
            return Some(Found::Module(*child));
        }

        match module.names.get(name) {
            Some(Name::Here) => return Some(Found::In(at)),
            // For example `use bytes::Bytes`, in a module where this import is named `bytes`.
            Some(Name::Import(path)) if path.first().is_some_and(|first| first == name) => {
                return None;
            }
            Some(Name::Import(path)) => return self.follow(at, path, depth + 1),
            None => {}
        }

        module.globs.iter().find_map(|glob| {
            let Found::Module(source) = self.follow(at, glob, depth + 1)? else {
                return None;
            };
            self.find(source, name, depth + 1).filter(|_| source != at)
        })
    }
}

/// Whether a file only declares modules and re-exports.
fn is_door(items: &[Item]) -> bool {
    items.iter().all(|item| match item {
        Item::Mod(module) => module.content.is_none() || is_for_tests(&module.attrs),
        Item::Use(_) | Item::ExternCrate(_) => true,
        _ => false,
    })
}

/// Returns the file of the module `below`. The children of the file that declares it are in
/// `folder`.
fn file_of(files: &Files, folder: &str, below: &str, attributes: &[syn::Attribute]) -> String {
    let stated = attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(path),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path.is_ident("path").then(|| path.value())
    });

    if let Some(stated) = stated {
        // The path begins in the folder of the file that declares the module.
        let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        return [folder, &stated]
            .join("/")
            .trim_start_matches('/')
            .to_owned();
    }

    let nested = format!("{below}/mod.rs");
    if files.contains_key(&nested) {
        nested
    } else {
        format!("{below}.rs")
    }
}
