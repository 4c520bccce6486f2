//! How is text of a request shown to a person?

/// "the client signed `a`, the gateway received `b`"
pub(super) fn compared(signed: &str, received: &str) -> String {
    let (signed, received) = (shortened(signed), shortened(received));
    format!("the client signed `{signed}`, the gateway received `{received}`")
}

/// A text fit for a terminal: what is not printable is escaped.
#[must_use]
pub fn printable_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// The text fit for a sentence: printable, and only the end of a long one.
fn shortened(text: &str) -> String {
    let shown = printable_text(text);
    let length = shown.chars().count();
    if length <= SHOWN_CHARS_MAX {
        return shown;
    }
    let end: String = shown.chars().skip(length - SHOWN_CHARS_MAX).collect();
    format!("…{end}")
}

/// The longest text in a sentence.
const SHOWN_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_fit_for_a_terminal() {
        let shown = printable_text("a\n\u{1b}[2J\"\u{e9}\u{202e}");
        assert_eq!(shown, "a\\n\\u{1b}[2J\"\u{e9}\\u{202e}");
        assert_eq!(shortened(&"x".repeat(100)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
