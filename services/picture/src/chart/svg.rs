//! How is a drawing written down as SVG that is safe and readable anywhere?
//!
//! Text is escaped, there are no scripts, fonts or links, and no identifiers that could clash in a
//! page. Colours are attributes for a light page; a style sheet replaces them where the reader's
//! screen is dark, and a page that forbids style sheets keeps the light ones.

/// Colour of something, on a light and on a dark screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// For vegetation.
    Green,
    /// For what is high or warm.
    Red,
    /// For water.
    Blue,
    /// For everything else.
    Orange,
    /// For wind.
    Violet,
}

impl Tone {
    const ALL: [Self; 5] = [Self::Green, Self::Red, Self::Blue, Self::Orange, Self::Violet];

    /// The class that dark screens know it by.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Green => "pic-green",
            Self::Red => "pic-red",
            Self::Blue => "pic-blue",
            Self::Orange => "pic-orange",
            Self::Violet => "pic-violet",
        }
    }

    /// On a light screen: at least 4.5 to 1 against white.
    pub(super) fn light(self) -> &'static str {
        match self {
            Self::Green => "#2e7d32",
            Self::Red => "#c0392b",
            Self::Blue => "#1f6fb5",
            Self::Orange => "#a85400",
            Self::Violet => "#7b4fb5",
        }
    }

    fn dark(self) -> &'static str {
        match self {
            Self::Green => "#66bb6a",
            Self::Red => "#ff7b6b",
            Self::Blue => "#62b0f0",
            Self::Orange => "#f0a24b",
            Self::Violet => "#b695e8",
        }
    }
}

pub(super) const GROUND: &str = r##"class="pic-ground" fill="#ffffff""##;
pub(super) const INK: &str = r##"class="pic-ink" fill="#24292f""##;
pub(super) const MUTED: &str = r##"class="pic-muted" fill="#57606a""##;
pub(super) const GRID: &str = r##"class="pic-grid" stroke="#d9dee3" stroke-width="1""##;
pub(super) const AXIS: &str = r##"class="pic-axis" stroke="#8b949e" stroke-width="1""##;
pub(super) const GAP: &str = r##"class="pic-gap" fill="#8b949e" fill-opacity="0.2""##;

/// What a dark screen shows instead. A class fills or strokes; which of the two says the element.
fn dark_screen() -> String {
    let mut rules = String::from(
        "@media (prefers-color-scheme: dark) {.pic-ground{fill:#14181c}.pic-ink{fill:#d7dde3}\
         .pic-muted{fill:#9aa4ae}.pic-grid{stroke:#343b42}.pic-axis{stroke:#7d868f}",
    );
    for tone in Tone::ALL {
        let (class, colour) = (tone.class(), tone.dark());
        rules.push_str(&format!(".{class}{{color:{colour}}}"));
    }
    rules.push('}');
    rules
}

/// A drawing of a fixed size.
#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    /// An empty drawing. `title` names it and `description` tells it to who cannot see it.
    pub(super) fn new((width, height): (f64, f64), title: &str, description: &str) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif\" \
             font-size=\"12\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{}</style>\n\
             <rect {GROUND} width=\"{width}\" height=\"{height}\"/>\n",
            escaped(title),
            escaped(description),
            dark_screen(),
        ))
    }

    /// Adds markup that is known to be well formed.
    pub(super) fn add(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    /// Adds a text; `attributes` are markup.
    pub(super) fn text(&mut self, (x, y): (f64, f64), attributes: &str, text: &str) {
        self.add(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>", escaped(text)));
    }

    /// The whole drawing.
    pub(super) fn finish(mut self) -> String {
        self.add("</svg>");
        self.0
    }
}

/// A text that can stand between tags and in attributes. What XML cannot hold at all, such as
/// most control characters, becomes the replacement character.
pub(super) fn escaped(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            '\t' | '\n' | '\r' => markup.push(' '),
            '\u{fffe}' | '\u{ffff}' => markup.push(char::REPLACEMENT_CHARACTER),
            other if other < ' ' => markup.push(char::REPLACEMENT_CHARACTER),
            other => markup.push(other),
        }
    }
    markup
}

/// Markup of a title, which browsers show when the pointer rests on the element.
pub(super) fn tooltip(text: &str) -> String {
    format!("<title>{}</title>", escaped(text))
}

/// A text cut to at most `characters`, with an ellipsis where something is gone.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => {
            text.chars().take(characters.saturating_sub(1)).chain(std::iter::once('…')).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_text() {
        assert_eq!(
            escaped("<script>'&\"</script>"),
            "&lt;script&gt;&#39;&amp;&quot;&lt;/script&gt;"
        );
        assert_eq!(escaped("a\u{0}b\u{1b}c\nd\u{ffff}"), "a\u{fffd}b\u{fffd}c d\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("Überfeld", 8), "Überfeld");
        assert_eq!(shortened("Überfelder", 4), "Übe…");
    }
}
