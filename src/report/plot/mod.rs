//! Pictures of a run, as the bytes of PNG files.

mod axis;
mod chapter;
mod curves;
mod figures;
mod gallery;
mod histograms;
mod panel;
mod picture;
mod ratios;
mod sweep;

pub use self::chapter::draw_chapter;
pub use self::curves::draw_curves;
pub use self::figures::draw_figures;
pub use self::gallery::{Thumbnail, draw_gallery, longest_side};
pub use self::histograms::{CHANNELS, Channel, HistogramPanel, draw_histograms};
pub(super) use self::panel::{PALETTE, Panel, Series, Shape, draw_panels};
pub(super) use self::picture::Stroke;
pub use self::picture::WIDTH;
pub use self::ratios::draw_ratios;
pub use self::sweep::{draw_heatmaps, draw_sweep_curves};
