//! MessagePack that strangers wrote: where a value ends, and what it is, without ever trusting a length.
//!
//! A length costs its sender five bytes and may claim four billion values. So nothing is allocated by a length: values
//! are made one by one from bytes that are there, not deeper than [`DEPTH`] and not more than [`VALUES`] a record.

use std::borrow::Cow;

use jiff::Timestamp;
use rmp::Marker;
use serde_json::{Map, Number, Value};

use super::Refused;

/// Deepest nesting of a record; Kubernetes' metadata has three.
const DEPTH: usize = 32;
/// Most values of one record: a value in memory is forty times its byte on the wire.
const VALUES: usize = 16_384;

/// What a value begins with; lengths are in bytes, values and pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    Nil,
    Boolean(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(usize),
    Binary(usize),
    Array(usize),
    Map(usize),
    Extension(i8, usize),
}

impl Head {
    /// The head of the value that the bytes begin with, and its own length; `None` if its end is not there yet.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
            bytes.get(1..=N)?.try_into().ok()
        }
        let one = || Some(array::<1>(bytes)?[0]);
        let two = || array(bytes).map(u16::from_be_bytes);
        let four = || array(bytes).map(u32::from_be_bytes);
        let eight = || array(bytes).map(u64::from_be_bytes);
        let kind = |at: usize| Some(bytes.get(at)?.cast_signed());
        Some(match Marker::from_u8(*bytes.first()?) {
            // Reserved means nothing, hence is nothing.
            Marker::Null | Marker::Reserved => (Self::Nil, 1),
            Marker::False => (Self::Boolean(false), 1),
            Marker::True => (Self::Boolean(true), 1),
            Marker::FixPos(number) => (Self::Unsigned(number.into()), 1),
            Marker::FixNeg(number) => (Self::Signed(number.into()), 1),
            Marker::U8 => (Self::Unsigned(one()?.into()), 2),
            Marker::U16 => (Self::Unsigned(two()?.into()), 3),
            Marker::U32 => (Self::Unsigned(four()?.into()), 5),
            Marker::U64 => (Self::Unsigned(eight()?), 9),
            Marker::I8 => (Self::Signed(one()?.cast_signed().into()), 2),
            Marker::I16 => (Self::Signed(two()?.cast_signed().into()), 3),
            Marker::I32 => (Self::Signed(four()?.cast_signed().into()), 5),
            Marker::I64 => (Self::Signed(eight()?.cast_signed()), 9),
            Marker::F32 => (Self::Float(f32::from_bits(four()?).into()), 5),
            Marker::F64 => (Self::Float(f64::from_bits(eight()?)), 9),
            Marker::FixStr(length) => (Self::Text(length.into()), 1),
            Marker::Str8 => (Self::Text(one()?.into()), 2),
            Marker::Str16 => (Self::Text(two()?.into()), 3),
            Marker::Str32 => (Self::Text(four()? as usize), 5),
            Marker::Bin8 => (Self::Binary(one()?.into()), 2),
            Marker::Bin16 => (Self::Binary(two()?.into()), 3),
            Marker::Bin32 => (Self::Binary(four()? as usize), 5),
            Marker::FixArray(length) => (Self::Array(length.into()), 1),
            Marker::Array16 => (Self::Array(two()?.into()), 3),
            Marker::Array32 => (Self::Array(four()? as usize), 5),
            Marker::FixMap(length) => (Self::Map(length.into()), 1),
            Marker::Map16 => (Self::Map(two()?.into()), 3),
            Marker::Map32 => (Self::Map(four()? as usize), 5),
            Marker::FixExt1 => (Self::Extension(kind(1)?, 1), 2),
            Marker::FixExt2 => (Self::Extension(kind(1)?, 2), 2),
            Marker::FixExt4 => (Self::Extension(kind(1)?, 4), 2),
            Marker::FixExt8 => (Self::Extension(kind(1)?, 8), 2),
            Marker::FixExt16 => (Self::Extension(kind(1)?, 16), 2),
            Marker::Ext8 => (Self::Extension(kind(2)?, one()?.into()), 3),
            Marker::Ext16 => (Self::Extension(kind(3)?, two()?.into()), 4),
            Marker::Ext32 => (Self::Extension(kind(5)?, four()? as usize), 6),
        })
    }

    /// Bytes that follow the head.
    const fn bytes(self) -> usize {
        match self {
            Self::Text(length) | Self::Binary(length) | Self::Extension(_, length) => length,
            _ => 0,
        }
    }

    /// Values that follow the head.
    const fn values(self) -> usize {
        match self {
            Self::Array(length) => length,
            Self::Map(length) => 2 * length,
            _ => 0,
        }
    }
}

/// Looks for the end of some values in bytes that come piece by piece, without looking at any byte twice.
#[derive(Debug)]
pub(super) struct Scan {
    position: usize,
    missing: usize,
}

impl Scan {
    /// Of so many values, one after another.
    pub(super) const fn of(values: usize) -> Self {
        Self { position: 0, missing: values }
    }

    /// Where the values end, once all of them are in `bytes`, which may have grown since the last call.
    ///
    /// # Errors
    /// As soon as they must be longer than `limit`: each value that is missing takes at least a byte.
    pub(super) fn end(&mut self, bytes: &[u8], limit: usize) -> Result<Option<usize>, Refused> {
        loop {
            if self.position.saturating_add(self.missing) > limit {
                return Err(Refused::TooLarge { mebibytes: limit >> 20 });
            }
            if self.missing == 0 {
                return Ok((self.position <= bytes.len()).then_some(self.position));
            }
            let rest = bytes.get(self.position..).unwrap_or_default();
            let Some((head, length)) = Head::read(rest) else { return Ok(None) };
            self.position += length + head.bytes();
            self.missing = self.missing - 1 + head.values();
        }
    }
}

/// Reads values from bytes that are all there.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn head(&mut self) -> Result<Head, Refused> {
        let (head, length) = Head::read(self.rest).ok_or(Refused::TRUNCATED)?;
        self.take(length)?;
        Ok(head)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Refused::TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The bytes of so many values.
    pub(super) fn skip(&mut self, values: usize) -> Result<&'a [u8], Refused> {
        let end = Scan::of(values).end(self.rest, self.rest.len()).ok().flatten();
        self.take(end.ok_or(Refused::TRUNCATED)?)
    }

    /// A text; old senders write binary data alike.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Refused> {
        match self.head()? {
            Head::Text(length) | Head::Binary(length) => Ok(String::from_utf8_lossy(self.take(length)?)),
            _ => Err(Refused::Malformed("a text is expected")),
        }
    }

    /// The time of an event, also where Fluent Bit sends metadata beside it: `time` or `[time, metadata]`.
    pub(super) fn time(&mut self) -> Result<Option<Timestamp>, Refused> {
        match self.head()? {
            Head::Array(values @ 1..) => {
                let mut pair = Reader { rest: self.skip(values)? };
                let head = pair.head()?;
                pair.instant(head)
            }
            head => self.instant(head),
        }
    }

    fn instant(&mut self, head: Head) -> Result<Option<Timestamp>, Refused> {
        match head {
            Head::Unsigned(seconds) => Ok(Timestamp::new(seconds.try_into().unwrap_or(i64::MAX), 0).ok()),
            Head::Signed(seconds) => Ok(Timestamp::new(seconds, 0).ok()),
            Head::Float(seconds) => Ok(Timestamp::from_microsecond((seconds * 1e6) as i64).ok()),
            Head::Extension(0, 8) => Ok(event_time(self.take(8)?)),
            Head::Nil => Ok(None),
            _ => Err(Refused::Malformed("a time is expected")),
        }
    }

    /// A map as an object.
    pub(super) fn object(&mut self) -> Result<Map<String, Value>, Refused> {
        let mut budget = VALUES;
        match self.value(DEPTH, &mut budget)? {
            Value::Object(object) => Ok(object),
            _ => Err(Refused::Malformed("a record is a map")),
        }
    }

    fn value(&mut self, depth: usize, budget: &mut usize) -> Result<Value, Refused> {
        let depth = depth.checked_sub(1).ok_or(Refused::Malformed("a record is nested too deep"))?;
        *budget = budget.checked_sub(1).ok_or(Refused::Malformed("a record has too many values"))?;
        Ok(match self.head()? {
            Head::Nil => Value::Null,
            Head::Boolean(truth) => truth.into(),
            Head::Signed(number) => number.into(),
            Head::Unsigned(number) => number.into(),
            // JSON has no infinities.
            Head::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
            Head::Text(length) | Head::Binary(length) => {
                String::from_utf8_lossy(self.take(length)?).into_owned().into()
            }
            Head::Array(length) => {
                let mut values = Vec::new();
                for _ in 0..length {
                    values.push(self.value(depth, budget)?);
                }
                Value::Array(values)
            }
            Head::Map(length) => {
                let mut object = Map::new();
                for _ in 0..length {
                    let name = match self.value(depth, budget)? {
                        Value::String(name) => name,
                        other => other.to_string(),
                    };
                    object.insert(name, self.value(depth, budget)?);
                }
                Value::Object(object)
            }
            Head::Extension(0, 8) => {
                event_time(self.take(8)?).map_or(Value::Null, |time| time.to_string().into())
            }
            Head::Extension(_, length) => {
                self.take(length)?;
                Value::Null
            }
        })
    }
}

/// Fluent's event time: seconds and nanoseconds.
fn event_time(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = bytes.split_at_checked(4)?;
    let seconds = u32::from_be_bytes(seconds.try_into().ok()?);
    let nanoseconds = u32::from_be_bytes(nanoseconds.try_into().ok()?);
    Timestamp::new(seconds.into(), nanoseconds.try_into().ok()?).ok()
}
