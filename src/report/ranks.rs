//! Several processes: `ranks.csv`, one row an epoch, variant and rank, and their speed in the report.

use super::numbers::{grouped, median};
use super::{RunDir, Side, Table};
use crate::{Error, RankRecord, Result};

/// The file's name in a run directory.
const RANKS: &str = "ranks.csv";

/// Replaces a run's `ranks.csv` by `records`, whose fields are its columns.
///
/// # Errors
/// If it cannot be written; the old one then stays.
pub fn write_ranks(run: &RunDir, records: &[RankRecord]) -> Result<()> {
    run.write_atomically(RANKS, |file| {
        let mut writer = csv::Writer::from_writer(file);
        for record in records {
            writer.serialize(record)?;
        }
        writer.flush()
    })
}

/// Reads the rows of a run's `ranks.csv`; none if there is no such file.
///
/// # Errors
/// If the file cannot be read.
pub fn read_ranks(run: &RunDir) -> Result<Vec<RankRecord>> {
    let path = run.path().join(RANKS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows = csv::Reader::from_path(&path).and_then(|mut reader| reader.deserialize().collect());
    rows.map_err(|e| {
        Error::failed(
            format!("cannot read {}: {e}", path.display()),
            "name the directory of a run of this program",
        )
    })
}

/// The report's section on them, for `variants` in their order; empty without records.
pub fn render_ranks(variants: &[String], records: &[RankRecord]) -> String {
    let Some(ranks) = records.iter().map(|record| record.rank + 1).max() else { return String::new() };
    let heads = variants.iter().map(|variant| (variant.as_str(), Side::Right));
    let mut table = Table::new([("rank", Side::Left)].into_iter().chain(heads));
    let mut row = |name: String, wanted: &dyn Fn(&RankRecord) -> bool| {
        let speeds = variants.iter().map(|variant| {
            let of = |record: &&RankRecord| record.variant == *variant && wanted(record);
            let rows: Vec<&RankRecord> = records.iter().filter(of).collect();
            let epochs = rows.iter().map(|row| row.epoch).max().unwrap_or(0);
            let speeds =
                (1..=epochs).filter_map(|epoch| together(rows.iter().filter(|row| row.epoch == epoch)));
            median(speeds).map_or_else(String::new, grouped)
        });
        table.row([name].into_iter().chain(speeds));
    };
    for rank in 0..ranks {
        row(rank.to_string(), &|record| record.rank == rank);
    }
    row("all".to_owned(), &|_| true);
    format!(
        "\n## Processes\n\n{ranks} processes trained together; a step's gradients are the mean of theirs. Training images a \
         second, the median over epochs:\n\n{table}{}",
        exchanges(variants, records)
    )
}

/// What exchanging gradients takes, the mean over the ranks as they stood last; empty if no rank knows.
fn exchanges(variants: &[String], records: &[RankRecord]) -> String {
    let heads = [("variant", Side::Left), ("ms a step", Side::Right), ("of it hidden", Side::Right)];
    let (mut table, mut known) = (Table::new(heads), false);
    for variant in variants {
        let of_variant = || records.iter().filter(|record| record.variant == *variant);
        let last = of_variant().map(|record| record.epoch).max();
        let times: Vec<(f64, f64)> = of_variant()
            .filter(|record| Some(record.epoch) == last)
            .filter_map(|record| record.exchange_seconds.zip(record.hidden_seconds))
            .collect();
        let sum = |of: fn(&(f64, f64)) -> f64| times.iter().map(of).sum::<f64>();
        let (exchange, hidden) = (sum(|times| times.0), sum(|times| times.1));
        if exchange > 0.0 {
            known = true;
            let ms = 1e3 * exchange / times.len() as f64;
            table.row([variant.clone(), format!("{ms:.3}"), format!("{:.1}%", 100.0 * hidden / exchange)]);
        }
    }
    if !known {
        return String::new();
    }
    format!(
        "\nExchanging gradients, from the start of a step's first bucket to the end of its last, waiting for slower processes \
         included; hidden is what of it the backward pass still computed:\n\n{table}"
    )
}

/// Images a second of the ranks together, which end an epoch when the slowest does.
fn together<'a>(rows: impl Iterator<Item = &'a &'a RankRecord>) -> Option<f64> {
    let (mut examples, mut seconds) = (0, 0.0f64);
    for row in rows {
        examples += row.examples;
        seconds = seconds.max(row.train_seconds);
    }
    (examples > 0).then(|| examples as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<RankRecord> {
        let row = |epoch, rank, examples, train_seconds| RankRecord {
            variant: "scratch".to_owned(),
            epoch,
            rank,
            examples,
            train_seconds,
            examples_per_second: examples as f64 / train_seconds,
            exchange_seconds: Some(train_seconds / 10.0),
            hidden_seconds: Some(train_seconds / 40.0),
        };
        vec![row(1, 0, 100, 0.1), row(1, 1, 90, 0.2)]
    }

    #[test]
    fn a_section_has_every_rank_and_all_together() {
        let text = render_ranks(&["scratch".to_owned()], &rows());
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(
            table,
            [
                "| rank | scratch |",
                "| ---- | ------: |",
                "| 0    |   1,000 |",
                "| 1    |   450.0 |",
                "| all  |   950.0 |",
                "| variant | ms a step | of it hidden |",
                "| ------- | --------: | -----------: |",
                "| scratch |    15.000 |        25.0% |"
            ]
        );
        let unknown =
            rows().into_iter().map(|row| RankRecord { exchange_seconds: None, ..row }).collect::<Vec<_>>();
        assert!(!render_ranks(&["scratch".to_owned()], &unknown).contains("hidden"));
        assert!(text.contains("2 processes"), "{text}");
        assert_eq!(render_ranks(&["scratch".to_owned()], &[]), "");
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        assert_eq!(read_ranks(&run).unwrap(), []);
        write_ranks(&run, &rows()).unwrap();
        assert_eq!(read_ranks(&run).unwrap(), rows());
    }
}
