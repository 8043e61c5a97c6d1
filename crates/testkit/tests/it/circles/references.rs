//! The modules, names and paths in one file.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

/// The segments of a path, including `crate`, `self` and `super`.
pub(crate) type Segments = Vec<String>;

/// A name that a `use` imports, and its path.
pub(crate) struct Import {
    /// The name, or `None` for `*`; then the path is that of the module.
    pub(crate) name: Option<String>,
    pub(crate) path: Segments,
}

/// The paths in code. Code for tests only is left out.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) paths: Vec<Segments>,
    /// The imports of `use` within functions.
    pub(crate) imports: Vec<Import>,
}

/// Whether an item with these attributes is for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        list.path.is_ident("cfg") && names_test(&list.tokens)
    })
}

/// Whether the condition of a `cfg` names `test`, but not as `not(test)`.
fn names_test(condition: &TokenStream) -> bool {
    let mut negated = false;

    condition.clone().into_iter().any(|token| match token {
        TokenTree::Ident(name) => {
            negated = name == "not";
            name == "test"
        }
        TokenTree::Group(group) => !negated && names_test(&group.stream()),
        _ => false,
    })
}

/// Returns the imports of a `use`.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut all = Vec::new();
    flatten(tree, &mut Vec::new(), &mut all);
    all
}

fn flatten(tree: &UseTree, before: &mut Segments, out: &mut Vec<Import>) {
    let mut add = |name: Option<String>, last: Option<String>| {
        let mut path = before.clone();
        path.extend(last.filter(|last| last != "self" || path.is_empty()));
        let name = name.map(|name| match name.as_str() {
            "self" => path.last().cloned().unwrap_or(name),
            _ => name,
        });
        out.push(Import { name, path });
    };

    match tree {
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            add(Some(name.clone()), Some(name));
        }
        UseTree::Rename(renamed) => add(
            Some(renamed.rename.to_string()),
            Some(renamed.ident.to_string()),
        ),
        UseTree::Glob(_) => add(None, None),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, out);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, out);
            }
        }
    }
}

impl References {
    pub(crate) fn of(item: &Item) -> Self {
        let mut all = Self::default();
        all.visit_item(item);
        all
    }

    /// Finds paths in the input of a macro, which is not parsed: identifiers with `::` between
    /// them.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;

        for token in tokens {
            match token {
                TokenTree::Punct(colon) if colon.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    // `::name` at the beginning names a crate. In `a: b` there are two paths.
                    if colons != 2 {
                        self.mention(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.mention(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }

        self.mention(path);
    }

    fn mention(&mut self, path: Segments) {
        // Alone, these are a value, a visibility, or nothing.
        let alone = ["crate", "self", "super", "Self"];
        let says_nothing = match path.as_slice() {
            [] => true,
            [only] => alone.contains(&only.as_str()),
            _ => false,
        };

        if !says_nothing {
            self.paths.push(path);
        }
    }
}

impl<'a> Visit<'a> for References {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Const(it) => &it.attrs,
            Item::Enum(it) => &it.attrs,
            Item::Fn(it) => &it.attrs,
            Item::Impl(it) => &it.attrs,
            Item::Macro(it) => &it.attrs,
            Item::Mod(it) => &it.attrs,
            Item::Static(it) => &it.attrs,
            Item::Struct(it) => &it.attrs,
            Item::Trait(it) => &it.attrs,
            Item::Type(it) => &it.attrs,
            Item::Union(it) => &it.attrs,
            Item::Use(it) => &it.attrs,
            _ => return visit::visit_item(self, item),
        };

        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.imports.extend(imports(&item.tree));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_const(self, item);
        }
    }

    fn visit_field(&mut self, field: &'a syn::Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'a syn::FieldValue) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'a syn::Variant) {
        if !is_for_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_local(&mut self, local: &'a syn::Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_attribute(&mut self, _: &'a Attribute) {}

    /// `pub(crate)` and `pub(in crate::a)` are about visibility. They do not use anything.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.mention(segments.map(|segment| segment.ident.to_string()).collect());
        }

        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }
}
