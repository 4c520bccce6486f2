//! What does the reader see, and in which width and colour?

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Characters of a line.
const WIDTH: usize = 92;

/// Where text below a heading begins.
const INDENT: usize = 5;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

/// Clears the line that tells what is going on.
const CLEAR: &str = "\r\x1b[K";

/// Standard output; with colours, and with what is going on, when it is a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    terminal: bool,
    colours: bool,
}

impl Screen {
    /// Colours only where a person looks on, and not against their wish (<https://no-color.org>).
    pub(crate) fn stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        Self { terminal, colours: terminal && !refused }
    }

    /// What is going on now, on a line that the next one replaces; for terminals alone.
    pub(crate) fn progress(self, number: usize, title: &str) {
        if self.terminal {
            self.say(&self.painted(DIM, &format!("· {number:>2} {title} ...")));
        }
    }

    /// A heading with a line of its own above it.
    pub(crate) fn title(self, text: &str) {
        self.say(&format!("\n{}\n", self.painted(BOLD, text)));
    }

    /// A line as it stands.
    pub(crate) fn line(self, text: impl Display) {
        self.say(&format!("{text}\n"));
    }

    /// An empty line.
    pub(crate) fn blank(self) {
        self.say("\n");
    }

    /// A remark, wrapped and dimmed.
    pub(crate) fn note(self, text: &str) {
        for line in wrapped(text, WIDTH - INDENT) {
            self.say(&format!("{:INDENT$}{}\n", "", self.painted(DIM, &line)));
        }
    }

    /// A line of the story: mark, number, title, and a figure at the right edge.
    pub(crate) fn verdict(self, held: bool, number: usize, title: &str, figure: &str) {
        let mark = if held { self.painted(GREEN, "✔") } else { self.painted(RED, "✘") };
        let left = format!("{number:>2} {title}");
        let gap = (WIDTH - 2).saturating_sub(left.chars().count() + figure.chars().count()).max(1);
        let title = self.painted(BOLD, &left);
        self.say(&format!("{mark} {title}{:gap$}{}\n", "", self.painted(BOLD, figure)));
    }

    /// A paragraph below a line of the story, with a word in the margin.
    pub(crate) fn paragraph(self, label: &str, text: &str) {
        let margin = format!("{label:<8}");
        for (index, line) in wrapped(text, WIDTH - INDENT - margin.len()).iter().enumerate() {
            let first = if index == 0 { margin.as_str() } else { "" };
            let first = self.painted(DIM, &format!("{first:<8}"));
            self.say(&format!("{:INDENT$}{first}{line}\n", ""));
        }
    }

    /// What went wrong; lines are kept as they are.
    pub(crate) fn failure(self, text: &str) {
        self.say(&format!("{} {text}\n", self.painted(RED, "✘")));
    }

    /// What went well.
    pub(crate) fn success(self, text: &str) {
        self.say(&format!("{} {text}\n", self.painted(GREEN, "✔")));
    }

    fn say(self, text: &str) {
        let mut out = io::stdout().lock();
        let clear = if self.terminal { CLEAR } else { "" };
        let written = write!(out, "{clear}{text}").and_then(|()| out.flush());
        // A reader who closed the pipe has seen enough; the programs are still to be stopped.
        let _reader_may_be_gone = written;
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks a text at spaces into lines of at most `width` characters; a longer word stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let together = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && together > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_only() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("µµµ µµµ", 7), ["µµµ µµµ"]);
        assert_eq!(wrapped("a-very-long-word b", 5), ["a-very-long-word", "b"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn paint_is_for_terminals_alone() {
        assert_eq!(Screen { terminal: false, colours: false }.painted(RED, "x"), "x");
        assert_eq!(Screen { terminal: true, colours: true }.painted(RED, "x"), "\x1b[31mx\x1b[0m");
    }
}
