//! The times of a benchmark: how long something took here, and how long others took.

use super::numbers::median;

/// One thing that was measured, round by round.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What kind of thing: `Training step`. Measurements of a kind stand together.
    pub section: String,
    /// Which one: `book, native`.
    pub name: String,
    /// How long it took here.
    pub here: Times,
    /// How long it took others, by their names, measured in the same rounds.
    pub others: Vec<(String, Times)>,
    /// How many items one of them is made of, and what those are: 60,000 `images`; none where nobody counts.
    pub items: Option<(usize, String)>,
}

/// Seconds, one for each round, the same number for all that is compared. There is one at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Times(Vec<f64>);

impl Times {
    /// Seconds of each round; `None` of no round.
    pub fn new(seconds: Vec<f64>) -> Option<Self> {
        (!seconds.is_empty()).then_some(Self(seconds))
    }

    /// Seconds, round by round.
    pub fn rounds(&self) -> &[f64] {
        &self.0
    }

    /// The median of the rounds, in seconds.
    pub fn median(&self) -> f64 {
        middle(self.0.iter().copied())
    }

    /// How many times as long these took as `here`, which was measured in the same rounds: the median of the rounds' ratios, and
    /// the least and the greatest of them.
    pub fn over(&self, here: &Self) -> Ratio {
        let ratios = || self.0.iter().zip(&here.0).map(|(these, here)| these / here);
        Ratio {
            median: middle(ratios()),
            least: ratios().fold(f64::INFINITY, f64::min),
            greatest: ratios().fold(0.0, f64::max),
        }
    }
}

/// How many times as long something took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Half of the rounds lie above.
    pub median: f64,
    /// Of the rounds.
    pub least: f64,
    /// Of the rounds.
    pub greatest: f64,
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    median(values).expect("there is one round at least")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two rounds here, and two elsewhere that took two and four times as long.
    pub(crate) fn measurement(section: &str, name: &str) -> Measurement {
        Measurement {
            section: section.to_owned(),
            name: name.to_owned(),
            here: Times(vec![1.0, 2.0]),
            others: vec![("a plain loop".to_owned(), Times(vec![2.0, 8.0]))],
            items: Some((60_000, "images".to_owned())),
        }
    }

    #[test]
    fn ratios_are_of_the_same_rounds() {
        let Measurement { here, others, .. } = measurement("", "");
        assert_eq!(others[0].1.over(&here), Ratio { median: 3.0, least: 2.0, greatest: 4.0 });
        assert_eq!(here.median(), 1.5);
        assert_eq!(Times::new(vec![]), None);
    }
}
