//! What every benchmark does.

use std::path::PathBuf;

/// The FOLDER of `--data-dir FOLDER`.
pub fn data_dir() -> Option<PathBuf> {
    std::env::args().skip_while(|argument| argument != "--data-dir").nth(1).map(PathBuf::from)
}

/// The middle one of the `measured`, of which there is one at least.
pub fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}
