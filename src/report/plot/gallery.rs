//! Images side by side, under a text and perhaps each above its name.

use plotters::style::RGBColor;

use super::canvas::{self, Align, Canvas, Drawn, Point, Text};
use super::{MARGIN, WIDTH};
use crate::Result;

/// Pixels between two images.
const GAP: f64 = 12.0;
/// Pixels from one line of text to the next.
const LINE: f64 = 23.0;
/// Pixels for a name below an image.
const NAME: f64 = 24.0;

const TITLE: Text =
    Text { size: 17.0, bold: false, color: RGBColor(0x22, 0x22, 0x22), align: Align::Start, upward: false };
const WORDS: Text = Text { size: 15.0, align: Align::Middle, ..TITLE };

/// What [`draw_gallery`] draws.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// Written above, line by line.
    pub title: String,
    /// Images in a row.
    pub columns: usize,
    /// Row by row; one at least.
    pub images: Vec<Thumbnail>,
    /// What stands below each image; nothing below those that have none.
    pub names: Vec<String>,
}

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

impl Gallery {
    /// Pixels of the longest side that an image in `columns` can have, if the picture is to be [`WIDTH`] pixels wide.
    pub fn longest_side(columns: usize) -> usize {
        ((f64::from(WIDTH) - 2.0 * MARGIN - GAP * (columns - 1) as f64) / columns as f64) as usize
    }

    /// How large a pixel of the images is drawn: as large as all have room for, so that small ones are seen. An image
    /// alone has half the width.
    fn enlargement(&self) -> usize {
        let longest = self.images.iter().map(|image| image.width.max(image.height)).max();
        (Self::longest_side(self.columns.max(2)) / longest.unwrap_or(1)).max(1)
    }
}

/// Draws a gallery as the bytes of a PNG file. An image that is smaller than there is room for is enlarged by a whole
/// number, its pixels as squares; none is made smaller.
///
/// # Errors
/// If the drawing fails, for which there is no known cause.
pub fn draw_gallery(gallery: &Gallery) -> Result<Vec<u8>> {
    let pixel = gallery.enlargement() as f64;
    let largest = |side: fn(&Thumbnail) -> usize| {
        pixel * gallery.images.iter().map(side).max().unwrap_or_default() as f64
    };
    let (cell_width, cell_height) = (largest(|image| image.width), largest(|image| image.height));
    let row = cell_height + GAP + if gallery.names.is_empty() { 0.0 } else { NAME };
    let rows = gallery.images.len().div_ceil(gallery.columns);
    let top = MARGIN + LINE * gallery.title.lines().count() as f64 + GAP / 2.0;

    let grid = cell_width * gallery.columns as f64 + GAP * (gallery.columns - 1) as f64;
    // A narrow grid leaves the text room, of which a letter takes no more than this.
    let longest_line = gallery.title.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let room = grid.max((9.0 * longest_line as f64).min(0.6 * f64::from(WIDTH)));
    let height = top + row * rows as f64 - GAP + MARGIN;
    canvas::png((room + 2.0 * MARGIN) as u32, height as u32, |canvas| {
        for (line, i) in gallery.title.lines().zip(0..) {
            let at = (MARGIN, MARGIN + LINE * f64::from(i) + 14.0);
            canvas.text(line, at, fitted(canvas, line, TITLE, room))?;
        }
        for (i, image) in gallery.images.iter().enumerate() {
            let (column, line) = (i % gallery.columns, i / gallery.columns);
            let left = MARGIN + (cell_width + GAP) * column as f64;
            let above = top + row * line as f64;
            let spare = |cell: f64, side: usize| ((cell - pixel * side as f64) / 2.0).floor();
            let corner = (left + spare(cell_width, image.width), above + spare(cell_height, image.height));
            image.draw(canvas, corner, pixel)?;
            if let Some(name) = gallery.names.get(i) {
                let at = (left + cell_width / 2.0, above + cell_height + 17.0);
                canvas.text(name, at, fitted(canvas, name, WORDS, cell_width))?;
            }
        }
        Ok(())
    })
}

/// A text that is too long is written smaller.
fn fitted(canvas: &Canvas, text: &str, look: Text, room: f64) -> Text {
    Text { size: look.size * (room / canvas.text_width(text, look).max(room)), ..look }
}

impl Thumbnail {
    /// Draws the image with squares of `pixel` pixels.
    pub(super) fn draw(&self, canvas: &Canvas, (left, top): Point, pixel: f64) -> Drawn {
        for (i, &[r, g, b]) in self.pixels.iter().enumerate() {
            let (x, y) = ((i % self.width) as f64, (i / self.width) as f64);
            let corner = |x: f64, y: f64| (left + pixel * x, top + pixel * y);
            canvas.fill(corner(x, y), corner(x + 1.0, y + 1.0), RGBColor(r, g, b))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::transforms::Image;

    fn gallery(columns: usize, images: &[Thumbnail], names: &[&str]) -> Image {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let gallery = Gallery { title: "one\ntwo".to_owned(), columns, images: images.to_vec(), names };
        Image::decode(&draw_gallery(&gallery).unwrap()).unwrap()
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
        let side = Gallery::longest_side(2) / 2;
        assert_eq!(colors.map(|color| count(&picture, color)), [side * side; 3]);
    }

    #[test]
    fn full_images_fill_the_width_and_names_stand_below() {
        let side = Gallery::longest_side(4);
        let image = Thumbnail { width: side, height: 9, pixels: vec![[1, 2, 3]; side * 9] };
        let images = [const { 0 }; 5].map(|_| image.clone());
        let (bare, named) = (gallery(4, &images, &[]), gallery(4, &images, &["cat", "frog"]));
        assert_eq!(bare.width(), WIDTH as usize);
        assert_eq!(count(&bare, [1, 2, 3]), 5 * side * 9);
        assert_eq!(named.height() - bare.height(), 2 * NAME as usize, "two rows");
        assert!(named != gallery(4, &images, &["frog", "cat"]), "each below its own");
    }
}
