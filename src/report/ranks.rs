//! The speed of several processes, as a section of the report.

use super::numbers::{grouped, median};
use super::table;
use crate::RankRecord;

/// The report's section on several processes, for `variants` in their order; empty without records.
pub fn render_ranks(variants: &[String], records: &[RankRecord]) -> String {
    let Some(ranks) = records.iter().map(|record| record.rank + 1).max() else { return String::new() };
    let row = |rank: Option<usize>| {
        let speeds = variants.iter().map(move |variant| {
            let of = |record: &&RankRecord| {
                record.variant == *variant && rank.is_none_or(|rank| rank == record.rank)
            };
            let rows: Vec<&RankRecord> = records.iter().filter(of).collect();
            let epochs = rows.iter().map(|row| row.epoch).max().unwrap_or(0);
            let speeds =
                (1..=epochs).filter_map(|epoch| together(rows.iter().filter(|row| row.epoch == epoch)));
            median(speeds).map_or_else(String::new, grouped)
        });
        let name = rank.map_or_else(|| "all".to_owned(), |rank| rank.to_string());
        [name].into_iter().chain(speeds)
    };
    let heads = ["rank"].into_iter().chain(variants.iter().map(String::as_str));
    let speeds = table(1, heads, (0..ranks).map(Some).chain([None]).map(row));
    format!(
        "\n## Processes\n\n{ranks} processes trained together; a step's gradients are the mean of theirs. Training images a \
         second, the median over epochs:\n\n{speeds}{}",
        exchanges(variants, records)
    )
}

/// What exchanging gradients takes, the mean over the ranks as they stood last; empty if no rank knows.
fn exchanges(variants: &[String], records: &[RankRecord]) -> String {
    let row = |variant: &String| {
        let of_variant = || records.iter().filter(|record| record.variant == *variant);
        let last = of_variant().map(|record| record.epoch).max();
        let times: Vec<(f64, f64)> = of_variant()
            .filter(|record| Some(record.epoch) == last)
            .filter_map(|record| record.exchange_seconds.zip(record.hidden_seconds))
            .collect();
        let (exchange, hidden) = times.iter().fold((0.0, 0.0), |sum, time| (sum.0 + time.0, sum.1 + time.1));
        let ms = 1e3 * exchange / times.len() as f64;
        let cells = || [variant.clone(), format!("{ms:.3}"), format!("{:.1}%", 100.0 * hidden / exchange)];
        (exchange > 0.0).then(cells)
    };
    let rows: Vec<_> = variants.iter().filter_map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nExchanging gradients, from the start of a step's first bucket to the end of its last, waiting for slower processes \
         included; hidden is what of it the backward pass still computed:\n\n{}",
        table(1, ["variant", "ms a step", "of it hidden"], rows)
    )
}

/// Images a second of the ranks together; the slowest ends the epoch.
fn together<'a>(rows: impl Iterator<Item = &'a &'a RankRecord>) -> Option<f64> {
    let (mut examples, mut seconds) = (0, 0.0f64);
    for row in rows {
        examples += row.examples;
        seconds = seconds.max(row.train_seconds);
    }
    (examples > 0).then(|| examples as f64 / seconds)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rows() -> Vec<RankRecord> {
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
}
