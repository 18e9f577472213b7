//! The CSV files of a run: `metrics.csv`, one row an epoch and variant, `statistics.csv`, one an epoch and layer, and `ranks.csv`, one
//! an epoch, variant and process. The columns are the fields of their records.
//!
//! A float is written with the fewest digits that name it, so that reading gives the same bits (in pandas with
//! `float_precision="round_trip"`); infinities as `inf`, a NaN as `NaN`, without its sign and payload. What is not
//! known is left empty.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunDir;
use crate::{EpochRecord, Error, Result};

/// The losses and accuracies, in a run directory.
pub const METRICS: &str = "metrics.csv";
/// Where `--inspect` leaves how far the variants' running statistics are apart.
pub const STATISTICS: &str = "statistics.csv";
/// The work of each of several processes.
pub const RANKS: &str = "ranks.csv";

/// Replaces a CSV file of a run, [`METRICS`], [`STATISTICS`] or [`RANKS`], by `rows`, in their order; whole or not at all.
///
/// # Errors
/// If the file cannot be written; the old one then stays.
pub fn write_rows<T: Serialize>(run: &RunDir, name: &str, rows: &[T]) -> Result<()> {
    run.write_atomically(name, |file| file.write_all(to_csv(rows).as_bytes()))
}

/// The text of `metrics.csv`; without records, the header alone.
pub fn metrics_to_csv(records: &[EpochRecord]) -> String {
    if records.is_empty() { header() + "\n" } else { to_csv(records) }
}

/// The records of [`metrics_to_csv`].
///
/// # Errors
/// As [`read_metrics`].
pub fn metrics_from_csv(text: &str) -> Result<Vec<EpochRecord>> {
    parse_metrics(text.as_bytes(), "the saved metrics")
}

/// Reads the `metrics.csv` of a run.
///
/// # Errors
/// If the file cannot be read, its columns are others, or a value does not parse; the message names the line.
pub fn read_metrics(path: &Path) -> Result<Vec<EpochRecord>> {
    parse_metrics(open(path)?, &path.display().to_string())
}

/// Reads what [`write_rows`] wrote; no rows if there is no such file.
///
/// # Errors
/// If the file cannot be read.
pub fn read_rows<T: DeserializeOwned>(run: &RunDir, name: &str) -> Result<Vec<T>> {
    let path = run.path().join(name);
    if !path.exists() {
        return Ok(Vec::new());
    }
    parse(csv::Reader::from_reader(open(&path)?), &path.display().to_string())
}

/// Rows below a header of their fields' names; nothing without rows.
pub(super) fn to_csv<T: Serialize>(rows: &[T]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.serialize(row).expect("memory takes everything"));
    String::from_utf8(writer.into_inner().expect("memory takes everything")).expect("text and digits")
}

/// Of `metrics.csv`.
fn header() -> String {
    to_csv(&[EpochRecord::default()]).lines().next().unwrap_or_default().to_owned()
}

fn parse_metrics(source: impl io::Read, name: &str) -> Result<Vec<EpochRecord>> {
    let mut reader = csv::Reader::from_reader(source);
    let found = reader.headers().map_err(|e| unreadable(format!("cannot read {name}: {e}")))?;
    let (found, expected) = (found.iter().collect::<Vec<_>>().join(","), header());
    if found != expected {
        return Err(unreadable(format!("{name} has the columns {found}, expected {expected}")));
    }
    parse(reader, name)
}

fn parse<T: DeserializeOwned>(mut reader: csv::Reader<impl io::Read>, name: &str) -> Result<Vec<T>> {
    let rows: csv::Result<_> = reader.deserialize().collect();
    rows.map_err(|e| unreadable(format!("cannot read {name}: {e}")))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| unreadable(format!("cannot open {}: {e}", path.display())))
}

fn unreadable(what: String) -> Error {
    Error::failed(what, "name the directory of a run of this program, or its metrics.csv")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RankRecord;
    use crate::report::ranks::tests::rows;
    use crate::report::tests::record;

    fn bits(record: &EpochRecord) -> [u64; 7] {
        [
            record.train_loss,
            record.train_acc,
            record.test_loss,
            record.test_acc,
            record.train_seconds,
            record.epoch_seconds,
            record.examples_per_second,
        ]
        .map(f64::to_bits)
    }

    #[test]
    fn floats_read_back_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        let awkward = [
            0.1 + 0.2,
            1.0 / 3.0,
            f64::from(0.72446_f32),
            f64::from_bits(1), // the smallest subnormal
            f64::MIN_POSITIVE - f64::from_bits(1),
            f64::MAX,
            f64::EPSILON,
            -0.0,
            9_007_199_254_740_993.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let records: Vec<_> = awkward
            .iter()
            .enumerate()
            .map(|(i, &value)| EpochRecord {
                train_loss: value,
                examples_per_second: value,
                peak_memory_bytes: [None, Some(0), Some(u64::MAX)][i % 3],
                ..record("a \"quoted\", name", i + 1)
            })
            .collect();
        write_rows(&run, METRICS, &records).unwrap();
        let read = read_metrics(&run.path().join(METRICS)).unwrap();
        assert_eq!(read.len(), records.len());
        for (read, written) in read.iter().zip(&records) {
            assert_eq!((&read.variant, read.epoch), (&written.variant, written.epoch));
            assert_eq!(read.peak_memory_bytes, written.peak_memory_bytes);
            assert_eq!(bits(read), bits(written));
        }
    }

    #[test]
    fn the_columns_are_the_fields_of_the_record() {
        const COLUMNS: &str = "variant,epoch,train_loss,train_acc,test_loss,test_acc,train_seconds,epoch_seconds,\
                               examples_per_second,peak_memory_bytes\n";
        assert_eq!(metrics_to_csv(&[]), COLUMNS);
        assert!(metrics_to_csv(&[record("scratch", 1)]).starts_with(COLUMNS));
        assert_eq!(metrics_from_csv(COLUMNS).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let message = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_metrics(&path).unwrap_err().to_string()
        };
        assert!(message("variant,epoch\n").contains("train_loss"));
        let header = header();
        let wrong = message(&format!("{header}\nscratch,1,0,0,0,0,0,0,0,\nscratch,2,x,0,0,0,0,0,0,\n"));
        assert!(wrong.contains("metrics.csv") && wrong.contains("line: 3"), "{wrong}");
        let short = message(&format!("{header}\nscratch,1,0,0\n"));
        assert!(short.contains("line: 2"), "{short}");
        std::fs::remove_file(&path).unwrap();
        assert!(read_metrics(&path).unwrap_err().to_string().starts_with("cannot open"));
    }

    #[test]
    fn other_rows_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        assert_eq!(read_rows::<RankRecord>(&run, RANKS).unwrap(), []);
        write_rows(&run, RANKS, &rows()).unwrap();
        assert_eq!(read_rows::<RankRecord>(&run, RANKS).unwrap(), rows());
    }
}
