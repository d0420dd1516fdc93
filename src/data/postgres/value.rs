//! Values as the server takes and gives them.

use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::database::Value;
use super::numeric;

/// Midnight of 1 January 2000, where the server's times begin, in microseconds since 1970.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// The mean length of a year, in microseconds.
const YEAR_MICROSECONDS: i64 = 31_556_952_000_000;

type Fault = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Number(number) => match *ty {
                Type::INT2 => i16::try_from(*number)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
                Type::INT8 => number.to_sql(ty, out),
                Type::NUMERIC => exact(&number.to_string(), ty, out),
                _ => Err(unfit("a whole number", ty)),
            },
            Value::Text(text) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => {
                    text.as_str().to_sql(&Type::TEXT, out)
                }
                _ => Err(unfit("a text", ty)),
            },
            Value::Bytes(bytes) => match *ty {
                Type::BYTEA => bytes.as_slice().to_sql(ty, out),
                _ => Err(unfit("bytes", ty)),
            },
            Value::Time(time) => match *ty {
                Type::TIMESTAMPTZ => {
                    (time.as_microsecond() - EPOCH_MICROSECONDS).to_sql(&Type::INT8, out)
                }
                _ => Err(unfit("a time", ty)),
            },
            // As the server had it: an odd key of a row, after which a page begins.
            Value::Garbled(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            Value::Other(text) => exact(text, ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // What fits depends on the value: `to_sql` tells.
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Value, Fault> {
        Ok(match *ty {
            Type::BOOL => Value::Number(bool::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Number(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Number(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Number(i64::from_sql(ty, raw)?),
            Type::NUMERIC => numeric::read(raw).ok_or("a number that is damaged")?,
            // A database without an encoding keeps whatever it is given.
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => text(raw),
            // The first byte is the version of the form.
            Type::JSONB => text(raw.get(1..).unwrap_or_default()),
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            Type::TIMESTAMPTZ | Type::TIMESTAMP => time(i64::from_sql(&Type::INT8, raw)?),
            _ => Value::Other(format!("a value of type {ty}")),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        // One odd column must not hide the others: `from_sql` puts it into words.
        true
    }
}

fn text(raw: &[u8]) -> Value {
    match std::str::from_utf8(raw) {
        Ok(text) => Value::Text(text.to_owned()),
        Err(_) => Value::Garbled(raw.to_vec()),
    }
}

/// Returns the time so many microseconds after the server's epoch, as text if it is outside our range.
fn time(since: i64) -> Value {
    match since {
        i64::MAX => return Value::Other("infinity".to_owned()),
        i64::MIN => return Value::Other("-infinity".to_owned()),
        _ => {}
    }
    let ours = since.checked_add(EPOCH_MICROSECONDS).map(Timestamp::from_microsecond);
    match ours {
        Some(Ok(time)) => Value::Time(time),
        Some(Err(_)) | None => {
            // Years of mean length are exact enough: the day is not needed.
            let year = since.div_euclid(YEAR_MICROSECONDS).saturating_add(2000);
            Value::Other(format!("{year} (a year)"))
        }
    }
}

/// Writes a number that the server may have and no integer type of ours.
fn exact(text: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
    let raw = numeric::written(text).filter(|_| *ty == Type::NUMERIC);
    out.extend_from_slice(&raw.ok_or_else(|| unfit("a number", ty))?);
    Ok(IsNull::No)
}

fn unfit(what: &str, ty: &Type) -> Fault {
    format!("the server wants {ty} where there is {what}").into()
}
