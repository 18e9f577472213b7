//! What a claim measures: quantities over an axis, a curve for each subject, over the seeds. Its table and its picture are made of these.

use super::numbers::significant;
use crate::Figure;

/// Something that a claim measures: a panel of its picture, and a table.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// `gradient norm`.
    pub name: &'static str,
    /// What the horizontal axis names: `layer`, `epoch`, `batch size`.
    pub over: &'static str,
    /// Whether its values span orders of magnitude.
    pub log: bool,
}

/// Mean, least and greatest value over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverSeeds {
    /// Of all values.
    pub mean: f64,
    /// The least of them.
    pub least: f64,
    /// The greatest of them.
    pub greatest: f64,
}

impl OverSeeds {
    /// `None` of no value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let [least, greatest] = [f64::min, f64::max].map(|pick| values.iter().copied().reduce(pick));
        Some(Self { mean, least: least?, greatest: greatest? })
    }

    /// `2.5 (2 to 3)`, or `2` where all values are the same.
    pub fn written(&self, write: fn(f64) -> String) -> String {
        if self.least == self.greatest {
            return write(self.mean);
        }
        format!("{} ({})", write(self.mean), self.range(write))
    }

    /// `2 to 3`, or `2` where all values are the same.
    pub fn range(&self, write: fn(f64) -> String) -> String {
        if self.least == self.greatest {
            return write(self.least);
        }
        format!("{} to {}", write(self.least), write(self.greatest))
    }
}

/// The figures of a quantity in order: what is measured of each subject at each place of the axis.
#[derive(Clone, Debug)]
pub struct Grouped<'a> {
    /// Where on the axis, in the order in which the figures name them; numbers rise.
    pub places: Vec<&'a str>,
    /// In the order in which the figures name them.
    pub subjects: Vec<Subject<'a>>,
    /// Whether the axis is one of numbers, which curves join.
    pub numeric: bool,
}

/// A curve of a quantity.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// `native`.
    pub name: &'a str,
    /// The values of all seeds, at each place.
    pub values: Vec<Vec<f64>>,
}

impl<'a> Grouped<'a> {
    /// Those of `figures` that are of this quantity.
    pub fn new(quantity: &Quantity, figures: &'a [Figure]) -> Self {
        let figures = || figures.iter().filter(|figure| figure.quantity == quantity.name);
        let mut places = distinct(figures().map(|figure| &*figure.at));
        let number = |place: &&str| place.parse().unwrap_or(f64::NAN);
        let numeric = places.iter().all(|place| !number(place).is_nan());
        if numeric {
            places.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        let subjects = distinct(figures().map(|figure| &*figure.subject)).into_iter().map(|name| {
            let at = |place: &&str| {
                let there = figures().filter(|figure| figure.subject == name && figure.at == *place);
                there.map(|figure| figure.value).collect()
            };
            Subject { name, values: places.iter().map(at).collect() }
        });
        Self { subjects: subjects.collect(), places, numeric }
    }

    /// Rows of a table: a place, and for each subject its mean (least to greatest). Seeds without a finite value are counted.
    pub fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let cell = |values: &Vec<f64>| {
            let finite = || values.iter().copied().filter(|value| value.is_finite());
            let written = OverSeeds::of(finite()).map(|over| over.written(|value| significant(value, 4)));
            match (written, values.len() - finite().count()) {
                (None, 0) => String::new(),
                (None, _) => "none".to_owned(),
                (Some(written), 0) => written,
                (Some(written), without) => format!("{written}; {without} of {} without", values.len()),
            }
        };
        self.places.iter().enumerate().map(move |(i, &place)| {
            let cells = self.subjects.iter().map(|subject| cell(&subject.values[i]));
            [place.to_owned()].into_iter().chain(cells).collect()
        })
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.fold(Vec::new(), |mut all, name| {
        if !all.contains(&name) {
            all.push(name);
        }
        all
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const LOSS: Quantity = Quantity { name: "loss", over: "batch size", log: true };

    pub fn figure(subject: &str, at: &str, seed: u64, value: f64) -> Figure {
        let [quantity, subject, at] = ["loss", subject, at].map(str::to_owned);
        Figure { quantity, subject, at, seed, value }
    }

    #[test]
    fn numbers_rise_and_names_stay() {
        let figures =
            [figure("b", "10", 0, 1.0), figure("a", "9", 0, 2.5), figure("b", "10", 1, f64::INFINITY)];
        let grouped = Grouped::new(&LOSS, &figures);
        assert!(grouped.numeric);
        let rows: Vec<_> = grouped.rows().collect();
        assert_eq!(rows, [["9", "", "2.500"], ["10", "1; 1 of 2 without", ""]]);
        let named = [figure("a", "conv2", 0, 1.0), figure("a", "conv1", 0, f64::NAN)];
        let grouped = Grouped::new(&LOSS, &named);
        assert_eq!((grouped.places.clone(), grouped.numeric), (vec!["conv2", "conv1"], false));
        assert_eq!(grouped.rows().last().unwrap(), ["conv1", "none"]);
        let other = Quantity { name: "accuracy", ..LOSS };
        assert_eq!(Grouped::new(&other, &named).rows().count(), 0);
    }
}
