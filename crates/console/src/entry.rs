//! Whether what has been typed at a prompt is a whole entry.

/// Whether brackets, a string or a comment are still open, so that the entry goes on with the next line.
#[must_use]
pub fn is_open(text: &str) -> bool {
    let (mut open, mut rest) = (0_usize, text);
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '"' if rest.starts_with("\"\"\"") => after(&rest[3..], "\"\"\""),
            '"' => after_string(&rest[1..]),
            '/' if rest.starts_with("//") => Some(rest.find('\n').map_or("", |end| &rest[end..])),
            '/' if rest.starts_with("/*") => after(&rest[2..], "*/"),
            _ => Some(&rest[c.len_utf8()..]),
        };
        match c {
            '(' | '[' | '{' => open += 1,
            // One too many is an error that the parser shows.
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        match skipped {
            Some(left) => rest = left,
            None => return true,
        }
    }
    open > 0
}

fn after<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.find(end).map(|at| &text[at + end.len()..])
}

/// A string ends at its line at the latest: what is missing then is an error, not more lines.
fn after_string(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => return Some(&text[at..]),
            '"' if !escaped => return Some(&text[at + 1..]),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Some("")
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn entries_go_on_until_brackets_close() {
        for open in ["f(", "Seq(1,\n", "val x = {", "xs.map { x =>\n x", "/* a", "\"\"\"a\nb", "f(\")\""] {
            assert!(is_open(open), "{open}");
        }
        for whole in
            ["", "f()", "f(\"(\")", "// (", "\"a\\\"(\"", "f)", "\"unclosed (", "/* ( */", "\"\"\"(\n\"\"\"", "é(1)"]
        {
            assert!(!is_open(whole), "{whole}");
        }
    }
}
