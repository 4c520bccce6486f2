//! What do the few characters of a legend look like in five by seven dots?

use super::canvas::{Area, Canvas, Rgba};

/// Columns of a character.
const COLUMNS: usize = 5;

/// Dots between the left edges of two characters.
const ADVANCE: usize = COLUMNS + 1;

/// Rows of a character.
pub(super) const ROWS: usize = 7;

/// Rows of a character from the top; the leftmost dot is the highest of five bits.
fn glyph(character: char) -> [u8; ROWS] {
    match character {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        '-' => [0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'N' => [0b10001, 0b11001, 0b10101, 0b10101, 0b10011, 0b10001, 0b10001],
        'V' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b01010, 0b00100],
        'e' => [0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110],
        _ => [0; ROWS],
    }
}

/// How many dots wide a text is.
pub(super) fn width(text: &str) -> usize {
    (text.chars().count() * ADVANCE).saturating_sub(ADVANCE - COLUMNS)
}

/// Writes a text with its upper left corner at `x` and `y`; a dot is `scale` pixels wide.
pub(super) fn write(
    canvas: &mut Canvas,
    (x, y): (usize, usize),
    text: &str,
    scale: usize,
    colour: Rgba,
) {
    for (number, character) in text.chars().enumerate() {
        let left = x + number * ADVANCE * scale;
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..COLUMNS).filter(|column| bits >> (COLUMNS - 1 - column) & 1 == 1) {
                let dot = Area {
                    x: left + column * scale,
                    y: y + row * scale,
                    width: scale,
                    height: scale,
                };
                canvas.fill(dot, colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_label_can_be_told_from_the_others() {
        let characters = "0123456789-.eNDVI";
        for (number, one) in characters.chars().enumerate() {
            assert_ne!(glyph(one), [0; ROWS], "{one}");
            for other in characters.chars().skip(number + 1) {
                assert_ne!(glyph(one), glyph(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn text_is_as_wide_as_its_characters() {
        assert_eq!((width(""), width("1"), width("-0.5")), (0, 5, 23));
    }
}
