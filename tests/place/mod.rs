//! Small data sets, a folder for runs, and the program as a user starts it.

// No test binary uses all of this module.
#![allow(dead_code)]

pub mod job;
pub mod skipped;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use d2l_ch7::report::read_metrics;
use tempfile::TempDir;
use torchvision_exact::random::{Draws, Mt19937};

pub const CIFAR10_FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
/// Bytes of each of these files: 10,000 images with their labels.
pub const CIFAR10_BYTES: u64 = 10_000 * 3073;

/// A folder with a small data set in Fashion-MNIST's layout, in which runs can be kept.
pub struct Place {
    pub folder: TempDir,
}

pub const TRAIN: usize = 96;
pub const TEST: usize = 32;

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.data()).unwrap();
        place.write_images("train", TRAIN);
        place.write_images("t10k", TEST);
        place
    }

    /// Writes `n` images and labels of a `split`, which is `train` or `t10k`.
    pub fn write_images(&self, split: &str, n: usize) {
        // In every image three columns are bright; the label decides which.
        let labels: Vec<u8> = (0..n).map(|i| (i * 7 % 10) as u8).collect();
        let lit = |label: u8, column: usize| if column / 3 == usize::from(label) { 200 } else { 10 };
        let pixels = labels.iter().flat_map(|&label| (0..28 * 28).map(move |p| lit(label, p % 28))).collect();
        self.write(&format!("{split}-images-idx3-ubyte"), 0x803, &[n as u32, 28, 28], pixels);
        self.write(&format!("{split}-labels-idx1-ubyte"), 0x801, &[n as u32], labels);
    }

    pub fn write(&self, name: &str, magic: u32, size: &[u32], content: Vec<u8>) {
        let mut file = magic.to_be_bytes().to_vec();
        file.extend(size.iter().flat_map(|n| n.to_be_bytes()));
        file.extend(content);
        fs::write(self.data().join(name), file).unwrap();
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes a folder in CIFAR-10's layout. Each file begins with sixteen images of noise; its other images are black.
    pub fn cifar10(&self) -> PathBuf {
        let folder = self.folder.path().join("cifar");
        fs::create_dir_all(&folder).unwrap();
        let mut noise = Mt19937::new(0);
        for name in CIFAR10_FILES {
            let mut file = File::create(folder.join(name)).unwrap();
            for i in 0..16 {
                let pixels: Vec<u8> = (0..3 * 32 * 32).map(|_| noise.next_u32() as u8).collect();
                file.write_all(&[&[i % 10], &pixels[..]].concat()).unwrap();
            }
            // The rest of the file is zeros, which take no space on the disk.
            file.set_len(CIFAR10_BYTES).unwrap();
        }
        folder
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A short `d2l_ch7 compare` on this data, with further `arguments`. They replace the batch size, epochs and directory
    /// that are set here.
    pub fn compare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["compare", "--device", "cpu", "--threads", "1", "--data-dir"]).arg(self.data());
        let out = self.out();
        let out = out.to_str().expect("temporary folders have plain names");
        for usual in [["--batch-size", "32"], ["--epochs", "2"], ["--out", out]] {
            if !arguments.contains(&usual[0]) {
                command.args(usual);
            }
        }
        command.args(arguments);
        command
    }

    /// Checks that the program refuses: exit code, two lines that hold `words`, and no run directory.
    pub fn refuses(&self, arguments: &[&str], code: i32, words: &str) {
        assert_two_lines(&self.compare(arguments).output().unwrap(), code, words);
        assert!(!self.out().exists(), "{arguments:?} left a run directory");
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    // With RUST_BACKTRACE a panic prints more than two lines.
    command.env_remove("RUST_BACKTRACE");
    command
}

pub fn assert_two_lines(output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| !line.trim().is_empty()).count(), 2, "two lines: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains("\nhelp: "), "{stderr}");
    assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
}

/// A program's standard error, or why it did not start.
pub fn stderr_of(output: io::Result<Output>) -> String {
    output
        .map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The results of a finished run: the columns of its metrics that no clock decides, its statistics, its weights.
pub type Outcome = (Vec<String>, Option<Vec<u8>>, Vec<Vec<u8>>);

/// The results of the run in `out`.
pub fn outcome(out: &Path) -> Outcome {
    let rows = read_metrics(&out.join("metrics.csv")).unwrap().into_iter().map(|row| {
        let figures = [row.train_loss, row.train_acc, row.test_loss, row.test_acc].map(f64::to_bits);
        format!("{} {} {figures:?}", row.variant, row.epoch)
    });
    let mut weights: Vec<PathBuf> =
        fs::read_dir(out.join("weights")).unwrap().map(|entry| entry.unwrap().path()).collect();
    weights.sort();
    let weights = weights.iter().map(|path| fs::read(path).unwrap()).collect();
    (rows.collect(), fs::read(out.join("statistics.csv")).ok(), weights)
}

/// Waits until `done` is true; panics after two minutes.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}
