//! `d2l_ch7 bench`: how long things take here and in Python. Both take turns, so that they meet the same machine.

mod config;
mod jobs;
mod python;
mod rounds;
mod subject;

use std::io::Write;
use std::path::PathBuf;

use tch::Device;
use tch_extra::{self, Recording, Signature};

use super::description::facts;
use super::recipes::{RECIPES, Recipe};
use crate::report::{BENCH, Measurement, REPORT, RunDir, bench_to_csv, draw_ratios, render_bench};
use crate::{Result, output};
pub use config::Bench;
pub use jobs::Job;
use jobs::job;
use rounds::Rounds;
pub use subject::{CIFAR, Section, recipe_names};
use subject::{Training, subjects};

/// Measures, and leaves `report.md`, `bench.csv` and `bench.png` in a new directory, which it gives.
///
/// # Errors
/// Data that cannot be had or read, a directory that cannot be made or written, an interruption.
pub fn run(config: &Bench) -> anyhow::Result<PathBuf> {
    if config.graph {
        Recording::check_available(config.device)?;
    }
    let data = config.data_sets()?;
    let subjects = config.subjects(&data)?;
    let dir = RunDir::create(config.out.as_deref(), "bench")?;
    let mut rounds = Rounds::new(config, &data);
    if config.reads(true) && data.cifar10.is_none() {
        rounds.remark(format!(
            "no epoch of {CIFAR} was measured: no CIFAR-10 is here; --cifar-dir names its folder"
        ));
    }
    let mut measurements = Vec::new();
    for subject in subjects {
        measurements.push(rounds.measure(&subject)?);
        write(&dir, config, &measurements, &rounds)?;
        if !config.quiet {
            measurements.last().into_iter().for_each(output::say);
        }
    }
    Ok(dir.path().to_owned())
}

fn write(dir: &RunDir, config: &Bench, measurements: &[Measurement], rounds: &Rounds) -> Result<()> {
    let signature = Signature::of(config.device);
    let is_cuda = config.device.is_cuda();
    let title = format!(
        "How many times as long as this program others take\n{}, {} threads, medians of {} rounds, least and greatest",
        if is_cuda { signature.device.clone() } else { tch_extra::processor_name() },
        signature.threads,
        config.rounds
    );
    let mut chosen = vec![("rounds", config.rounds.to_string())];
    chosen.extend(rounds.torch_beside.clone().map(|torch| ("PyTorch beside", torch)));
    let report = render_bench(&facts(chosen, &signature), measurements, &rounds.remarks);
    let table = bench_to_csv(measurements);
    let picture = draw_ratios(&title, measurements)?;
    dir.write_atomically(REPORT, |file| file.write_all(report.as_bytes()))?;
    dir.write_atomically("bench.csv", |file| file.write_all(table.as_bytes()))?;
    dir.write_atomically(BENCH, |file| file.write_all(&picture))
}

/// What `cargo bench` measures: the subjects of a `section` without images, of the recipes that do not resize; their names, the images
/// that one takes, and their jobs on `device`, made as one comes to them.
///
/// # Panics
/// For a section whose subjects need images.
pub fn micro_benchmarks(
    section: Section,
    device: Device,
) -> impl Iterator<Item = (String, Option<usize>, Job<'static>)> {
    let small = RECIPES.iter().filter(|recipe| recipe.resize.is_none());
    let names: Vec<_> = small.map(|recipe| recipe.name).collect();
    let training = |recipe, variant| {
        let batch_size = Recipe::named(recipe).map_or(0, |recipe| recipe.batch_size);
        Training { recipe, variant, batch_size, train_examples: 0, test_examples: 0 }
    };
    let all = subjects(&[section], &names, &training).into_iter();
    all.map(move |subject| (subject.name(), subject.images(), job(&subject, None, device, false)))
}
