//! The program: parse, dispatch, exit code.

#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use d2l_ch7::cli::Command;
use d2l_ch7::experiments::networks::NETWORKS;
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::experiments::{augment, basics, bench, cifar, compare, evaluate, shapes, sweep};
use d2l_ch7::norm::Variant;
use d2l_ch7::output::{complain, one_line, print, say};
use d2l_ch7::{Error, doctor, interrupt, openmp, panics};

fn main() -> ExitCode {
    panics::remember();
    let Err(error) = panics::caught(|| Command::read(std::env::args_os())?.map_or(Ok(()), run)) else {
        return ExitCode::SUCCESS;
    };
    // Its contexts, and what went wrong.
    let what = format!("{error:#}");
    let error = Error::below(error);
    complain(format_args!("error: {}\nhelp: {}", one_line(&what), one_line(error.remedy())));
    if let Some(backtrace) = error.backtrace() {
        complain(backtrace);
    }
    ExitCode::from(error.exit_code())
}

fn run(command: Command) -> anyhow::Result<()> {
    if command.computes() {
        openmp::spin_briefly();
    }
    interrupt::watch()?;
    interrupt::end_with_parent();
    tch_extra::file_limits_are_errors();
    tch_extra::keep_freed_memory();
    command.set_up()?;
    match &command {
        Command::Compare(options) => say_where(compare::run(options)?),
        Command::Cifar(options) => say_where(cifar::run(options)?),
        Command::Sweep(options) => say(sweep::run(options)?.dir.display()),
        Command::Evaluate(options) => {
            let metric = evaluate::run(options)?;
            print(format_args!("test loss {}  test acc {}", metric.loss(), metric.accuracy()))?;
        }
        Command::Shapes(options) => print(shapes::run(options)?)?,
        Command::Augment(options) => say(augment::run(options)?.display()),
        Command::Basics(options) => say(basics::run(options)?.display()),
        Command::Bench(options) => say(bench::run(options)?.display()),
        Command::List => print(list())?,
        Command::Doctor => doctor::run()?,
    }
    Ok(())
}

/// Prints where a run's files are. Of several processes that train together, rank 0 alone has files.
fn say_where(dir: Option<PathBuf>) {
    if let Some(dir) = dir {
        say(dir.display());
    }
}

/// The tables of recipes, variants and networks, with one column for the names of all.
fn list() -> String {
    let variants: Vec<_> =
        Variant::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    let variants = variants
        .iter()
        .map(|variant| (variant.get_name(), variant.get_help().map(ToString::to_string).unwrap_or_default()));
    let tables: [(&str, Vec<(&str, String)>); 3] = [
        ("recipes", RECIPES.iter().map(|recipe| (recipe.name, recipe.about.to_owned())).collect()),
        ("variants", variants.collect()),
        ("networks", NETWORKS.iter().map(|network| (network.name, network.about.to_owned())).collect()),
    ];
    let names = tables.iter().flat_map(|(_, rows)| rows).map(|(name, _)| name.len());
    let width = names.max().unwrap_or(0);
    let table = |(title, rows): &(&str, Vec<(&str, String)>)| {
        let rows = rows.iter().map(|(name, about)| format!("\n  {name:width$} {about}"));
        format!("{title}{}", rows.collect::<String>())
    };
    tables.iter().map(table).collect::<Vec<_>>().join("\n")
}
