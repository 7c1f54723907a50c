//! From columns to domain values: what a column holds is parsed again, for the file may have been edited.

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};

use super::error::StoreError;
use crate::domain::time::Timestamp;

/// Every row that a query finds.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row that a query finds, if any.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// A column's text as a value of the domain.
pub(super) fn parsed<T, E>(
    row: &Row<'_>,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parse(row.get_ref(column)?.as_str().map_err(|_| StoreError::Malformed(column))?)
        .map_err(|_| StoreError::Malformed(column))
}

/// The same for a column that may be empty.
pub(super) fn maybe_parsed<T, E>(
    row: &Row<'_>,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    if row.get_ref(column)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    parsed(row, column, parse).map(Some)
}

/// A word as a value of the domain, for [`parsed`].
pub(super) fn word<T>(parse: impl FnOnce(&str) -> Option<T>) -> impl FnOnce(&str) -> Result<T, ()> {
    |text| parse(text).ok_or(())
}

/// A moment.
pub(super) fn time(row: &Row<'_>, column: &'static str) -> Result<Timestamp, StoreError> {
    number(row, column).map(Timestamp)
}

/// A moment that may not have come.
pub(super) fn maybe_time(row: &Row<'_>, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
    Ok(number::<Option<i64>>(row, column)?.map(Timestamp))
}

/// A number, or whatever else SQLite converts by itself.
pub(super) fn number<T: FromSql>(row: &Row<'_>, column: &'static str) -> Result<T, StoreError> {
    Ok(row.get(column)?)
}
