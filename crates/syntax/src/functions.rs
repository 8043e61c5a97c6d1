//! The functions of the language, as of Prometheus 3.16.

use crate::ast::value_type::ValueType::{self, Matrix, Scalar, String, Vector};

/// The signature of a function.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionSig {
    pub name: &'static str,
    /// The types of the arguments. With [`Variadic::Up`] or [`Variadic::Any`], the last is optional
    /// and may repeat.
    pub args: &'static [ValueType],
    pub variadic: Variadic,
    pub returns: ValueType,
    /// Whether upstream enables it only with a flag. Here it is always enabled.
    pub experimental: bool,
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly `args`.
    Fixed,
    /// All of `args` except the last, and then at most this number of arguments of the last type.
    Up(usize),
    /// All of `args` except the last, and then any number of arguments of the last type.
    Any,
}

impl FunctionSig {
    /// The minimum number of arguments.
    pub fn args_min(&self) -> usize {
        match self.variadic {
            Fixed => self.args.len(),
            Up(_) | Any => self.args.len().saturating_sub(1),
        }
    }

    /// The maximum number of arguments; `None` if there is no maximum.
    pub fn args_max(&self) -> Option<usize> {
        match self.variadic {
            Fixed => Some(self.args.len()),
            Up(more) => Some(self.args_min() + more),
            Any => None,
        }
    }

    /// The type that argument `index` must have. `None` if there is no such argument.
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        match self.variadic {
            Fixed => self.args.get(index).copied(),
            Up(_) | Any => self.args.get(index).or_else(|| self.args.last()).copied(),
        }
    }
}

/// The function of this name. Names are case-sensitive.
pub fn function(name: &str) -> Option<&'static FunctionSig> {
    FUNCTIONS
        .binary_search_by(|signature| signature.name.cmp(name))
        .ok()
        .and_then(|index| FUNCTIONS.get(index))
}

/// All functions, by name.
pub const fn all() -> &'static [FunctionSig] {
    FUNCTIONS
}

const fn stable(
    name: &'static str,
    args: &'static [ValueType],
    variadic: Variadic,
    returns: ValueType,
) -> FunctionSig {
    FunctionSig {
        name,
        args,
        variadic,
        returns,
        experimental: false,
    }
}

const fn experimental(
    name: &'static str,
    args: &'static [ValueType],
    variadic: Variadic,
    returns: ValueType,
) -> FunctionSig {
    FunctionSig {
        name,
        args,
        variadic,
        returns,
        experimental: true,
    }
}

use Variadic::{Any, Fixed, Up};

/// All functions, sorted by name.
#[rustfmt::skip]
pub static FUNCTIONS: &[FunctionSig] = &[
    stable("abs", &[Vector], Fixed, Vector),
    stable("absent", &[Vector], Fixed, Vector),
    stable("absent_over_time", &[Matrix], Fixed, Vector),
    stable("acos", &[Vector], Fixed, Vector),
    stable("acosh", &[Vector], Fixed, Vector),
    stable("asin", &[Vector], Fixed, Vector),
    stable("asinh", &[Vector], Fixed, Vector),
    stable("atan", &[Vector], Fixed, Vector),
    stable("atanh", &[Vector], Fixed, Vector),
    stable("avg_over_time", &[Matrix], Fixed, Vector),
    stable("ceil", &[Vector], Fixed, Vector),
    stable("changes", &[Matrix], Fixed, Vector),
    stable("clamp", &[Vector, Scalar, Scalar], Fixed, Vector),
    stable("clamp_max", &[Vector, Scalar], Fixed, Vector),
    stable("clamp_min", &[Vector, Scalar], Fixed, Vector),
    stable("cos", &[Vector], Fixed, Vector),
    stable("cosh", &[Vector], Fixed, Vector),
    stable("count_over_time", &[Matrix], Fixed, Vector),
    stable("day_of_month", &[Vector], Up(1), Vector),
    stable("day_of_week", &[Vector], Up(1), Vector),
    stable("day_of_year", &[Vector], Up(1), Vector),
    stable("days_in_month", &[Vector], Up(1), Vector),
    stable("deg", &[Vector], Fixed, Vector),
    stable("delta", &[Matrix], Fixed, Vector),
    stable("deriv", &[Matrix], Fixed, Vector),
    experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Fixed, Vector),
    experimental("end", &[], Fixed, Scalar),
    stable("exp", &[Vector], Fixed, Vector),
    experimental("first_over_time", &[Matrix], Fixed, Vector),
    stable("floor", &[Vector], Fixed, Vector),
    stable("histogram_avg", &[Vector], Fixed, Vector),
    stable("histogram_count", &[Vector], Fixed, Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], Fixed, Vector),
    stable("histogram_quantile", &[Scalar, Vector], Fixed, Vector),
    experimental("histogram_quantiles", &[Vector, String, Scalar, Scalar], Up(9), Vector),
    stable("histogram_stddev", &[Vector], Fixed, Vector),
    stable("histogram_stdvar", &[Vector], Fixed, Vector),
    stable("histogram_sum", &[Vector], Fixed, Vector),
    stable("hour", &[Vector], Up(1), Vector),
    stable("idelta", &[Matrix], Fixed, Vector),
    stable("increase", &[Matrix], Fixed, Vector),
    experimental("info", &[Vector, Vector], Up(1), Vector),
    experimental("integral", &[Matrix, Scalar], Up(1), Vector),
    stable("irate", &[Matrix], Fixed, Vector),
    stable("label_join", &[Vector, String, String, String], Any, Vector),
    stable("label_replace", &[Vector, String, String, String, String], Fixed, Vector),
    stable("last_over_time", &[Matrix], Fixed, Vector),
    stable("ln", &[Vector], Fixed, Vector),
    stable("log10", &[Vector], Fixed, Vector),
    stable("log2", &[Vector], Fixed, Vector),
    experimental("mad_over_time", &[Matrix], Fixed, Vector),
    experimental("max_of", &[Scalar, Scalar], Fixed, Scalar),
    stable("max_over_time", &[Matrix], Fixed, Vector),
    experimental("min_of", &[Scalar, Scalar], Fixed, Scalar),
    stable("min_over_time", &[Matrix], Fixed, Vector),
    stable("minute", &[Vector], Up(1), Vector),
    stable("month", &[Vector], Up(1), Vector),
    stable("pi", &[], Fixed, Scalar),
    stable("predict_linear", &[Matrix, Scalar], Fixed, Vector),
    stable("present_over_time", &[Matrix], Fixed, Vector),
    stable("quantile_over_time", &[Scalar, Matrix], Fixed, Vector),
    stable("rad", &[Vector], Fixed, Vector),
    experimental("range", &[], Fixed, Scalar),
    stable("rate", &[Matrix], Fixed, Vector),
    stable("resets", &[Matrix], Fixed, Vector),
    stable("round", &[Vector, Scalar], Up(1), Vector),
    stable("scalar", &[Vector], Fixed, Scalar),
    stable("sgn", &[Vector], Fixed, Vector),
    stable("sin", &[Vector], Fixed, Vector),
    stable("sinh", &[Vector], Fixed, Vector),
    stable("sort", &[Vector], Fixed, Vector),
    experimental("sort_by_label", &[Vector, String], Any, Vector),
    experimental("sort_by_label_desc", &[Vector, String], Any, Vector),
    stable("sort_desc", &[Vector], Fixed, Vector),
    stable("sqrt", &[Vector], Fixed, Vector),
    experimental("start", &[], Fixed, Scalar),
    experimental("start_timestamp", &[Vector], Fixed, Vector),
    stable("stddev_over_time", &[Matrix], Fixed, Vector),
    stable("stdvar_over_time", &[Matrix], Fixed, Vector),
    experimental("step", &[], Fixed, Scalar),
    stable("sum_over_time", &[Matrix], Fixed, Vector),
    stable("tan", &[Vector], Fixed, Vector),
    stable("tanh", &[Vector], Fixed, Vector),
    stable("time", &[], Fixed, Scalar),
    stable("timestamp", &[Vector], Fixed, Vector),
    experimental("ts_of_first_over_time", &[Matrix], Fixed, Vector),
    experimental("ts_of_last_over_time", &[Matrix], Fixed, Vector),
    experimental("ts_of_max_over_time", &[Matrix], Fixed, Vector),
    experimental("ts_of_min_over_time", &[Matrix], Fixed, Vector),
    stable("vector", &[Scalar], Fixed, Vector),
    stable("year", &[Vector], Up(1), Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_function_is_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));

        for signature in FUNCTIONS {
            assert_eq!(function(signature.name), Some(signature));
        }

        assert_eq!(function("Rate"), None);
    }

    #[test]
    fn a_variadic_function_repeats_its_last_argument() {
        let join = function("label_join").expect("a function");
        assert_eq!((join.args_min(), join.args_max()), (3, None));
        assert_eq!(join.arg_type(17), Some(String));

        let hour = function("hour").expect("a function");
        assert_eq!((hour.args_min(), hour.args_max()), (0, Some(1)));

        let time = function("time").expect("a function");
        assert_eq!((time.args_max(), time.arg_type(0)), (Some(0), None));
    }
}
