//! `metrics.csv`, one row an epoch and variant, and `statistics.csv`, one an epoch and layer; floats read back to
//! the same bits.

use std::fs::File;
use std::io;
use std::path::Path;

use super::RunDir;
use crate::{EpochRecord, Error, Result, StatisticsRecord};

/// The file's name in a run directory.
pub const METRICS: &str = "metrics.csv";
/// Where `--inspect` leaves the running statistics side by side.
pub const STATISTICS: &str = "statistics.csv";

/// The columns, which are the fields of [`EpochRecord`] in their order.
const COLUMNS: [&str; 10] = [
    "variant",
    "epoch",
    "train_loss",
    "train_acc",
    "test_loss",
    "test_acc",
    "train_seconds",
    "epoch_seconds",
    "examples_per_second",
    "peak_memory_bytes",
];

/// Replaces `metrics.csv` of a run by `records`, in their order; whole or not at all.
///
/// A float is written with the fewest digits that name it, so that reading gives the same bits (in pandas with
/// `float_precision="round_trip"`); infinities as `inf`, a NaN as `NaN`, without its sign and payload. What is not
/// known is left empty.
///
/// # Errors
/// If the file cannot be written; the old one then stays.
pub fn write_metrics(run: &RunDir, records: &[EpochRecord]) -> Result<()> {
    run.write_atomically(METRICS, |file| write(file, records))
}

/// What [`write_metrics`] writes, as text.
pub fn metrics_to_csv(records: &[EpochRecord]) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes, records).expect("memory takes everything");
    String::from_utf8(bytes).expect("variants are UTF-8, and numbers ASCII")
}

/// The records of [`metrics_to_csv`].
///
/// # Errors
/// As [`read_metrics`].
pub fn metrics_from_csv(text: &str) -> Result<Vec<EpochRecord>> {
    parse(text.as_bytes(), "the saved metrics")
}

fn write(sink: impl io::Write, records: &[EpochRecord]) -> io::Result<()> {
    // The header is written by hand so that a file without rows has one too.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(sink);
    writer.write_record(COLUMNS)?;
    for record in records {
        writer.serialize(record)?;
    }
    writer.flush()
}

/// Replaces `statistics.csv` of a run by `records`, whose fields are its columns.
pub fn write_statistics(run: &RunDir, records: &[StatisticsRecord]) -> Result<()> {
    run.write_atomically(STATISTICS, |file| {
        let mut writer = csv::Writer::from_writer(file);
        for record in records {
            writer.serialize(record)?;
        }
        writer.flush()
    })
}

/// Reads a `metrics.csv` that [`write_metrics`] wrote.
///
/// # Errors
/// If the file cannot be read, its columns are others, or a value does not parse; the message names the line.
pub fn read_metrics(path: &Path) -> Result<Vec<EpochRecord>> {
    let file = File::open(path).map_err(|e| unreadable(format!("cannot open {}: {e}", path.display())))?;
    parse(file, &path.display().to_string())
}

fn parse(source: impl io::Read, name: &str) -> Result<Vec<EpochRecord>> {
    let mut reader = csv::Reader::from_reader(source);
    let header = reader.headers().map_err(|e| unreadable(format!("cannot read {name}: {e}")))?;
    if header != COLUMNS[..] {
        return Err(unreadable(format!(
            "{name} has the columns {:?}, expected {COLUMNS:?}",
            header.iter().collect::<Vec<_>>(),
        )));
    }
    reader
        .deserialize()
        .collect::<std::result::Result<_, csv::Error>>()
        .map_err(|e| unreadable(format!("cannot read {name}: {e}")))
}

/// Reads the rows of a run's `statistics.csv`; none if there is no such file.
///
/// # Errors
/// If the file cannot be read.
pub fn read_statistics(run: &RunDir) -> Result<Vec<StatisticsRecord>> {
    let path = run.path().join(STATISTICS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows = csv::Reader::from_path(&path).and_then(|mut reader| reader.deserialize().collect());
    rows.map_err(|e| unreadable(format!("cannot read {}: {e}", path.display())))
}

fn unreadable(what: String) -> Error {
    Error::failed(what, "name the metrics.csv of a run of this program")
}

#[cfg(test)]
mod tests {
    use super::*;
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
        write_metrics(&run, &records).unwrap();
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
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(record("scratch", 1)).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), COLUMNS.join(","));

        let mut empty = Vec::new();
        write(&mut empty, &[]).unwrap();
        assert_eq!(String::from_utf8(empty).unwrap().trim_end(), COLUMNS.join(","));
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
        let header = COLUMNS.join(",");
        let wrong = message(&format!("{header}\nscratch,1,0,0,0,0,0,0,0,\nscratch,2,x,0,0,0,0,0,0,\n"));
        assert!(wrong.contains("metrics.csv") && wrong.contains("line: 3"), "{wrong}");
        let short = message(&format!("{header}\nscratch,1,0,0\n"));
        assert!(short.contains("line: 2"), "{short}");
        std::fs::remove_file(&path).unwrap();
        assert!(read_metrics(&path).unwrap_err().to_string().starts_with("cannot open"));
    }
}
