//! The labels of one metric of a family.

use std::fmt::Debug;
use std::hash::Hash;

/// A struct whose fields are labels. [`label_set`](crate::label_set) implements it.
pub trait LabelSet: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Names and values, in the order in which they are shown.
    fn labels(&self) -> Vec<(&'static str, String)>;
}

/// Makes labels of the named fields of a struct, which all can be displayed.
///
/// ```
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// struct RequestLabels {
///     route: String,
///     code: u16,
/// }
///
/// duramen_metrics::label_set!(RequestLabels: route, code);
/// ```
#[macro_export]
macro_rules! label_set {
    ($set:ty: $($field:ident),+) => {
        impl $crate::LabelSet for $set {
            fn labels(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($field), self.$field.to_string())),+]
            }
        }
    };
}
