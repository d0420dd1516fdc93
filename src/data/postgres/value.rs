//! Encoding of parameters and decoding of columns.

use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::numeric;
use crate::data::value::SqlValue;

/// The epoch of the server's times: midnight of 1 January 2000, in microseconds since 1970.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// The mean length of a year, in microseconds.
const YEAR_MICROSECONDS: i64 = 31_556_952_000_000;

type ConversionError = Box<dyn Error + Sync + Send>;

impl ToSql for SqlValue {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, ConversionError> {
        match self {
            SqlValue::Null => Ok(IsNull::Yes),
            SqlValue::Number(number) => match *ty {
                Type::INT2 => i16::try_from(*number)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
                Type::INT8 => number.to_sql(ty, out),
                Type::NUMERIC => exact(&number.to_string(), ty, out),
                _ => Err(unfit("a whole number", ty)),
            },
            SqlValue::Text(text) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => {
                    text.as_str().to_sql(&Type::TEXT, out)
                }
                _ => Err(unfit("a text", ty)),
            },
            SqlValue::Bytes(bytes) => match *ty {
                Type::BYTEA => bytes.as_slice().to_sql(ty, out),
                _ => Err(unfit("bytes", ty)),
            },
            SqlValue::Time(time) => match *ty {
                Type::TIMESTAMPTZ => {
                    (time.as_microsecond() - EPOCH_MICROSECONDS).to_sql(&Type::INT8, out)
                }
                _ => Err(unfit("a time", ty)),
            },
            // As the server sent it: an invalid key after which a page begins.
            SqlValue::NotUtf8(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            SqlValue::Other(text) => exact(text, ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Whether a type fits depends on the value: `to_sql` checks it.
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for SqlValue {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<SqlValue, ConversionError> {
        Ok(match *ty {
            Type::BOOL => SqlValue::Number(bool::from_sql(ty, raw)?.into()),
            Type::INT2 => SqlValue::Number(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => SqlValue::Number(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => SqlValue::Number(i64::from_sql(ty, raw)?),
            Type::NUMERIC => numeric::read(raw).ok_or("damaged number")?,
            // A database without an encoding accepts text that is not UTF-8.
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => text(raw),
            // The first byte is the version of the format.
            Type::JSONB => text(raw.get(1..).unwrap_or_default()),
            Type::BYTEA => SqlValue::Bytes(raw.to_vec()),
            Type::TIMESTAMPTZ | Type::TIMESTAMP => time(i64::from_sql(&Type::INT8, raw)?),
            _ => SqlValue::Other(format!("a value of type {ty}")),
        })
    }

    fn from_sql_null(_: &Type) -> Result<SqlValue, ConversionError> {
        Ok(SqlValue::Null)
    }

    fn accepts(_: &Type) -> bool {
        // A column of an unknown type must not make the row fail: `from_sql` returns it as text.
        true
    }
}

fn text(raw: &[u8]) -> SqlValue {
    match std::str::from_utf8(raw) {
        Ok(text) => SqlValue::Text(text.to_owned()),
        Err(_) => SqlValue::NotUtf8(raw.to_vec()),
    }
}

/// Converts microseconds since the server's epoch; a time out of range becomes text.
fn time(microseconds: i64) -> SqlValue {
    match microseconds {
        i64::MAX => return SqlValue::Other("infinity".to_owned()),
        i64::MIN => return SqlValue::Other("-infinity".to_owned()),
        _ => {}
    }
    let since_1970 = microseconds.checked_add(EPOCH_MICROSECONDS);
    match since_1970.map(Timestamp::from_microsecond) {
        Some(Ok(time)) => SqlValue::Time(time),
        Some(Err(_)) | None => {
            // The mean length of a year is accurate enough to show the year.
            let year = microseconds.div_euclid(YEAR_MICROSECONDS).saturating_add(2000);
            SqlValue::Other(format!("{year} (year)"))
        }
    }
}

/// Encodes a number that no integer type can hold.
fn exact(text: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, ConversionError> {
    let raw = numeric::encode(text).filter(|_| *ty == Type::NUMERIC);
    out.extend_from_slice(&raw.ok_or_else(|| unfit("a number", ty))?);
    Ok(IsNull::No)
}

fn unfit(what: &str, ty: &Type) -> ConversionError {
    format!("the server expects {ty}, but the parameter is {what}").into()
}
