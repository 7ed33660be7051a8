//! `Numeric n`: decimal numbers with a fixed number of decimals (spec/daml-lf.md §3.3).

mod wide;

use std::fmt;
use wide::Wide;

/// A decimal number of at most 38 digits, `scale` of them (0 to 37) after the point.
///
/// Ordered first by scale; numbers of one scale by size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numeric {
    scale: u8,
    // Two halves instead of an i128, whose alignment would make every value 16 bytes larger.
    high: i64,
    low: u64,
}

/// A number does not fit, or the operation is not defined for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumericError {
    /// More than 38 digits, or more than 37 of them after the point.
    #[error("a number needs more than 38 digits, or more than 37 after the point")]
    Overflow,
    /// The divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
    /// Digits would be lost where none may be.
    #[error("a number has more decimals than the target type")]
    Inexact,
    /// The place to round to is outside the number.
    #[error("the place to round to is outside the number")]
    Place,
}

/// Ten to the power, below 10^38.
fn ten(power: u32) -> i128 {
    10_i128.pow(power)
}

impl Numeric {
    /// Most digits after the point.
    pub const MAX_SCALE: u8 = 37;
    /// Most digits.
    pub const MAX_DIGITS: u32 = 38;

    /// The number `unscaled` / 10^`scale`.
    pub fn new(unscaled: i128, scale: u8) -> Result<Self, NumericError> {
        if scale > Self::MAX_SCALE || unscaled.unsigned_abs() >= ten(Self::MAX_DIGITS).unsigned_abs() {
            return Err(NumericError::Overflow);
        }
        let high = i64::try_from(unscaled >> 64).expect("an i128 shifted by 64 fits an i64");
        let low = u64::try_from(unscaled & i128::from(u64::MAX)).expect("masked to 64 bits");
        Ok(Self { scale, high, low })
    }

    /// The number without its point.
    #[must_use]
    pub fn unscaled(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    /// Digits after the point.
    #[must_use]
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// A whole number.
    pub fn from_i64(number: i64, scale: u8) -> Result<Self, NumericError> {
        Self::new(i128::from(number), 0)?.checked_cast(scale)
    }

    /// The whole part; the rest is cut off.
    pub fn to_i64(self) -> Result<i64, NumericError> {
        i64::try_from(self.unscaled() / ten(self.scale.into())).map_err(|_| NumericError::Overflow)
    }

    /// The sum; both have the same scale.
    pub fn checked_add(self, other: Self) -> Result<Self, NumericError> {
        debug_assert_eq!(self.scale, other.scale, "the type checker gives one scale");
        Self::new(self.unscaled() + other.unscaled(), self.scale)
    }

    /// The difference; both have the same scale.
    pub fn checked_sub(self, other: Self) -> Result<Self, NumericError> {
        debug_assert_eq!(self.scale, other.scale, "the type checker gives one scale");
        Self::new(self.unscaled() - other.unscaled(), self.scale)
    }

    /// The product with `scale` decimals, rounded half to even.
    pub fn checked_mul(self, other: Self, scale: u8) -> Result<Self, NumericError> {
        let product = Wide::product(self.unscaled().unsigned_abs(), other.unscaled().unsigned_abs());
        let negative = (self.high < 0) != (other.high < 0);
        let shift = i32::from(scale) - i32::from(self.scale) - i32::from(other.scale);
        Self::scaled(product, Wide::from(1), shift, negative, scale)
    }

    /// The quotient with `scale` decimals, rounded half to even.
    pub fn checked_div(self, other: Self, scale: u8) -> Result<Self, NumericError> {
        if other.unscaled() == 0 {
            return Err(NumericError::DivisionByZero);
        }
        let negative = (self.high < 0) != (other.high < 0);
        let shift = i32::from(scale) - i32::from(self.scale) + i32::from(other.scale);
        let (dividend, divisor) = (self.unscaled().unsigned_abs(), other.unscaled().unsigned_abs());
        Self::scaled(Wide::from(dividend), Wide::from(divisor), shift, negative, scale)
    }

    /// `dividend` × 10^`shift` / `divisor`, rounded half to even.
    fn scaled(dividend: Wide, divisor: Wide, shift: i32, negative: bool, scale: u8) -> Result<Self, NumericError> {
        let power = shift.unsigned_abs();
        let (dividend, divisor) =
            if shift >= 0 { (dividend.times_ten(power), divisor) } else { (dividend, divisor.times_ten(power)) };
        let magnitude = dividend.divide_half_even(divisor).ok_or(NumericError::Overflow)?;
        let magnitude = i128::try_from(magnitude).map_err(|_| NumericError::Overflow)?;
        Self::new(if negative { -magnitude } else { magnitude }, scale)
    }

    /// The number rounded half to even to `place` decimals (negative: to tens, hundreds, …), with its scale kept.
    pub fn checked_round(self, place: i64) -> Result<Self, NumericError> {
        let scale = i64::from(self.scale);
        if place <= scale - i64::from(Self::MAX_DIGITS) || place > scale {
            return Err(NumericError::Place);
        }
        let step = ten(u32::try_from(scale - place).map_err(|_| NumericError::Place)?);
        let (quotient, rest) = (self.unscaled().div_euclid(step), self.unscaled().rem_euclid(step));
        let up = match (2 * rest).cmp(&step) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => quotient.rem_euclid(2),
            std::cmp::Ordering::Greater => 1,
        };
        Self::new((quotient + up).checked_mul(step).ok_or(NumericError::Overflow)?, self.scale)
    }

    /// The same number with another scale; an error if digits would be lost.
    pub fn checked_cast(self, scale: u8) -> Result<Self, NumericError> {
        if scale > Self::MAX_SCALE {
            return Err(NumericError::Overflow);
        }
        if scale >= self.scale {
            let factor = ten((scale - self.scale).into());
            Self::new(self.unscaled().checked_mul(factor).ok_or(NumericError::Overflow)?, scale)
        } else {
            let factor = ten((self.scale - scale).into());
            if self.unscaled() % factor != 0 {
                return Err(NumericError::Inexact);
            }
            Self::new(self.unscaled() / factor, scale)
        }
    }

    /// The same digits with the point at another place.
    pub fn checked_shift(self, scale: u8) -> Result<Self, NumericError> {
        Self::new(self.unscaled(), scale)
    }

    /// A number with optional sign, any zeros in front, and an optional fraction, which may have trailing zeros
    /// but no more digits than `scale`. `None` if it is none, or does not fit without loss.
    #[must_use]
    pub fn parse(text: &str, scale: u8) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if whole.is_empty() || fraction.is_empty() || scale > Self::MAX_SCALE {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let missing = usize::from(scale).checked_sub(fraction.len())?;
        let zeros = std::iter::repeat_n(b'0', missing);
        let mut unscaled = 0_i128;
        for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
            if !digit.is_ascii_digit() || unscaled >= ten(Self::MAX_DIGITS - 1) {
                return None;
            }
            unscaled = unscaled * 10 + i128::from(digit - b'0');
        }
        Self::new(if negative { -unscaled } else { unscaled }, scale).ok()
    }

    /// A literal: `-`?, digits without zeros in front, a point, as many decimals as the scale.
    #[must_use]
    pub fn parse_literal(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.')?;
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let plain = digits == "0" || !digits.starts_with('0');
        let padded = if fraction.is_empty() { format!("{text}0") } else { text.to_owned() };
        let scale = u8::try_from(fraction.len()).ok()?;
        if plain && !whole.starts_with('+') { Self::parse(&padded, scale) } else { None }
    }

    /// The text of the language's `show`: no trailing zeros, but at least one decimal.
    #[must_use]
    pub fn to_short_text(self) -> String {
        let text = self.to_string();
        let short = text.trim_end_matches('0');
        if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
    }
}

/// Always with a point, and exactly `scale` decimals after it.
impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.unscaled().unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{}{whole}.{fraction}", if self.high < 0 { "-" } else { "" })
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
