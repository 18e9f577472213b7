//! What a run leaves behind: its directory, `metrics.csv`, `curves.png`, `report.md`, and the lines on the terminal.
//!
//! This folder knows epoch records, files and pixels; it knows no network, no tensor and no training loop. Everything
//! here is a pure function of the records except [`RunDir`], which alone touches the disk.

mod bench;
mod chapter;
mod console;
pub mod csv;
mod figures;
mod inspection;
mod markdown;
mod notes;
mod numbers;
mod numerics;
pub mod plot;
pub mod pytorch_text;
mod ranks;
pub mod run_dir;
mod sweep;
mod synchronized;
mod table;

pub use bench::{BENCH, HERE, Measurement, Spread, bench_to_csv, render_bench};
pub use chapter::{CHAPTER, CHAPTER_CURVES, ChapterNetwork, ChapterReport};
pub use csv::{
    METRICS, RANKS, STATISTICS, metrics_from_csv, metrics_to_csv, read_metrics, read_rows, write_rows,
};
pub use figures::{Grouped, OverSeeds, Quantity, Subject};
pub use inspection::{Inspection, Scale};
pub use markdown::{CURVES, REPORT, Report};
pub use numbers::{grouped, loss, short, significant};
pub use numerics::NumericsEffect;
pub use plot::draw_chapter;
pub use plot::draw_curves;
pub use plot::draw_figures;
pub use plot::draw_ratios;
pub use plot::{CHANNELS, Channel, HistogramPanel, draw_histograms};
pub use plot::{Thumbnail, draw_gallery, longest_side};
pub use plot::{draw_heatmaps, draw_sweep_curves};
pub use ranks::render_ranks;
pub use run_dir::RunDir;
pub use sweep::{CELLS, HEATMAP, SWEEP, SweepCell, SweepReport};
pub use synchronized::{SYNCHRONIZED, Synchronization, SynchronizedLayer};
pub use table::table;

#[cfg(test)]
pub(crate) mod tests {
    use crate::EpochRecord;

    /// A plausible record; what a test is about, it sets itself.
    pub(crate) fn record(variant: &str, epoch: usize) -> EpochRecord {
        let progress = 1.0 / (1.0 + epoch as f64);
        EpochRecord {
            variant: variant.to_owned(),
            epoch,
            train_loss: 0.2 + progress,
            train_acc: 0.95 - 0.4 * progress,
            test_loss: 0.25 + progress,
            test_acc: 0.93 - 0.4 * progress,
            train_seconds: 2.0,
            epoch_seconds: 2.5,
            examples_per_second: 30_000.0,
            peak_memory_bytes: None,
        }
    }

    /// The cells of the table below the heading `heading`, header and body.
    pub(crate) fn cells(text: &str, heading: &str) -> Vec<Vec<String>> {
        let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading} in {text}"));
        let rows =
            rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        rows.filter(|line| !line.contains("---"))
            .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
            .collect()
    }
}
