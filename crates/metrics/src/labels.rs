//! The labels that tell the metrics of one family apart.

use std::fmt::Debug;
use std::hash::Hash;

/// A struct whose fields are labels. [`label_set`](crate::label_set) implements it.
pub trait LabelSet: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Returns names and values in the order in which they are shown.
    fn labels(&self) -> Vec<(&'static str, String)>;
}

/// Implements [`LabelSet`](crate::LabelSet) for a struct: each named field becomes a label. All
/// these fields must implement `Display`.
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
