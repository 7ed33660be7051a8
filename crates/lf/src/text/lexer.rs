//! LF text in tokens.

use crate::LfError;
use base::Timestamp;
use transaction::{Date, Numeric};

/// A word of LF text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name, or a keyword where one may stand.
    Word(&'a str),
    /// A name in backquotes, never a keyword. Not in the field's syntax, which cannot name a variable `to`.
    Quoted(&'a str),
    /// A text in single quotes: a package id.
    Package(&'a str),
    Text(String),
    Int64(i64),
    Numeric(Numeric),
    Timestamp(Timestamp),
    Date(Date),
    Symbol(&'static str),
    End,
}

/// Longer ones first.
const SYMBOLS: &[&str] =
    &["->", "<-", "||", "/\\", "@", "\\", ".", ":", ",", ";", "(", ")", "<", ">", "{", "}", "[", "]", "*", "=", "|"];

/// An error at a place of the text.
pub(super) fn error_at(source: &str, offset: usize, what: impl Into<String>) -> LfError {
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    LfError::Text { line, column, what: what.into() }
}

/// The tokens with their offsets, `End` last. Comments are those of C.
pub(super) fn lex(source: &str) -> Result<Vec<(Token<'_>, usize)>, LfError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += blank(&source[at..]);
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, at));
            return Ok(tokens);
        };
        let (token, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' | '$' => {
                let length = word(rest);
                (Token::Word(&rest[..length]), length)
            }
            '`' | '\'' => {
                let end = rest[1..].find(first).ok_or_else(|| error_at(source, at, format!("{first} has no end")))?;
                let inner = &rest[1..=end];
                (if first == '`' { Token::Quoted(inner) } else { Token::Package(inner) }, end + 2)
            }
            '"' => text(rest).ok_or_else(|| error_at(source, at, "a text has no end, or an unknown escape"))?,
            '0'..='9' => number(rest).ok_or_else(|| error_at(source, at, "no number, date or time that exists"))?,
            '-' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                number(rest).ok_or_else(|| error_at(source, at, "no number that exists"))?
            }
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Token::Symbol(symbol), symbol.len()),
                None => return Err(error_at(source, at, format!("unexpected {first:?}"))),
            },
        };
        tokens.push((token, at));
        at += length;
    }
}

/// White space and comments in front.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let after = if trimmed.starts_with("//") {
            trimmed.find('\n').unwrap_or(trimmed.len())
        } else if trimmed.starts_with("/*") {
            trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
        } else {
            0
        };
        if after == 0 {
            return text.len() - trimmed.len();
        }
        rest = &trimmed[after..];
    }
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len())
}

fn text(rest: &str) -> Option<(Token<'static>, usize)> {
    let mut content = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Token::Text(content), at + 1)),
            '\\' => content.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same @ ('\\' | '"' | '\'') => same,
                _ => return None,
            }),
            _ => content.push(c),
        }
    }
    None
}

fn number(rest: &str) -> Option<(Token<'static>, usize)> {
    // A date has its dashes where no number has any.
    let is_date = rest.as_bytes().get(4) == Some(&b'-') && rest[..4].bytes().all(|b| b.is_ascii_digit());
    if is_date {
        let length = rest.find(|c: char| !(c.is_ascii_digit() || "-:.TZ".contains(c))).unwrap_or(rest.len());
        let text = &rest[..length];
        return match text.split_once('T') {
            None => Some((Token::Date(Date::parse(text)?), length)),
            Some((day, time)) => Some((Token::Timestamp(timestamp(day, time)?), length)),
        };
    }
    let sign = usize::from(rest.starts_with('-'));
    let digits = |from: usize| from + rest[from..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - from);
    let whole = digits(sign);
    if rest[whole..].starts_with('.') {
        let length = digits(whole + 1);
        return Some((Token::Numeric(Numeric::parse_literal(&rest[..length])?), length));
    }
    Some((Token::Int64(rest[..whole].parse().ok()?), whole))
}

/// `hh:mm:ss`, up to six decimals, `Z`.
fn timestamp(day: &str, time: &str) -> Option<Timestamp> {
    let (clock, fraction) = match time.strip_suffix('Z')?.split_once('.') {
        None => (time.strip_suffix('Z')?, ""),
        Some(parts) => parts,
    };
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (&[hour @ 0..=23, minute @ 0..=59, second @ 0..=59], 0..=6) = (&parts[..], fraction.len()) else {
        return None;
    };
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    let seconds = i64::from(Date::parse(day)?.days()) * 86_400 + hour * 3_600 + minute * 60 + second;
    Timestamp::from_micros(seconds * 1_000_000 + micros).ok()
}
