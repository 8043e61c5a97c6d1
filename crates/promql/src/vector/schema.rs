//! The columns of a vector.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// Returns the schema of a vector with `steps` cells.
///
/// `labels`: the encoded form of [`duramen_model::Labels`]. `values`: one cell per step; null means
/// absent, or a histogram. Absent, NaN and stale are different: NaN is an ordinary value, and a
/// stale marker never leaves the selector.
///
/// `histogram_steps`, `histograms`: the steps of the row that have a histogram, ascending, and the
/// byte form of each. For rows of floats, the lists are empty.
pub(crate) fn schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        Field::new(
            "values",
            DataType::FixedSizeList(item(), width(steps)),
            false,
        ),
        Field::new("histogram_steps", DataType::List(step_item()), false),
        Field::new("histograms", DataType::List(histogram_item()), false),
    ]))
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float64, true))
}

pub(super) fn step_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::UInt32, false))
}

pub(super) fn histogram_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::LargeBinary, false))
}

fn width(steps: usize) -> i32 {
    i32::try_from(steps).expect("the planner bounds the steps")
}

/// Returns the column of flat cells, as a batch has it.
pub(crate) fn cells_column(
    values: Vec<f64>,
    present: Option<NullBuffer>,
    steps: usize,
) -> ArrayRef {
    let cells = Arc::new(Float64Array::new(values.into(), present));
    Arc::new(FixedSizeListArray::new(item(), width(steps), cells, None))
}

pub(crate) fn downcast<T: Array + 'static>(array: &ArrayRef) -> &T {
    array
        .as_any()
        .downcast_ref()
        .expect("the schema between operators is fixed")
}
