//! `d2l_ch7 claims`: measures what is not measured yet, judges, and writes the page.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tch::Device;
use tch_c10d::Launch;
use tch_extra::Signature;

use super::page::{Finding, Page};
use super::{CLAIMS, Claim, Setting, common_options};
use crate::data::FashionMnist;
use crate::experiments::description::{DataUsed, facts, to_json};
use crate::experiments::options::check_each_once;
use crate::experiments::resumed_config;
use crate::experiments::values::{at_least_one, entry_of};
use crate::report::{RunDir, draw_figures, read_rows, write_rows};
use crate::{Error, Figure, Result, interrupt, output};

/// The page for a browser, and the same as Markdown.
const PAGE: [&str; 2] = ["claims.html", "claims.md"];

/// The options of `d2l_ch7 claims`.
#[derive(Args, Serialize, Clone, Debug)]
pub struct Claims {
    /// Which claims [default: all]
    #[arg(value_name = "NAME", value_parser = entry_of(&CLAIMS, |claim| (claim.name, claim.title)))]
    #[serde(skip)]
    pub names: Vec<&'static Claim>,
    /// On few images, minutes in all; this is the default
    #[arg(long, conflicts_with = "full")]
    #[serde(skip)]
    pub quick: bool,
    /// On as many images and epochs as the notes have, which takes hours
    #[arg(long)]
    pub full: bool,
    /// How many seeds: N stands for the seeds 0 to N - 1
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub seeds: usize,
    /// The folder that holds Fashion-MNIST's files [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub data_dir: Option<PathBuf>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Go on with the claims in this directory. What was measured stays
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Runs to train at once; no bit depends on it [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub jobs: Option<usize>,
    /// Show neither progress nor verdicts; they are in the directory that is printed last
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
}

/// Measures the claims, and gives the directory with `claims.html`, and a table and a picture for each. It is brought up to date
/// after each claim. A claim that has its figures there is not measured again.
///
/// Some claims train by processes of the program's own executable. So this is for the program.
///
/// # Errors
/// Data that cannot be had or read, a directory that cannot be made or written, a run that fails, an interruption.
pub fn run(options: &Claims) -> Result<PathBuf> {
    if Launch::from_env()?.is_some() {
        return Err(Error::usage(
            "claims are measured by one process, and torchrun starts several",
            "leave torchrun out",
        ));
    }
    let names: Vec<&str> = options.names.iter().map(|claim| claim.name).collect();
    check_each_once("the command line", &names)?;
    let claims: Vec<&Claim> = if names.is_empty() { CLAIMS.iter().collect() } else { options.names.clone() };
    // Here, so that it is fetched before anything else, and once.
    let data = FashionMnist::load(options.data_dir.as_deref(), !options.quiet)?;
    let (_, data) = DataUsed::of(data, None, &common_options(options.data_dir.clone()))?;
    let signature = Signature::of(Device::Cpu);
    let config = options.config(&claims, &data, &signature);
    let dir = resumed_config::open(options.resume.as_deref(), options.out.as_deref(), "claims", &config)?;
    let mut page = Page { facts: facts(options.chosen(&data), &signature), findings: Vec::new() };
    for (i, claim) in claims.iter().enumerate() {
        let resumable = |error: Error| {
            // A sweep names its own directory, which is one within this.
            let remedy = error.remedy().split("; `d2l_ch7 --resume").next().unwrap_or_default().to_owned();
            error.with_remedy(remedy).resumable(dir.path())
        };
        if !options.quiet {
            output::say(format_args!("{} of {}, {}: {}", i + 1, claims.len(), claim.name, claim.title));
        }
        let finding = finding(options, claim, &dir).map_err(resumable)?;
        if !options.quiet {
            output::say(format_args!("{}: {}", finding.judgement.verdict, finding.judgement.because));
        }
        page.findings.push(finding);
        for (name, text) in PAGE.iter().zip([page.html(), page.markdown()]) {
            dir.write_atomically(name, |file| file.write_all(text.as_bytes()))?;
        }
    }
    Ok(dir.path().to_owned())
}

/// Takes the claim's figures from the directory, or measures them; draws them; judges.
fn finding<'a>(options: &Claims, claim: &'a Claim, dir: &RunDir) -> Result<Finding<'a>> {
    if interrupt::requested() {
        return Err(interrupt::error(format!("interrupted before {}", claim.name), ""));
    }
    let csv = format!("{}.csv", claim.name);
    let damaged = |error: Error| error.with_remedy(format!("remove it, and {} is measured anew", claim.name));
    let mut figures: Vec<Figure> = read_rows(dir, &csv).map_err(damaged)?;
    if figures.is_empty() {
        figures = (claim.measure)(&Setting {
            full: options.full,
            seeds: options.seeds as u64,
            data_dir: options.data_dir.clone(),
            dir: dir.path().join("runs").join(claim.name),
            jobs: options.jobs,
            quiet: options.quiet,
        })?;
    }
    let picture = if figures.is_empty() {
        None
    } else {
        // First the picture: figures that are there are not measured again.
        let png = draw_figures(claim.title, claim.quantities, &figures)?;
        dir.write_atomically(&format!("{}.png", claim.name), |file| file.write_all(&png))?;
        write_rows(dir, &csv, &figures)?;
        Some(png)
    };
    Ok(Finding { claim, judgement: (claim.judge)(&figures), figures, picture })
}

impl Claims {
    /// `config.json`: every option under its name, with a value that the command line takes, and what it was given for.
    fn config(&self, claims: &[&Claim], data: &DataUsed, signature: &Signature) -> Map<String, Value> {
        let mut config = to_json(self);
        let found = json!({
            "names": claims.iter().map(|claim| claim.name).collect::<Vec<_>>(),
            "device": signature.device,
            "threads": signature.threads,
            "d2l_ch7": env!("CARGO_PKG_VERSION"),
            "signature": signature,
        });
        config.extend([to_json(data), to_json(&found)].into_iter().flatten());
        config
    }

    /// What the page says was chosen.
    fn chosen(&self, data: &DataUsed) -> Vec<(&'static str, String)> {
        let scale = if self.full { "as the notes train (--full)" } else { "few images and epochs (--quick)" };
        let seeds = if self.seeds == 1 { "0".to_owned() } else { format!("0 to {}", self.seeds - 1) };
        vec![
            ("scale", scale.to_owned()),
            ("seeds", seeds),
            (
                "data",
                format!(
                    "Fashion-MNIST, of {} training and {} test images",
                    data.train_examples, data.test_examples
                ),
            ),
            ("program", format!("d2l_ch7 {}", env!("CARGO_PKG_VERSION"))),
        ]
    }
}
