//! Reading and writing the compact binary form of values and nodes: strict, and bounded before memory is taken.
//!
//! Integers are LEB128 in their shortest form, signed ones zigzagged; texts and byte strings have their length in
//! front; sets and map keys ascend. So there is one encoding for each thing, and equal things have equal bytes.

use std::fmt;

/// The version byte in front of everything that this room encodes.
pub const VERSION: u8 = 1;

/// Bytes are not the encoding of what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first byte names a version that this software does not know.
    #[error("the encoding has version {0}, but this software reads version {VERSION}; upgrade it")]
    Version(u8),
    /// The bytes end in the middle.
    #[error("the bytes end at {0}, in the middle of something")]
    Truncated(usize),
    /// Something follows the end.
    #[error("there are {0} bytes after the end")]
    Trailing(usize),
    /// A value is nested too deeply.
    #[error(transparent)]
    TooDeep(#[from] crate::TooDeep),
    /// A part is not what it should be.
    #[error("byte {at}: {what}")]
    Invalid {
        /// Position in the bytes.
        at: usize,
        /// What is wrong there.
        what: String,
    },
}

/// Takes bytes from the front.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Appends to a byte string.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads and checks the version byte.
    pub fn version(&mut self) -> Result<(), DecodeError> {
        match self.byte()? {
            VERSION => Ok(()),
            other => Err(DecodeError::Version(other)),
        }
    }

    /// Everything must have been read.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            rest => Err(DecodeError::Trailing(rest)),
        }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the place that was just read.
    pub fn invalid(&self, what: impl fmt::Display) -> DecodeError {
        DecodeError::Invalid { at: self.at, what: what.to_string() }
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = self.bytes.get(self.at).copied().ok_or(DecodeError::Truncated(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let taken = &self.bytes[self.at..end.ok_or(DecodeError::Truncated(self.bytes.len()))?];
        self.at += count;
        Ok(taken)
    }

    /// A truth value: 0 or 1.
    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.invalid(format_args!("{other} is neither 0 nor 1"))),
        }
    }

    /// An unsigned integer in its shortest form.
    pub fn unsigned(&mut self) -> Result<u128, DecodeError> {
        let mut value = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (bits == 0 && shift > 0 && byte & 0x80 == 0) {
                return Err(self.invalid("an integer is too large or not in its shortest form"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.invalid("an integer is too large"))
    }

    /// A signed integer.
    pub fn signed(&mut self) -> Result<i128, DecodeError> {
        let zigzag = self.unsigned()?;
        let magnitude = i128::try_from(zigzag >> 1).expect("shifted right by one, it is below 2^127");
        Ok(if zigzag & 1 == 0 { magnitude } else { -magnitude - 1 })
    }

    /// A signed integer of a narrower type.
    pub fn integer<T: TryFrom<i128>>(&mut self) -> Result<T, DecodeError> {
        let number = self.signed()?;
        T::try_from(number).map_err(|_| self.invalid(format_args!("the integer {number} is out of range")))
    }

    /// A number of things that take at least `each` bytes; refused if the rest cannot hold so many.
    pub fn count(&mut self, each: usize) -> Result<usize, DecodeError> {
        let count = self.unsigned()?;
        usize::try_from(count)
            .ok()
            .filter(|count| count.checked_mul(each).is_some_and(|bytes| bytes <= self.remaining()))
            .ok_or_else(|| {
                self.invalid(format_args!("{count} things announced, but only {} bytes follow", self.remaining()))
            })
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count(1)?;
        self.take(length)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|e| self.invalid(e))
    }

    /// Something that is parsed from a text.
    pub fn parsed<T: std::str::FromStr<Err: fmt::Display>>(&mut self) -> Result<T, DecodeError> {
        let text = self.text()?;
        text.parse().map_err(|e| self.invalid(e))
    }
}

impl Writer {
    /// Begins with the version byte.
    #[must_use]
    pub fn versioned() -> Self {
        Self(vec![VERSION])
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A byte as it is.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Bytes as they are, without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// A truth value.
    pub fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, number: u128) {
        let mut rest = number;
        loop {
            let bits = u8::try_from(rest & 0x7f).expect("masked to 7 bits");
            rest >>= 7;
            if rest == 0 {
                return self.byte(bits);
            }
            self.byte(bits | 0x80);
        }
    }

    /// A signed integer.
    pub fn signed(&mut self, number: i128) {
        self.unsigned((number << 1 ^ number >> 127).cast_unsigned());
    }

    /// A number of things.
    pub fn count(&mut self, count: usize) {
        self.unsigned(count as u128);
    }

    /// A byte string with its length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// A text with its length.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_other_than_the_shortest_form() {
        for bad in [&[0x80, 0][..], &[0x81, 0x80, 0], &[0xff; 19], &[0x80]] {
            assert!(Reader::new(bad).unsigned().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn counts_are_bounded_by_what_follows() {
        assert_eq!(Reader::new(&[2, 0, 0]).count(1), Ok(2));
        assert!(Reader::new(&[3, 0, 0]).count(1).is_err());
        assert!(Reader::new(&[2, 0, 0, 0]).count(2).is_err());
        let mut huge = Writer::default();
        huge.unsigned(u128::MAX);
        assert!(Reader::new(&huge.finish()).count(1).is_err());
    }

    proptest! {
        #[test]
        fn integers_round_trip(number: i128) {
            let mut writer = Writer::default();
            writer.signed(number);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.signed(), Ok(number));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
