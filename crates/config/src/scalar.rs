//! Values that are written in one word.

use crate::keys::Shape;
use std::{path::Path, time::Duration};

/// A value that a text may stand for.
pub(crate) trait Scalar: Sized {
    /// `None` if it does not.
    fn scan(text: &str) -> Option<Self>;
}

impl Scalar for u16 {
    fn scan(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for u32 {
    fn scan(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for String {
    fn scan(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Scalar for bool {
    fn scan(text: &str) -> Option<Self> {
        match text {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// `30s`, `250 ms`, `1.5 minutes`, `2.seconds`; negative ones are none.
impl Scalar for Duration {
    fn scan(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at(text.find(char::is_alphabetic)?);
        let number: f64 = number.trim().trim_end_matches('.').parse().ok()?;
        let seconds = match unit.trim() {
            "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1e-9,
            "us" | "micro" | "micros" | "microsecond" | "microseconds" => 1e-6,
            "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1e-3,
            "s" | "second" | "seconds" => 1.0,
            "m" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        Self::try_from_secs_f64(number * seconds).ok()
    }
}

/// The text as the shape wants it, or what is expected instead.
pub(crate) fn check(shape: &Shape, text: &str) -> Result<String, String> {
    let same = |ok: bool, expected: &str| if ok { Ok(text.to_owned()) } else { Err(expected.to_owned()) };
    match shape {
        Shape::Port => same(u16::scan(text).is_some(), "a port is a whole number from 0 to 65535"),
        Shape::Number(0, i64::MAX) => {
            same(text.parse().is_ok_and(|n: i64| n >= 0), "a whole number that is not negative is expected")
        }
        Shape::Number(low, high) => {
            let ok = text.parse().is_ok_and(|n: i64| (*low..=*high).contains(&n));
            same(ok, &format!("a whole number from {low} to {high} is expected"))
        }
        Shape::Decimal => same(text.parse().is_ok_and(|n: f64| n >= 0.0), "a number that is not negative is expected"),
        Shape::Flag => same(bool::scan(text).is_some(), "true or false is expected"),
        Shape::Time => same(Duration::scan(text).is_some(), DURATION),
        Shape::TimeOrInf => same(text == "Inf" || Duration::scan(text).is_some(), &format!("{DURATION}, or Inf")),
        Shape::Choice(of) => {
            let found = of.iter().find(|choice| choice.eq_ignore_ascii_case(text));
            found.map(|choice| (*choice).to_owned()).ok_or_else(|| format!("one of {} is expected", of.join(", ")))
        }
        Shape::File => {
            same(Path::new(text).is_file(), "there is no such file; paths are relative to where the process starts")
        }
        _ => Ok(text.to_owned()),
    }
}

const DURATION: &str = "a duration is not negative, a number and a unit, such as 250ms, 30s, 5 minutes, 1h";
