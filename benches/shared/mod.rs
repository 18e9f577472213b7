//! Functions that all benchmarks use.

// No benchmark uses all of this module.
#![allow(dead_code)]

use std::path::PathBuf;
use std::time::Instant;

use criterion::Bencher;
use tch::Device;

/// The FOLDER of `--data-dir FOLDER`.
pub fn data_dir() -> Option<PathBuf> {
    std::env::args().skip_while(|argument| argument != "--data-dir").nth(1).map(PathBuf::from)
}

/// The median of the `measured`, which are not empty.
pub fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

/// Measures `job`, including the wait until the device has done it.
pub fn timed(bencher: &mut Bencher, device: Device, mut job: impl FnMut()) {
    let wait = || {
        if let Device::Cuda(index) = device {
            tch::Cuda::synchronize(index as i64);
        }
    };
    bencher.iter_custom(|iterations| {
        wait();
        let start = Instant::now();
        (0..iterations).for_each(|_| job());
        wait();
        start.elapsed()
    });
}
