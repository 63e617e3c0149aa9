//! The bytes of a message, of which fields are taken from the front.

use crate::format::lsn::Lsn;
use crate::format::sql::object_name::ObjectName;
use jiff::Timestamp;

/// Seconds from 1970 to 2000, when PostgreSQL's time begins.
const EPOCH_SECONDS: i64 = 946_684_800;
const MICROS: i64 = 1_000_000;

/// The part of a message that has not been read. Each field is `None` if the rest is too short for it, or if it is out of its range.
pub(crate) struct MessageBytes<'a>(pub(crate) &'a [u8]);

impl<'a> MessageBytes<'a> {
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes the identifier of an object or transaction, which is never zero.
    pub fn id(&mut self) -> Option<u32> {
        self.word().filter(|id| *id != 0)
    }

    pub fn lsn(&mut self) -> Option<Lsn> {
        self.array().map(u64::from_be_bytes).map(Lsn)
    }

    /// Takes a time, which is in microseconds since 2000.
    pub fn time(&mut self) -> Option<Timestamp> {
        self.array().map(i64::from_be_bytes).and_then(time_of_micros)
    }

    /// Takes a text that ends with a zero byte.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let text = self.bytes(end)?;
        self.byte()?;
        Some(text)
    }

    pub fn name(&mut self) -> Option<ObjectName> {
        self.text().and_then(ObjectName::new)
    }

    /// Takes the name of a schema. The server leaves out that of the system catalog.
    pub fn schema(&mut self) -> Option<ObjectName> {
        match self.text()? {
            b"" => ObjectName::new(b"pg_catalog"),
            name => ObjectName::new(name),
        }
    }
}

/// Returns the time of so many microseconds since 2000. `None`: it is out of the range of times.
pub(crate) fn time_of_micros(micros: i64) -> Option<Timestamp> {
    let since_1970 = micros.checked_add(EPOCH_SECONDS * MICROS)?;
    Timestamp::from_microsecond(since_1970).ok()
}

/// Returns the microseconds from 2000 to this time, as PostgreSQL counts.
pub(crate) fn micros_of_time(time: Timestamp) -> i64 {
    time.as_microsecond() - EPOCH_SECONDS * MICROS
}
