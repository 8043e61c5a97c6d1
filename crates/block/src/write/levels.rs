//! Columns of a row group in which a row may have no value, or many: values with Parquet's levels.

use parquet::data_type::DataType;
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use crate::write::encode::{Chunk, Recipe};

/// A column with at most one value in each row.
pub(crate) struct Optional<T: DataType> {
    values: Vec<T::T>,
    definition: Vec<i16>,
}

/// A column with any number of values in each row.
pub(crate) struct Lists<T: DataType> {
    values: Vec<T::T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<T: DataType> Default for Optional<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            definition: Vec::new(),
        }
    }
}

impl<T: DataType> Default for Lists<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            definition: Vec::new(),
            repetition: Vec::new(),
        }
    }
}

impl<T: DataType> Optional<T> {
    /// Appends a row.
    pub(crate) fn push(&mut self, value: Option<T::T>) {
        self.definition.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// Sets the value of row `row`, which must be behind all earlier ones. Rows in between have
    /// none.
    pub(crate) fn put(&mut self, row: usize, value: T::T) {
        self.definition.resize(row, 0);
        self.push(Some(value));
    }

    /// Whether no row has a value.
    pub(crate) const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Encodes the chunk of `rows` rows. Rows that were not set have no value.
    pub(crate) fn encode(
        &mut self,
        recipe: &Recipe,
        column: &ColumnDescPtr,
        rows: usize,
    ) -> Result<Chunk> {
        self.definition.resize(rows, 0);
        recipe.encode::<T>(column, &self.values, Some(&self.definition), None)
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.definition.clear();
    }
}

impl<T: DataType> Lists<T> {
    /// Appends a row.
    pub(crate) fn push(&mut self, list: impl IntoIterator<Item = T::T>) {
        let before = self.values.len();
        self.values.extend(list);

        match self.values.len() - before {
            0 => {
                self.definition.push(0);
                self.repetition.push(0);
            }
            length => {
                self.definition.resize(self.definition.len() + length, 1);
                self.repetition.push(0);
                self.repetition.resize(self.definition.len(), 1);
            }
        }
    }

    pub(crate) fn encode(&self, recipe: &Recipe, column: &ColumnDescPtr) -> Result<Chunk> {
        recipe.encode::<T>(
            column,
            &self.values,
            Some(&self.definition),
            Some(&self.repetition),
        )
    }
}
