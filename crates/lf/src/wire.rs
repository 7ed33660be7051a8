//! A strict reader of protobuf messages: one level at a time, so that whoever needs more keeps a list of what is
//! still to be read instead of recursing. Unknown fields, fields given twice and unfinished messages are errors.

use crate::LfError;

/// Fields of one message: far more than any table of a package has, few enough to hold.
const MAX_FIELDS: usize = 2_000_000;

/// A field's value as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of one message. Each is taken out by its reader; whatever is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    name: &'static str,
    /// Number 0 marks a field that was taken.
    fields: Vec<(u32, Wire<'a>)>,
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(first & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = rest;
    Some(taken)
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Wire<'a>)> {
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number))?;
    let value = match tag & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => Wire::Fixed64(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = varint(bytes)?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => take(bytes, 4).map(|_| Wire::Fixed32)?,
        _ => return None,
    };
    Some((number, value))
}

impl<'a> Message<'a> {
    /// Splits bytes into fields.
    pub(crate) fn read(name: &'static str, bytes: &'a [u8]) -> Result<Self, LfError> {
        let mut rest = bytes;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            if fields.len() == MAX_FIELDS {
                let what = format!("it has more than {MAX_FIELDS} fields");
                return Err(LfError::Invalid { message: name, what });
            }
            fields.push(field(&mut rest).ok_or(LfError::Wire { message: name })?);
        }
        Ok(Self { name, fields })
    }

    pub(crate) fn invalid(&self, what: impl std::fmt::Display) -> LfError {
        LfError::Invalid { message: self.name, what: what.to_string() }
    }

    fn wrong_type(&self, number: u32) -> LfError {
        self.invalid(format_args!("field {number} has another type"))
    }

    /// A field that is there at most once.
    pub(crate) fn optional(&mut self, number: u32) -> Result<Option<Wire<'a>>, LfError> {
        let mut found = None;
        for (n, value) in &mut self.fields {
            if *n == number {
                *n = 0;
                if found.replace(*value).is_some() {
                    return Err(self.invalid(format_args!("field {number} is given twice")));
                }
            }
        }
        Ok(found)
    }

    /// All occurrences of a field, in order.
    pub(crate) fn repeated(&mut self, number: u32) -> Vec<Wire<'a>> {
        let mut found = Vec::new();
        for (n, value) in &mut self.fields {
            if *n == number {
                *n = 0;
                found.push(*value);
            }
        }
        found
    }

    /// A message or byte string that may be missing.
    pub(crate) fn optional_bytes(&mut self, number: u32) -> Result<Option<&'a [u8]>, LfError> {
        match self.optional(number)? {
            None => Ok(None),
            Some(Wire::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(self.wrong_type(number)),
        }
    }

    /// A message that must be there.
    pub(crate) fn message(&mut self, number: u32) -> Result<&'a [u8], LfError> {
        self.optional_bytes(number)?.ok_or_else(|| self.invalid(format_args!("field {number} is missing")))
    }

    /// All messages of a repeated field.
    pub(crate) fn messages(&mut self, number: u32) -> Result<Vec<&'a [u8]>, LfError> {
        let found = self.repeated(number);
        found
            .into_iter()
            .map(|wire| match wire {
                Wire::Bytes(bytes) => Ok(bytes),
                _ => Err(self.wrong_type(number)),
            })
            .collect()
    }

    /// Texts of a repeated field.
    pub(crate) fn texts(&mut self, number: u32) -> Result<Vec<&'a str>, LfError> {
        let found = self.messages(number)?;
        found.into_iter().map(|bytes| std::str::from_utf8(bytes).map_err(|e| self.invalid(e))).collect()
    }

    /// A text; empty if missing.
    pub(crate) fn text(&mut self, number: u32) -> Result<&'a str, LfError> {
        let bytes = self.optional_bytes(number)?.unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|e| self.invalid(e))
    }

    /// An index or enum number; 0 if missing.
    pub(crate) fn index(&mut self, number: u32) -> Result<u32, LfError> {
        let wire = self.optional(number)?;
        wire.map_or(Ok(0), |wire| self.as_index(number, wire))
    }

    /// A truth value; false if missing.
    pub(crate) fn flag(&mut self, number: u32) -> Result<bool, LfError> {
        match self.index(number)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.invalid(format_args!("field {number} is {other} instead of a truth value"))),
        }
    }

    /// Indexes of a repeated field, packed or not.
    pub(crate) fn indexes(&mut self, number: u32) -> Result<Vec<u32>, LfError> {
        let mut all = Vec::new();
        for wire in self.repeated(number) {
            match wire {
                Wire::Bytes(mut packed) => {
                    while !packed.is_empty() {
                        let value = varint(&mut packed).ok_or(LfError::Wire { message: self.name })?;
                        all.push(self.as_index(number, Wire::Varint(value))?);
                    }
                }
                other => all.push(self.as_index(number, other)?),
            }
        }
        Ok(all)
    }

    /// What a field says, if it is a non-negative 32-bit integer.
    pub(crate) fn as_index(&self, number: u32, wire: Wire<'_>) -> Result<u32, LfError> {
        match wire {
            Wire::Varint(value) => i32::try_from(value)
                .ok()
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(|| self.invalid(format_args!("field {number} is not an index"))),
            _ => Err(self.wrong_type(number)),
        }
    }

    /// What a field holds, if it is a message.
    pub(crate) fn as_message(&self, number: u32, wire: Wire<'a>) -> Result<&'a [u8], LfError> {
        match wire {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type(number)),
        }
    }

    /// The one field that is left: the chosen alternative of a `oneof`.
    pub(crate) fn alternative(&mut self) -> Result<(u32, Wire<'a>), LfError> {
        self.optional_alternative()?.ok_or_else(|| self.invalid("no alternative is given"))
    }

    /// The one field that is left, if any.
    pub(crate) fn optional_alternative(&mut self) -> Result<Option<(u32, Wire<'a>)>, LfError> {
        let mut left = self.fields.iter_mut().filter(|(number, _)| *number != 0);
        let Some(field) = left.next() else { return Ok(None) };
        let (number, wire) = *field;
        field.0 = 0;
        match left.next().map(|(other, _)| *other) {
            None => Ok(Some((number, wire))),
            Some(other) => {
                Err(self.invalid(format_args!("fields {number} and {other} are both given, or one is unknown")))
            }
        }
    }

    /// Nothing must be left.
    pub(crate) fn finish(self) -> Result<(), LfError> {
        match self.fields.iter().find(|(number, _)| *number != 0) {
            None => Ok(()),
            Some((number, _)) => Err(self.invalid(format_args!("field {number} is unknown"))),
        }
    }
}

/// A zigzagged `sint64`.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// A message being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out(Vec<u8>);

impl Out {
    fn varint(&mut self, mut value: u64) {
        while let high @ 1.. = value >> 7 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value = high;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// A number, index, enum or truth value.
    pub(crate) fn number(&mut self, field: u32, value: impl Into<u64>) {
        self.varint(u64::from(field) << 3);
        self.varint(value.into());
    }

    /// A `sint64`.
    pub(crate) fn signed(&mut self, field: u32, value: i64) {
        self.number(field, (value << 1 ^ value >> 63).cast_unsigned());
    }

    /// An `sfixed64`.
    pub(crate) fn fixed(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A nested message, text or byte string.
    pub(crate) fn bytes(&mut self, field: u32, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// The message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Nested as a message.
impl AsRef<[u8]> for Out {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
