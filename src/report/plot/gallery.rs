//! Images side by side, under a text and perhaps each above its name.

use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::picture::{self, INK, MARGIN, PIXEL, WIDTH, fitted, text, words};
use crate::Result;
use resvg::tiny_skia::{FilterQuality, IntSize, Pixmap, PixmapPaint, Transform};

/// Pixels between the picture's edge and what is in it.
const EDGE: i32 = MARGIN / PIXEL;
/// Pixels between two images.
const GAP: i32 = 12;
/// Pixels from one line of text to the next.
const LINE: i32 = 23;
/// Pixels for a name below an image.
const NAME: i32 = 24;

/// A small image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Red, green and blue, row by row from the top.
    pub pixels: Vec<[u8; 3]>,
}

/// Pixels of the longest side that an image in `columns` can have, if the picture is to be [`WIDTH`] pixels wide.
pub fn longest_side(columns: usize) -> usize {
    let columns = columns as i32;
    ((WIDTH as i32 - 2 * EDGE - GAP * (columns - 1)) / columns) as usize
}

/// Draws `images`, one at least, row by row in so many `columns`, as the bytes of a PNG file. The lines of `title` are written above,
/// and below each image its name, if there are `names`. An image that is smaller than there is room for is enlarged by a whole number,
/// its pixels as squares; none is made smaller. An image alone has room for half the width.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_gallery(title: &str, columns: usize, images: &[Thumbnail], names: &[&str]) -> Result<Vec<u8>> {
    // All are as large as the largest has room for.
    let longest = images.iter().map(|image| image.width.max(image.height)).max().unwrap_or(1);
    let (scale, rows) = ((longest_side(columns.max(2)) / longest).max(1), images.len().div_ceil(columns));
    let columns = columns as i32;
    let largest = |side: fn(&Thumbnail) -> usize| (scale * images.iter().map(side).max().unwrap_or(0)) as i32;
    let (cell_width, cell_height) = (largest(|image| image.width), largest(|image| image.height));
    let row = cell_height + GAP + if names.is_empty() { 0 } else { NAME };
    let top = EDGE + LINE * title.lines().count() as i32 + GAP / 2;
    let corner = |i: i32| (EDGE + (cell_width + GAP) * (i % columns), top + row * (i / columns));

    // A narrow grid leaves the text room, of which a letter takes no more than this.
    let longest_line = title.lines().map(|line| line.chars().count()).max().unwrap_or(0) as i32;
    let room = (cell_width * columns + GAP * (columns - 1)).max((9 * longest_line).min(WIDTH as i32 * 3 / 5));
    let height = top + row * rows as i32 - GAP + EDGE;
    let mut picture = picture::render((room + 2 * EDGE) as u32, height as u32, |area| {
        for (line, i) in title.lines().zip(0..) {
            // SVG drops plain spaces at the start of a line.
            let line = line.replace(' ', "\u{a0}");
            let look = fitted(area, &line, &text(181.0, FontStyle::Normal, INK), room * PIXEL)?;
            area.draw_text(&line, &look, (MARGIN, MARGIN + LINE * PIXEL * i))?;
        }
        for (name, i) in names.iter().zip(0..) {
            let (left, above) = corner(i);
            let look =
                fitted(area, name, &words(), cell_width * PIXEL)?.pos(Pos::new(HPos::Center, VPos::Top));
            let at = ((left + cell_width / 2) * PIXEL, (above + cell_height + 7) * PIXEL);
            area.draw_text(name, &look, at)?;
        }
        Ok(())
    })?;
    for (image, i) in images.iter().zip(0..) {
        let (left, above) = corner(i);
        let spare = |cell: i32, side: usize| (cell - (scale * side) as i32) / 2;
        let at = (left + spare(cell_width, image.width), above + spare(cell_height, image.height));
        put(&mut picture, image, at, scale as f32);
    }
    picture::png(&picture)
}

/// Puts an image into a picture, each of its pixels as a square with sides of `scale` pixels. `corner` is in pixels.
pub fn put(picture: &mut Pixmap, image: &Thumbnail, corner: (i32, i32), scale: f32) {
    let bytes = image.pixels.iter().flat_map(|&[r, g, b]| [r, g, b, 0xff]).collect();
    let size = IntSize::from_wh(image.width as u32, image.height as u32);
    let Some(image) = size.and_then(|size| Pixmap::from_vec(bytes, size)) else { return };
    let quality = if scale.fract() == 0.0 { FilterQuality::Nearest } else { FilterQuality::Bilinear };
    let paint = PixmapPaint { quality, ..PixmapPaint::default() };
    let place = Transform::from_row(scale, 0.0, 0.0, scale, corner.0 as f32, corner.1 as f32);
    picture.draw_pixmap(0, 0, image.as_ref(), &paint, place, None);
}

#[cfg(test)]
mod tests {
    use torchvision_exact::image::Image;

    use super::*;

    fn gallery(columns: usize, images: &[Thumbnail], names: &[&str]) -> Image {
        Image::decode(&draw_gallery("one\ntwo", columns, images, names).unwrap()).unwrap()
    }

    fn count(picture: &Image, color: [u8; 3]) -> usize {
        picture.pixels().as_chunks().0.iter().filter(|&&pixel| pixel == color).count()
    }

    #[test]
    fn every_pixel_is_drawn_as_a_square_of_its_colour() {
        let colors = [[10, 20, 30], [200, 0, 0], [0, 200, 0]];
        let two = Thumbnail { width: 1, height: 2, pixels: vec![colors[0], colors[1]] };
        let one = Thumbnail { width: 1, height: 1, pixels: vec![colors[2]] };
        let picture = gallery(2, &[two, one], &[]);
        let side = longest_side(2) / 2;
        assert_eq!(colors.map(|color| count(&picture, color)), [side * side; 3]);
    }

    #[test]
    fn full_images_fill_the_width_and_names_stand_below() {
        let side = longest_side(4);
        let image = Thumbnail { width: side, height: 9, pixels: vec![[1, 2, 3]; side * 9] };
        let images = [const { 0 }; 5].map(|_| image.clone());
        let (bare, named) = (gallery(4, &images, &[]), gallery(4, &images, &["cat", "frog"]));
        assert_eq!(bare.width(), WIDTH as usize);
        assert_eq!(count(&bare, [1, 2, 3]), 5 * side * 9);
        assert_eq!(named.height() - bare.height(), 2 * NAME as usize, "two rows");
        assert!(named != gallery(4, &images, &["frog", "cat"]), "each below its own");
    }
}
