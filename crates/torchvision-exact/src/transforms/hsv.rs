//! Pillow's conversions between RGB and HSV, a byte a channel, and the hue turned between them.
//!
//! Which steps Pillow takes in float32 and which in float64 decides the last bit. Neighbouring pixels differ, so that
//! a processor would guess branches wrongly: there are none. Where the steps here are not Pillow's, the bytes
//! are all the same, for each of the 2^24 colours; the tests of parity compare them.

/// Pixels that are converted before they are converted back: pixels then wait less for each other's results.
const AT_ONCE: usize = 256;

/// Turns the hue of every pixel by `turn` of 256 steps.
pub(super) fn turn_hue(pixels: &mut [[u8; 3]], turn: u8) {
    for pixels in pixels.chunks_mut(AT_ONCE) {
        for rgb in &mut *pixels {
            let [h, s, v] = hsv_of(*rgb);
            *rgb = [h.wrapping_add(turn), s, v];
        }
        for hsv in pixels {
            *hsv = rgb_of(*hsv);
        }
    }
}

/// `convert("HSV")`: hue, saturation and value.
fn hsv_of([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    // Gray has no range; with 1 in its place it gets hue and saturation 0, black's 0 / 0 included.
    let range = f32::from((max - min).max(1));
    let saturation = f32::from(max - min) / f32::from(max);
    let (start, ahead, behind) = if r == max {
        (0.0, b, g)
    } else if g == max {
        (2.0, r, b)
    } else {
        (4.0, g, r)
    };
    let distance = |channel: u8| f64::from(f32::from(max - channel) / range);
    let sextant = (start + distance(ahead) - distance(behind)) as f32;
    // Pillow divides by 6 and takes fmod(.., 1): from -1 to 5, at most one turn goes, and exactly.
    let turns = f64::from(sextant) * (1.0 / 6.0) + 1.0;
    let hue = (if turns < 1.0 { turns } else { turns - 1.0 }) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, max]
}

/// An HSV image's `convert("RGB")`.
fn rgb_of([h, s, v]: [u8; 3]) -> [u8; 3] {
    let Hue { fraction, channels } = &HUES[usize::from(h)];
    let saturation = (f64::from(s) / 255.0) as f32;
    // Rounded: no colour comes so near below a half that adding one goes up to the next whole number.
    let dimmed = |by: f64| (f64::from(v) * (1.0 - by) + 0.5) as u8;
    let p = dimmed(f64::from(saturation));
    let q = dimmed(f64::from(saturation * fraction));
    let t = dimmed(f64::from(saturation) * (1.0 - f64::from(*fraction)));
    let vtpq = u32::from_le_bytes([v, t, p, q]);
    channels.map(|channel| (vtpq >> channel) as u8)
}

/// Where a hue stands between red, yellow, green, cyan, blue and magenta.
struct Hue {
    /// Of the way from one to the next, in [0, 1).
    fraction: f32,
    /// Which of v, t, p, q red, green and blue are, as shifts of the four packed into 32 bits.
    channels: [u32; 3],
}

static HUES: [Hue; 256] = {
    const V: u32 = 0;
    const T: u32 = 8;
    const P: u32 = 16;
    const Q: u32 = 24;
    const SEXTANTS: [[u32; 3]; 6] = [[V, T, P], [Q, V, P], [P, V, T], [P, Q, V], [T, P, V], [V, P, Q]];
    let mut hues = [const { Hue { fraction: 0.0, channels: SEXTANTS[0] } }; 256];
    let mut h = 0;
    while h < hues.len() {
        let position = h as f64 * 6.0 / 255.0;
        let sextant = position as usize;
        hues[h] = Hue {
            fraction: (position - sextant as f64) as f32,
            channels: SEXTANTS[sextant % SEXTANTS.len()],
        };
        h += 1;
    }
    hues
};
