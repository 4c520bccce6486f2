//! Does a decoded picture show the cells it was painted from?
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

use picture::raster::{Cells, RasterError, Size, Stretch, Style, png};

type Pixel = [u8; 4];

const CLEAR: Pixel = [0; 4];
const LOWEST: Pixel = [165, 0, 38, 255];
const MIDDLE: Pixel = [255, 255, 191, 255];
const HIGHEST: Pixel = [0, 104, 55, 255];
const GROUND: Pixel = [247, 247, 247, 255];
const INK: Pixel = [34, 34, 34, 255];

/// A picture, read by a decoder that knows nothing of how it was painted.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Pixel>,
}

impl Picture {
    fn decode(file: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgba, png::BitDepth::Eight));
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels: bytes.as_chunks::<4>().0.to_vec(),
        }
    }

    fn at(&self, x: usize, y: usize) -> Pixel {
        self.pixels[y * self.width + x]
    }

    /// A part as text: `#` for ink.
    fn ink(&self, (x, y): (usize, usize), width: usize, height: usize) -> Vec<String> {
        let row =
            |y| (x..x + width).map(|x| if self.at(x, y) == INK { '#' } else { '.' }).collect();
        (y..y + height).map(row).collect()
    }
}

fn style(size: u16) -> Style {
    Style { size: Size::new(size).unwrap(), ..Style::default() }
}

fn paint(columns: u32, values: &[Option<f32>], style: Style) -> Picture {
    let rows = u32::try_from(values.len()).unwrap() / columns;
    Picture::decode(&png(&Cells { columns, rows, values }, style).unwrap())
}

#[test]
fn cells_are_blocks_with_the_first_row_in_the_north() {
    let picture = paint(2, &[Some(-1.0), Some(0.0), None, Some(1.0)], style(128));
    assert_eq!((picture.width, picture.height), (128, 128));
    for y in 0..128 {
        for x in 0..128 {
            let expected = [[LOWEST, MIDDLE], [CLEAR, HIGHEST]][y / 64][x / 64];
            assert_eq!(picture.at(x, y), expected, "{x}, {y}");
        }
    }
}

#[test]
fn colours_of_the_fixed_scale_equal_the_reference() {
    let expected: [(f32, [u8; 3]); 10] = [
        (-1.0, [165, 0, 38]),
        (-0.5, [248, 141, 82]),
        (-0.2, [254, 224, 139]),
        (0.0, [255, 255, 191]),
        (0.1, [236, 247, 165]),
        (0.25, [204, 234, 131]),
        (0.5, [134, 203, 102]),
        (0.75, [45, 161, 85]),
        (0.9, [13, 128, 68]),
        (1.0, [0, 104, 55]),
    ];
    let values: Vec<_> = expected.iter().map(|(ndvi, _)| Some(*ndvi)).collect();
    let picture = paint(10, &values, style(1_000));
    for (number, (ndvi, [red, green, blue])) in expected.into_iter().enumerate() {
        assert_eq!(picture.at(number * 100 + 50, 50), [red, green, blue, 255], "{ndvi}");
    }
}

#[test]
fn what_is_no_number_is_transparent() {
    let values = [Some(f32::NAN), Some(f32::INFINITY), None, Some(f32::NEG_INFINITY)];
    let picture = paint(2, &values, style(128));
    assert!(picture.pixels.iter().all(|pixel| *pixel == CLEAR));
}

#[test]
fn n6_longer_side_is_as_asked_and_the_shape_is_kept() {
    for (columns, rows, size, expected) in [
        (24, 33, 256, (186, 256)),
        (33, 24, 256, (256, 186)),
        (1, 500, 128, (1, 128)),
        (1_000, 1_000, 128, (128, 128)),
        (7, 3, 300, (300, 129)),
    ] {
        let picture = paint(columns, &vec![Some(0.5); (columns * rows) as usize], style(size));
        assert_eq!((picture.width, picture.height), expected, "{columns} by {rows} at {size}");
    }
}

#[test]
fn n6_blocks_are_equally_large_in_both_directions() {
    // A staircase of 33 cells on 24: each step is seen once to the east and once to the south.
    let value = |cell: u32| Some(if cell / 24 == cell % 24 { 1.0 } else { -1.0 });
    let values: Vec<_> = (0..24 * 33).map(value).collect();
    let picture = paint(24, &values, style(512));
    for step in 0..picture.width {
        assert_eq!(picture.at(step, step), HIGHEST, "at {step}");
    }
}

#[test]
fn histogram_uses_all_colours_for_the_values_of_a_field() {
    let values: Vec<_> = (0..100).map(|number| Some(0.6 + number as f32 / 1_000.0)).collect();
    let histogram = Style { stretch: Stretch::Histogram, ..style(100 * 10) };
    let (fixed, stretched) = (paint(100, &values, style(1_000)), paint(100, &values, histogram));
    assert_eq!((stretched.at(5, 5), stretched.at(995, 5)), (LOWEST, HIGHEST));
    assert!(fixed.pixels.iter().all(|pixel| ![LOWEST, HIGHEST].contains(pixel)));
}

#[test]
fn n9_uniform_field_has_the_colour_of_its_value() {
    let histogram = Style { stretch: Stretch::Histogram, legend: true, ..style(128) };
    let picture = paint(4, &[Some(1.0); 16], histogram);
    assert_eq!(picture.at(0, 0), HIGHEST);
}

#[test]
fn legend_stands_beside_the_field_and_changes_nothing_of_it() {
    let values: Vec<_> =
        (0..24 * 33).map(|cell| (cell % 5 > 0).then_some(cell as f32 / 800.0)).collect();
    for size in [128, 384] {
        let bare = paint(24, &values, style(size));
        let with_legend = paint(24, &values, Style { legend: true, ..style(size) });
        assert!(with_legend.width > bare.width);
        assert_eq!(with_legend.height, bare.height);
        for y in 0..bare.height {
            for x in 0..bare.width {
                assert_eq!(with_legend.at(x, y), bare.at(x, y));
            }
            // Opaque from here on, whatever the picture is laid over.
            let beside = bare.width..with_legend.width;
            assert!(beside.into_iter().all(|x| with_legend.at(x, y)[3] == 255));
        }
    }
}

#[test]
fn legend_of_a_low_field_is_as_high_as_it_has_to_be() {
    let picture = paint(100, &[Some(0.5); 200], Style { legend: true, ..style(128) });
    assert!(picture.height >= 84, "{}", picture.height);
    assert_eq!((picture.at(0, 0)[3], picture.at(0, 3)), (255, CLEAR));
}

#[test]
fn bar_runs_from_the_highest_colour_down_to_the_lowest() {
    let picture = paint(1, &[Some(0.5)], Style { legend: true, ..style(128) });
    let x = 128 + 8;
    let bar: Vec<Pixel> = (0..picture.height)
        .map(|y| picture.at(x, y))
        .filter(|pixel| ![GROUND, INK].contains(pixel))
        .collect();
    assert!(bar.len() > 80, "{}", bar.len());
    // A row of the bar has the colour of its middle, half a row from the end.
    let near = |one: Pixel, other: Pixel| {
        one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= 3)
    };
    assert!(near(bar[0], HIGHEST) && near(bar[bar.len() - 1], LOWEST), "{bar:?}");
    assert!(near(bar[bar.len() / 2], MIDDLE), "{bar:?}");
}

#[test]
fn numbers_stand_at_their_colours() {
    let picture = paint(1, &[Some(0.5)], Style { legend: true, ..style(128) });
    let bar = 128 + 5;
    // Below the title.
    let ticks: Vec<usize> =
        (14..picture.height).filter(|y| picture.at(bar + 12, *y) == INK).collect();
    let [top, .., bottom] = ticks[..] else { unreachable!("{ticks:?}") };
    assert_eq!(ticks.len(), 5, "{ticks:?}");
    let label = |y: usize| picture.ink((bar + 12 + 3 + 4, y - 3), 23, 7);
    assert_eq!(
        label(top),
        [
            "........#..........###.",
            ".......##.........#...#",
            "........#.........#..##",
            "........#.........#.#.#",
            "........#.........##..#",
            "........#....##...#...#",
            ".......###...##....###.",
        ]
    );
    let minus = label(bottom);
    assert!(minus[3].starts_with("#####"), "{minus:?}");
}

#[test]
fn same_cells_make_the_same_bytes() {
    let values: Vec<_> = (0..400).map(|cell| Some(cell as f32 / 400.0)).collect();
    let cells = Cells { columns: 20, rows: 20, values: &values };
    let style = Style { legend: true, stretch: Stretch::Histogram, ..style(128) };
    assert_eq!(png(&cells, style).unwrap(), png(&cells, style).unwrap());
    assert_ne!(png(&cells, style).unwrap(), png(&cells, self::style(128)).unwrap());
}

#[test]
fn grid_that_holds_nothing_or_contradicts_itself_is_refused() {
    let empty = png(&Cells { columns: 0, rows: 0, values: &[] }, Style::default());
    assert!(matches!(empty, Err(RasterError::Empty)), "{empty:?}");
    let short = png(&Cells { columns: 2, rows: 2, values: &[None; 3] }, Style::default());
    assert!(matches!(short, Err(RasterError::Shape { values: 3, .. })), "{short:?}");
    let huge = png(&Cells { columns: u32::MAX, rows: u32::MAX, values: &[] }, Style::default());
    assert!(matches!(huge, Err(RasterError::Shape { .. })), "{huge:?}");
}

#[test]
fn sizes_have_bounds() {
    let accepted = [127, 128, 1_024, 1_025].map(|pixels| Size::new(pixels).is_some());
    assert_eq!(accepted, [false, true, true, false]);
}
