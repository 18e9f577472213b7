//! The parts that the claims' rules are made of. A rule looks at one number of each seed, and wants the same of all of them.

use super::{Figure, Quantity, Verdict, of, seeds};

/// The figures of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    figures: &'a [Figure],
    seed: u64,
}

impl Run<'_> {
    /// The figure of a quantity and subject at a place; NaN if there is none, which no rule takes.
    pub fn at(&self, quantity: &Quantity, subject: &str, at: &str) -> f64 {
        let mut figures = self.figures(quantity, subject).filter(|figure| figure.at == at);
        figures.next().map_or(f64::NAN, |figure| figure.value)
    }

    /// The least and the greatest figure of a quantity and subject; NaN if there is none.
    pub fn range(&self, quantity: &Quantity, subject: &str) -> (f64, f64) {
        let values = || self.figures(quantity, subject).map(|figure| figure.value);
        (values().fold(f64::NAN, f64::min), values().fold(f64::NAN, f64::max))
    }

    fn figures(&self, quantity: &Quantity, subject: &str) -> impl Iterator<Item = &Figure> {
        of(self.figures, quantity, subject).filter(|figure| figure.seed == self.seed)
    }
}

/// A number of every seed.
pub fn of_seeds(figures: &[Figure], number: impl Fn(Run) -> f64) -> Vec<f64> {
    seeds(figures).map(|seed| number(Run { figures, seed })).collect()
}

/// The one over the other, seed by seed.
pub fn ratios(numbers: &[f64], others: &[f64]) -> Vec<f64> {
    numbers.iter().zip(others).map(|(number, other)| number / other).collect()
}

/// Holds if the numbers of all seeds are `holds` or more, does not if all are `fails` or less.
pub fn at_least(holds: f64, fails: f64, numbers: &[f64]) -> Verdict {
    Verdict::unanimous(numbers.iter().map(|&number| Verdict::of(number >= holds, number <= fails)))
}

/// Holds if all numbers are `holds` or less, does not if all are `fails` or more.
pub fn at_most(holds: f64, fails: f64, numbers: &[f64]) -> Verdict {
    at_least(-holds, -fails, &numbers.iter().map(|number| -number).collect::<Vec<_>>())
}

/// Holds if every part does, does not if one does not.
pub fn every<const N: usize>(parts: [Verdict; N]) -> Verdict {
    match () {
        () if parts.contains(&Verdict::DoesNotHold) => Verdict::DoesNotHold,
        () if parts.contains(&Verdict::Undecided) => Verdict::Undecided,
        () => Verdict::Holds,
    }
}

/// Holds if one part does, does not if none does.
pub fn any<const N: usize>(parts: [Verdict; N]) -> Verdict {
    match () {
        () if parts.contains(&Verdict::Holds) => Verdict::Holds,
        () if parts.contains(&Verdict::Undecided) => Verdict::Undecided,
        () => Verdict::DoesNotHold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{DoesNotHold, Holds, Undecided};

    #[test]
    fn a_rule_wants_the_same_of_every_seed() {
        assert_eq!(at_least(10.0, 2.0, &[10.0, 30.0]), Holds);
        assert_eq!(at_least(10.0, 2.0, &[2.0, 1.0]), DoesNotHold);
        for undecided in [&[9.0, 30.0][..], &[1.0, 3.0], &[1.0, 30.0], &[30.0, f64::NAN], &[]] {
            assert_eq!(at_least(10.0, 2.0, undecided), Undecided, "{undecided:?}");
        }
        assert_eq!(at_most(0.1, 0.5, &[0.1, 0.0]), Holds);
        assert_eq!(at_most(0.1, 0.5, &[0.5, 1.0]), DoesNotHold);
        assert_eq!(at_most(0.1, 0.5, &[0.2]), Undecided);
    }

    #[test]
    fn parts_join() {
        assert_eq!([every([Holds, Holds]), any([DoesNotHold, DoesNotHold])], [Holds, DoesNotHold]);
        assert_eq!([every([Holds, Undecided]), any([Undecided, DoesNotHold])], [Undecided; 2]);
        assert_eq!([every([DoesNotHold, Undecided]), any([Undecided, Holds])], [DoesNotHold, Holds]);
    }

    #[test]
    fn a_figure_is_that_of_its_seed_quantity_subject_and_place() {
        let [norm, share] = ["norm", "share"].map(|name| Quantity { name, over: "layer", log: false });
        let figures = [
            Figure::new(&norm, "none", 1, 0, 1.0),
            Figure::new(&norm, "none", 2, 0, 2.0),
            Figure::new(&norm, "native", 1, 0, 3.0),
            Figure::new(&share, "none", 1, 0, 4.0),
            Figure::new(&norm, "none", 1, 7, 5.0),
        ];
        assert_eq!(of_seeds(&figures, |run| run.at(&norm, "none", "1")), [1.0, 5.0]);
        assert_eq!(of_seeds(&figures, |run| run.range(&norm, "none").0), [1.0, 5.0]);
        assert_eq!(of_seeds(&figures, |run| run.range(&norm, "none").1), [2.0, 5.0]);
        assert!(of_seeds(&figures, |run| run.at(&norm, "none", "2"))[1].is_nan());
    }
}
