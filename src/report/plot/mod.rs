//! Pictures of a run, as the bytes of PNG files.

mod axis;
mod curves;
mod gallery;
mod histograms;
mod panel;
mod picture;
mod ratios;
mod synchronized;

pub use self::curves::{CURVES, Curves, draw_curves};
pub use self::gallery::{Gallery, Thumbnail, draw_gallery};
pub use self::histograms::{CHANNELS, Channel, HistogramPanel, Histograms, draw_histograms};
pub use self::picture::WIDTH;
pub use self::ratios::draw_ratios;
pub use self::synchronized::draw_synchronized;
