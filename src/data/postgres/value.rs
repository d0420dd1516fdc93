//! Values as the server takes and gives them.

use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::database::Value;

/// Midnight of 1 January 2000, where the server's times begin, in microseconds since 1970.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

type Fault = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Number(number) => match *ty {
                Type::INT2 => i16::try_from(*number)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
                Type::INT8 => number.to_sql(ty, out),
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
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::JSON => {
                Value::Text(String::from_sql(&Type::TEXT, raw)?)
            }
            Type::BYTEA => Value::Bytes(raw.to_vec()),
            Type::TIMESTAMPTZ => {
                let since = i64::from_sql(&Type::INT8, raw)?;
                let microseconds = since.checked_add(EPOCH_MICROSECONDS).ok_or("infinite time")?;
                Value::Time(Timestamp::from_microsecond(microseconds)?)
            }
            _ => return Err(unfit("no value of ours", ty)),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Value, Fault> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        // `from_sql` names the type that it does not know.
        true
    }
}

fn unfit(what: &str, ty: &Type) -> Fault {
    format!("the server wants {ty} where there is {what}").into()
}
