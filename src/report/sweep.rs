//! What a sweep leaves beside its cells' own directories: `sweep.csv`, and `report.md` with a table over the seeds.

use super::csv::metrics_to_csv;
use super::numbers::{grouped, loss, percent, short};
use super::{CURVES, OverSeeds, table};
use crate::{CellRecord, CellStatus, EpochRecord};

/// Every epoch of every cell, in a sweep's directory.
pub const SWEEP: &str = "sweep.csv";
/// Every cell, and how far it is: a row each of [`CellRecord`].
pub const CELLS: &str = "cells.csv";
/// Final test accuracies as maps.
pub const HEATMAP: &str = "heatmap.png";

/// A cell with the epochs that it has.
#[derive(Clone, Debug)]
pub struct SweepCell {
    /// Which cell it is, and how far.
    pub cell: CellRecord,
    /// Rising epochs.
    pub records: Vec<EpochRecord>,
}

/// A sweep so far.
#[derive(Clone, Copy, Debug)]
pub struct SweepReport<'a> {
    /// What the figures are of, in a line: `3 seeds, 10 epochs`.
    pub setting: &'a str,
    /// What was run, in the order of the table.
    pub facts: &'a [(String, String)],
    /// In the grid's order: those that differ in their seed alone follow each other.
    pub cells: &'a [SweepCell],
}

/// The cells that differ in their seed alone.
pub(super) type Seeds<'a> = &'a [SweepCell];

/// How many of them have this status.
pub(super) fn count(seeds: Seeds, status: CellStatus) -> usize {
    seeds.iter().filter(|seed| seed.cell.status == status).count()
}

/// A value of the last epoch, over the seeds that have all epochs.
pub(super) fn at_the_end(seeds: Seeds, value: fn(&EpochRecord) -> f64) -> Option<OverSeeds> {
    let finished = seeds.iter().filter(|seed| seed.cell.status == CellStatus::Finished);
    OverSeeds::of(finished.filter_map(|seed| seed.records.last()).map(value))
}

impl<'a> SweepReport<'a> {
    /// The cells, a slice for each recipe, variant, learning rate and batch size.
    pub(super) fn by_seeds(&self) -> impl Iterator<Item = Seeds<'a>> {
        self.cells.chunk_by(|a, b| all_but_seed(&a.cell) == all_but_seed(&b.cell))
    }

    /// `sweep.csv`: a row a cell and epoch.
    pub fn to_csv(&self) -> String {
        // Without the variant, which is among the cell's own columns.
        let columns = |line: &str| line.split_once(',').map_or("", |(_, rest)| rest).to_owned();
        let mut out =
            format!("recipe,variant,lr,batch_size,seed,{}\n", columns(metrics_to_csv(&[]).trim_end()));
        for SweepCell { cell, records } in self.cells {
            let CellRecord { recipe, variant, lr, batch_size, seed, .. } = cell;
            for line in metrics_to_csv(records).lines().skip(1) {
                out += &format!("{recipe},{variant},{lr:?},{batch_size},{seed},{}\n", columns(line));
            }
        }
        out
    }

    /// `report.md`, in GitHub's Markdown. `pictures` says whether there are any.
    pub fn render(&self, pictures: bool) -> String {
        let open = count(self.cells, CellStatus::Open);
        let remark = match open {
            0 => String::new(),
            open => format!("> **{} of {} cells are open.**\n\n", grouped_count(open), self.cells.len()),
        };
        let pictures = match pictures {
            true => format!(
                "![Test accuracy over epochs]({CURVES})\n\n![Test accuracy after the last epoch]({HEATMAP})\n\n"
            ),
            false => "The grid is too large for pictures.\n\n".to_owned(),
        };
        format!(
            "# A sweep of {} cells\n\n{remark}{pictures}## What was run\n\n{}\n\
             ## After the last epoch\n\nMean (least to greatest) over the seeds that have all epochs. The training loss is the mean \
             of the last epoch, in nats per example. `{SWEEP}` has every epoch with all digits, `{CELLS}` the state of every cell, \
             and `cells/` the run directory of each.\n\n{}{}",
            grouped_count(self.cells.len()),
            table(2, ["setting", "value"], self.facts.iter().cloned().map(<[String; 2]>::from)),
            self.over_seeds(),
            self.diverged(),
        )
    }

    /// A row for each recipe, variant, learning rate and batch size.
    fn over_seeds(&self) -> String {
        let heads = [
            "recipe",
            "variant",
            "learning rate",
            "batch size",
            "test accuracy",
            "training loss",
            "finished",
            "diverged",
        ];
        let written = |values: Option<OverSeeds>, write: fn(f64) -> String| {
            values.map_or_else(String::new, |values| values.written(write))
        };
        let rows = self.by_seeds().map(|seeds| {
            let CellRecord { recipe, variant, lr, batch_size, .. } = &seeds[0].cell;
            [
                recipe.clone(),
                variant.clone(),
                short(*lr),
                batch_size.to_string(),
                written(at_the_end(seeds, |record| record.test_acc), percent),
                written(at_the_end(seeds, |record| record.train_loss), loss),
                format!("{} of {}", count(seeds, CellStatus::Finished), seeds.len()),
                count(seeds, CellStatus::Diverged).to_string(),
            ]
        });
        table(2, heads, rows)
    }

    /// A section on the cells that diverged, if any.
    fn diverged(&self) -> String {
        let diverged: Vec<_> = self
            .cells
            .iter()
            .map(|cell| &cell.cell)
            .filter(|cell| cell.status == CellStatus::Diverged)
            .collect();
        if diverged.is_empty() {
            return String::new();
        }
        let heads = ["recipe", "variant", "learning rate", "batch size", "seed", "epoch"];
        let rows = diverged.iter().map(|cell| {
            let CellRecord { recipe, variant, lr, batch_size, seed, epochs, .. } = cell;
            let numbers = [batch_size.to_string(), seed.to_string(), epochs.to_string()];
            [recipe.clone(), variant.clone(), short(*lr)].into_iter().chain(numbers).collect::<Vec<_>>()
        });
        format!(
            "\n## Diverged\n\nThe training loss of these cells became infinite or NaN in the epoch that is named.\n\n{}",
            table(2, heads, rows)
        )
    }
}

fn all_but_seed(cell: &CellRecord) -> (&str, &str, f64, usize) {
    (&cell.recipe, &cell.variant, cell.lr, cell.batch_size)
}

fn grouped_count(count: usize) -> String {
    grouped(count as f64).trim_end_matches(".0").to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::tests::{cells as rows_below, record};

    /// A grid of one recipe, with two seeds and two epochs. The second seed of the largest learning rate of each `scratch` diverged.
    pub fn grid(variants: &[&str], lrs: &[f64], batch_sizes: &[usize]) -> Vec<SweepCell> {
        let mut cells = Vec::new();
        for (i, &variant) in variants.iter().enumerate() {
            for (j, &lr) in lrs.iter().enumerate() {
                for (k, &batch_size) in batch_sizes.iter().enumerate() {
                    cells.extend((0..2).map(|seed| {
                        let diverged = variant == "scratch" && j + 1 == lrs.len() && seed == 1;
                        let mut records = vec![record(variant, 1), record(variant, 2)];
                        for record in &mut records {
                            record.test_acc -= 0.02 * (i + j + 2 * k) as f64 + 0.01 * seed as f64;
                        }
                        records[1].train_loss = if diverged { f64::NAN } else { records[1].train_loss };
                        let status = if diverged { CellStatus::Diverged } else { CellStatus::Finished };
                        let (recipe, variant) = ("book".to_owned(), variant.to_owned());
                        let cell = CellRecord { recipe, variant, lr, batch_size, seed, status, epochs: 2 };
                        SweepCell { cell, records }
                    }));
                }
            }
        }
        cells
    }

    pub fn report(cells: &[SweepCell]) -> SweepReport<'_> {
        SweepReport { setting: "2 seeds", facts: &[], cells }
    }

    #[test]
    fn seeds_are_summed_up_and_diverged_ones_are_named() {
        let cells = grid(&["none", "scratch"], &[0.1, 1.0], &[64]);
        let text = report(&cells).render(true);
        let rows = rows_below(&text, "## After the last epoch");
        assert_eq!(rows.len(), 1 + 4, "a row for all seeds: {text}");
        let accuracy = 0.93 - 0.4 / 3.0;
        let expected =
            format!("{} ({} to {})", percent(accuracy - 0.005), percent(accuracy - 0.01), percent(accuracy));
        assert_eq!(rows[1][4], expected);
        assert_eq!(rows[4][4], percent(accuracy - 0.04), "the seed that is left");
        assert_eq!(rows[4][6..], ["1 of 2", "1"]);
        let diverged = rows_below(&text, "## Diverged");
        assert_eq!(diverged[1..], [["book", "scratch", "1", "64", "1", "2"].map(str::to_owned)]);
        assert!(!text.contains("open"), "{text}");
        let mut open = cells.clone();
        open[0].cell.status = CellStatus::Open;
        assert!(report(&open).render(true).contains("1 of 8 cells are open"));
    }

    #[test]
    fn every_epoch_of_every_cell_is_a_row() {
        let cells = grid(&["none", "scratch"], &[0.1, 1.0], &[64]);
        let csv = report(&cells).to_csv();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let heads = reader.headers().unwrap().clone();
        assert_eq!(
            heads.iter().take(7).collect::<Vec<_>>().join(" "),
            "recipe variant lr batch_size seed epoch train_loss"
        );
        assert_eq!(reader.records().filter(Result::is_ok).count(), 16);
        assert!(csv.contains("\nbook,scratch,1.0,64,1,2,NaN,"), "{csv}");
    }
}
