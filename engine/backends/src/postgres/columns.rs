//! What is read from the columns of a row.

use sqlx::{Decode, Postgres, Row as _, Type, postgres::PgRow};

use super::stored::decoded;
use crate::database::{Error, damaged};

/// The columns of a row, by their places.
pub trait Columns {
    /// A value of a type that PostgreSQL has.
    ///
    /// # Errors
    /// When the column is of another type.
    fn value<'r, T: Decode<'r, Postgres> + Type<Postgres>>(&'r self, column: usize) -> Result<T, Error>;

    /// A text that was [`stored`](super::stored).
    ///
    /// # Errors
    /// When it is none.
    fn text(&self, column: usize) -> Result<String, Error> {
        self.value(column).map(decoded)
    }

    /// Such a text, where there is one.
    ///
    /// # Errors
    /// When it is none.
    fn maybe_text(&self, column: usize) -> Result<Option<String>, Error> {
        Ok(self.value::<Option<String>>(column)?.map(decoded))
    }

    /// A number that is never negative.
    ///
    /// # Errors
    /// When it is.
    fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Error> {
        self.maybe_number(column)?.ok_or_else(|| damaged(format!("column {column} is empty")))
    }

    /// Such a number, where there is one.
    ///
    /// # Errors
    /// When it is negative.
    fn maybe_number<T: TryFrom<i64>>(&self, column: usize) -> Result<Option<T>, Error> {
        let found: Option<i64> = self.value(column)?;
        let fitting = |found: i64| T::try_from(found).map_err(|_| damaged(format!("column {column} is {found}")));
        found.map(fitting).transpose()
    }
}

impl Columns for PgRow {
    fn value<'r, T: Decode<'r, Postgres> + Type<Postgres>>(&'r self, column: usize) -> Result<T, Error> {
        Ok(self.try_get(column)?)
    }
}
