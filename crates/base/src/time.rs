//! Microsecond time.

use std::{fmt, time::Duration};

/// Microseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999 (the range of Daml's `Timestamp`).
///
/// Sequencing time, record time, ledger time and effective time are all of this type. Nothing here reads a
/// clock: a timestamp comes from a message, a database, or an argument.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The instant lies outside the years 1 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("timestamp of {0} µs is outside the years 0001 to 9999")]
pub struct TimestampError(pub i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant, if it lies in range.
    pub fn from_micros(micros: i64) -> Result<Self, TimestampError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) { Ok(Self(micros)) } else { Err(TimestampError(micros)) }
    }

    /// The instant, moved to the nearest one in range.
    #[must_use]
    pub fn saturating_from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Later by `duration` (cut to whole µs), at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::saturating_from_micros(self.0.saturating_add(micros))
    }

    /// Earlier by `duration` (cut to whole µs), at least [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::saturating_from_micros(self.0.saturating_sub(micros))
    }

    /// How much later this is than `earlier`; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The distance to `other`, whichever is later.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }

    /// The smallest next instant; `None` at [`Timestamp::MAX`].
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| Self(self.0 + 1))
    }

    /// Year, month, day, hour, minute, second, microsecond (proleptic Gregorian calendar, UTC).
    #[must_use]
    pub fn civil(self) -> (i64, i64, i64, i64, i64, i64, i64) {
        const DAY: i64 = 86_400_000_000;
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        // Days to civil date: eras of 400 years that begin on 1 March, so that leap days come last.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let seconds = rest / 1_000_000;
        (year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60, rest % 1_000_000)
    }
}

/// ISO 8601 in UTC with 0, 3 or 6 fraction digits, as few as are needed.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second, micros) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match micros {
            0 => {}
            m if m % 1000 == 0 => write!(f, ".{:03}", m / 1000)?,
            m => write!(f, ".{m:06}")?,
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_iso_instants() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_000, "1970-01-01T00:00:00.001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (Timestamp::MIN.micros(), "0001-01-01T00:00:00Z"),
            (Timestamp::MAX.micros(), "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).map(|t| t.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        assert!(Timestamp::from_micros(Timestamp::MAX.micros() + 1).is_err());
        assert!(Timestamp::from_micros(Timestamp::MIN.micros() - 1).is_err());
        assert_eq!(Timestamp::MAX.next(), None);
    }

    proptest! {
        #[test]
        fn adding_then_measuring_agrees(micros in -1_000_000_000_000_i64..1_000_000_000_000, d in 0_u64..1_000_000_000) {
            let t = Timestamp::from_micros(micros).unwrap();
            let d = Duration::from_micros(d);
            prop_assert_eq!(t.saturating_add(d).since(t), d);
            prop_assert_eq!(t.since(t.saturating_add(d)), Duration::ZERO);
            prop_assert_eq!(t.saturating_add(d).saturating_sub(d), t);
        }
    }
}
