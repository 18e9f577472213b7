//! A benchmark's measurements, and what is written of them: lines for the terminal, tables for `report.md`, rows for `bench.csv`.

use std::fmt;

use serde::Serialize;

use super::csv::to_csv;
use super::numbers::{grouped, median};
use super::table;

/// The picture of a benchmark, in its run directory.
pub const BENCH: &str = "bench.png";
/// This program's name in a benchmark.
pub const HERE: &str = "this program";

/// One thing that was measured, round by round.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What kind of thing: `Training step`. Measurements of a kind stand together.
    pub section: &'static str,
    /// Which one: `book, native`.
    pub name: String,
    /// Seconds of each round by the name of what took them: first [`HERE`], then others in the same rounds. There is one round at
    /// least.
    pub times: Vec<(String, Vec<f64>)>,
    /// How many images one of it takes, where images are counted.
    pub images: Option<usize>,
}

/// The rounds in three figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the rounds lie above.
    pub median: f64,
    /// Of the rounds.
    pub least: f64,
    /// Of the rounds.
    pub greatest: f64,
}

impl Spread {
    /// Of one value for each round.
    fn of(rounds: impl Iterator<Item = f64> + Clone) -> Self {
        Self {
            median: median(rounds.clone()).expect("there is one round at least"),
            least: rounds.clone().fold(f64::INFINITY, f64::min),
            greatest: rounds.fold(0.0, f64::max),
        }
    }

    /// `2.00 (1.50 to 4.00)`.
    fn text(self, write: impl Fn(f64) -> String) -> String {
        format!("{} ({} to {})", write(self.median), write(self.least), write(self.greatest))
    }
}

impl Measurement {
    /// Everyone's name, seconds, and how many times as long as this program it took, which is itself the first: figures of the rounds.
    pub fn figures(&self) -> impl Iterator<Item = (&str, Spread, Spread)> {
        let (_, here) = &self.times[0];
        self.times.iter().map(move |(who, seconds)| {
            let ratios = seconds.iter().zip(here).map(|(theirs, here)| theirs / here);
            (who.as_str(), Spread::of(seconds.iter().copied()), Spread::of(ratios))
        })
    }

    /// The rows of the report's table.
    fn rows(&self) -> impl Iterator<Item = [String; 5]> {
        self.figures().enumerate().map(|(i, (who, seconds, ratio))| {
            let speed = self.images.map(|images| grouped(images as f64 / seconds.median));
            let (name, ratio) = match i {
                0 => (self.name.clone(), String::new()),
                _ => (String::new(), ratio.text(|ratio| format!("{ratio:.2}"))),
            };
            [name, who.to_owned(), seconds.text(duration), speed.unwrap_or_default(), ratio]
        })
    }
}

/// A line for this program, and one for each of the others.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}  ", self.section, self.name)?;
        for (i, (who, seconds, Spread { median, least, greatest })) in self.figures().enumerate() {
            let took = duration(seconds.median);
            match i {
                0 => write!(f, "{took}")?,
                _ => {
                    write!(f, "\n    {who}: {took}, {median:.2} times as long ({least:.2} to {greatest:.2})")?
                }
            }
        }
        Ok(())
    }
}

/// `report.md`: the facts of the run and the machine, and a table for each section.
pub fn render_bench(facts: &[(String, String)], measurements: &[Measurement], remarks: &[String]) -> String {
    let facts = table(2, ["", ""], facts.iter().cloned().map(<[String; 2]>::from));
    let heads = ["what", "who", "time", "images/s", "times as long"];
    let sections = measurements.chunk_by(|a, b| a.section == b.section);
    let sections: String = sections
        .map(|section| {
            format!(
                "\n## {}\n\n{}",
                section[0].section,
                table(2, heads, section.iter().flat_map(Measurement::rows))
            )
        })
        .collect();
    let mut report = format!(
        "# Benchmark\n\n{facts}\n![How many times as long others take]({BENCH})\n{sections}\n\
         Every figure is the median of the rounds, in which all took turns, in brackets the least and the greatest; what is \
         quicker than a tenth of a second is repeated within a round. \"Times as long\" is the median of the rounds' ratios.\n"
    );
    remarks.iter().for_each(|remark| report += &format!("\n- {remark}"));
    if !remarks.is_empty() {
        report.push('\n');
    }
    report
}

/// A row of `bench.csv`; the seconds with all their digits.
#[derive(Serialize)]
struct Round<'a> {
    section: &'a str,
    name: &'a str,
    who: &'a str,
    round: usize,
    seconds: String,
}

/// `bench.csv`: a row for every round of everyone.
pub fn bench_to_csv(measurements: &[Measurement]) -> String {
    let mut rows = Vec::new();
    for Measurement { section, name, times, .. } in measurements {
        for (who, times) in times {
            rows.extend((1..).zip(times).map(|(round, seconds)| {
                let seconds = seconds.to_string();
                Round { section, name, who, round, seconds }
            }));
        }
    }
    to_csv(&rows)
}

/// Seconds in the unit that they are read in, with three digits: `12.3 ms`.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "us"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two rounds here, and two elsewhere that took two and four times as long.
    pub fn measurement(section: &'static str, name: &str) -> Measurement {
        let times = [(HERE, vec![1.0, 2.0]), ("a plain loop", vec![2.0, 8.0])];
        let times = times.map(|(who, times)| (who.to_owned(), times)).into();
        Measurement { section, name: name.to_owned(), times, images: Some(60_000) }
    }

    #[test]
    fn ratios_are_of_the_same_rounds() {
        let all = measurement("", "");
        let [(_, here, _), (who, _, ratio)] = all.figures().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((who, ratio), ("a plain loop", Spread { median: 3.0, least: 2.0, greatest: 4.0 }));
        assert_eq!(here.median, 1.5);
    }

    #[test]
    fn durations_have_three_digits_and_their_unit() {
        assert_eq!([2.5e-6, 0.0123, 0.4567, 61.28].map(duration), ["2.50 us", "12.3 ms", "457 ms", "61.3 s"]);
    }

    #[test]
    fn a_report_has_a_table_for_each_section() {
        let all = [measurement("Step", "book"), measurement("Step", "adamw"), measurement("Data", "all")];
        let report = render_bench(&[("rounds".into(), "2".into())], &all, &["a remark".into()]);
        assert_eq!(report.matches("\n## ").count(), 2);
        assert_eq!(report.matches("3.00 (2.00 to 4.00)").count(), 3);
        // 60,000 images in the median 1.5 s.
        assert!(report.contains("40,000") && report.contains("\n- a remark\n"), "{report}");
    }

    #[test]
    fn every_round_of_everyone_is_a_row() {
        let csv = bench_to_csv(&[measurement("Step", "book, native")]);
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[2], "Step,\"book, native\",this program,2,2");
        assert_eq!(rows[4], "Step,\"book, native\",a plain loop,2,8");
    }
}
