//! Which colour has a value? From red through yellow to green, as ColorBrewer's RdYlGn.

/// The eleven control points of RdYlGn, from the lowest value to the highest.
const CONTROL: [[u8; 3]; 11] = [
    [165, 0, 38],
    [215, 48, 39],
    [244, 109, 67],
    [253, 174, 97],
    [254, 224, 139],
    [255, 255, 191],
    [217, 239, 139],
    [166, 217, 106],
    [102, 189, 99],
    [26, 152, 80],
    [0, 104, 55],
];

/// The colour at `share` of the way from the lowest value to the highest; beyond them the ends.
///
/// Control points stand at the multiples of 0.1 in `f64`, and halves round to even, as numpy's
/// `linspace`, `interp` and `round` have it: colours are the same to the last bit.
pub(super) fn colour(share: f64) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    let [.., last] = CONTROL;
    let points = || CONTROL.iter().zip(0_u8..);
    points()
        .zip(points().skip(1))
        .map(|((from, i), (to, j))| ((from, at(i)), (to, at(j))))
        .find(|(_, (_, end))| share < *end)
        .map_or(last, |((from, start), (to, end))| {
            let part = (share - start) / (end - start);
            let [red, green, blue] = *from;
            let [to_red, to_green, to_blue] = *to;
            [mix(red, to_red, part), mix(green, to_green, part), mix(blue, to_blue, part)]
        })
}

/// Where a control point stands.
fn at(number: u8) -> f64 {
    if number == 10 { 1.0 } else { f64::from(number) * 0.1 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mixture of two bytes is a byte"
)]
fn mix(from: u8, to: u8, part: f64) -> u8 {
    (f64::from(from) + (f64::from(to) - f64::from(from)) * part).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NDVI and colour, computed with numpy on a scale from -1 to 1.
    const EXPECTED: [(f64, [u8; 3]); 10] = [
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

    #[test]
    fn colours_equal_the_reference() {
        for (ndvi, expected) in EXPECTED {
            assert_eq!(colour((ndvi + 1.0) / 2.0), expected, "{ndvi}");
        }
    }

    #[test]
    fn values_beyond_the_scale_have_the_colours_of_its_ends() {
        assert_eq!(colour(-0.3), [165, 0, 38]);
        assert_eq!(colour(7.0), [0, 104, 55]);
    }

    #[test]
    fn every_control_point_has_its_own_colour() {
        for (control, number) in CONTROL.iter().zip(0_u8..) {
            assert_eq!(colour(at(number)), *control, "{number}");
        }
    }
}
