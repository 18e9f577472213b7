//! A benchmark as text: lines for the terminal, tables for `report.md`, rows for `bench.csv`.

use std::fmt;

use serde::Serialize;

use super::csv::to_csv;
use super::numbers::grouped;
use super::{BENCH, Measurement, Ratio, Times, table};

/// This program's name among the others.
const HERE: &str = "this program";

/// A line for this program, and one for each of the others.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}  {}", self.section, self.name, duration(self.here.median()))?;
        for (who, times) in &self.others {
            let Ratio { median, least, greatest } = times.over(&self.here);
            let took = duration(times.median());
            write!(f, "\n    {who}: {took}, {median:.2} times as long ({least:.2} to {greatest:.2})")?;
        }
        Ok(())
    }
}

/// `report.md`: the facts of the run and the machine, and a table for each section.
pub fn render_bench(facts: &[(String, String)], measurements: &[Measurement], remarks: &[String]) -> String {
    let facts = table(2, ["", ""], facts.iter().cloned().map(<[String; 2]>::from));
    let sections = measurements.chunk_by(|a, b| a.section == b.section);
    let sections: String = sections
        .map(|section| format!("\n## {}\n\n{}", section[0].section, section_table(section)))
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

fn section_table(section: &[Measurement]) -> String {
    let rows = section.iter().flat_map(|Measurement { name, here, others, items, .. }| {
        let row = |name: &str, who: &str, times: &Times, ratio: String| {
            let speed = items.as_ref().map(|&(items, _)| grouped(items as f64 / times.median()));
            [name.to_owned(), who.to_owned(), spread(times), speed.unwrap_or_default(), ratio]
        };
        let others = others.iter().map(move |(who, times)| {
            let Ratio { median, least, greatest } = times.over(here);
            row("", who, times, format!("{median:.2} ({least:.2} to {greatest:.2})"))
        });
        [row(name, HERE, here, String::new())].into_iter().chain(others)
    });
    table(2, ["what", "who", "time", "images/s", "times as long"], rows)
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
    let rows = measurements.iter().flat_map(|Measurement { section, name, here, others, .. }| {
        let others = others.iter().map(|(who, times)| (who.as_str(), times));
        [(HERE, here)].into_iter().chain(others).flat_map(move |(who, times)| {
            let rounds = (1..).zip(times.rounds());
            rounds.map(move |(round, seconds)| Round {
                section,
                name,
                who,
                round,
                seconds: seconds.to_string(),
            })
        })
    });
    to_csv(&rows.collect::<Vec<_>>())
}

fn spread(times: &Times) -> String {
    let rounds = || times.rounds().iter().copied();
    let (least, greatest) = (rounds().fold(f64::INFINITY, f64::min), rounds().fold(0.0, f64::max));
    format!("{} ({} to {})", duration(times.median()), duration(least), duration(greatest))
}

/// Seconds in the unit that they are read in, with three digits: `12.3 ms`.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::measurement::tests::measurement;
    use super::*;

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
