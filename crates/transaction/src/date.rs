//! Days of the calendar.

use base::Timestamp;
use std::fmt;

/// Days since 1970-01-01, within the years 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

/// The day lies outside the years 1 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("day {0} since 1970-01-01 is outside the years 0001 to 9999")]
pub struct DateError(pub i64);

impl Date {
    /// 0001-01-01.
    pub const MIN: Self = Self(-719_162);
    /// 9999-12-31.
    pub const MAX: Self = Self(2_932_896);

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day, if it lies in range.
    pub fn from_days(days: i64) -> Result<Self, DateError> {
        i32::try_from(days).ok().filter(|d| (Self::MIN.0..=Self::MAX.0).contains(d)).map(Self).ok_or(DateError(days))
    }

    /// Midnight UTC of the day.
    #[must_use]
    pub fn midnight(self) -> Timestamp {
        Timestamp::saturating_from_micros(i64::from(self.0) * 86_400_000_000)
    }

    /// The day of an ISO date `yyyy-mm-dd`; `None` if the text is no such date.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok().map(i64::from);
        let digits =
            text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        if text.len() != 10 || !digits {
            return None;
        }
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        // Days from the civil date: years begin on 1 March, so that leap days come last.
        let shifted = year - i64::from(month <= 2);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
        let date = Self::from_days(days + day_of_year - 719_468).ok()?;
        (date.to_string() == text).then_some(date)
    }
}

/// `yyyy-mm-dd`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, ..) = self.midnight().civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_and_texts() {
        for (days, text) in
            [(0, "1970-01-01"), (-719_162, "0001-01-01"), (2_932_896, "9999-12-31"), (11_016, "2000-02-29")]
        {
            assert_eq!(Date::from_days(days).unwrap().to_string(), text);
        }
        for bad in ["2001-02-29", "2000-13-01", "2000-00-10", "2000-1-01", "0000-01-01", "+200-01-01", "2000-01-1a", ""]
        {
            assert_eq!(Date::parse(bad), None, "{bad}");
        }
        assert!(Date::from_days(2_932_897).is_err());
        assert!(Date::from_days(i64::MIN).is_err());
    }

    proptest! {
        #[test]
        fn text_round_trips(days in -719_162_i64..=2_932_896) {
            let date = Date::from_days(days).unwrap();
            prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
        }
    }
}
