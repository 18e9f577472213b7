//! The program: parse, dispatch, exit code.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use d2l_ch7::cli::{Cli, Command};
use d2l_ch7::experiments::networks::NETWORKS;
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::experiments::{augment, basics, bench, cifar, compare, evaluate, shapes};
use d2l_ch7::norm::Variant;
use d2l_ch7::output::{complain, one_line, print, say};
use d2l_ch7::{Result, doctor, interrupt, openmp, panics, torch};

fn main() -> ExitCode {
    panics::remember();
    let Err(error) = panics::caught(|| Cli::read(std::env::args_os())?.map_or(Ok(()), run)) else {
        return ExitCode::SUCCESS;
    };
    complain(format_args!("error: {}\nhelp: {}", one_line(&error.to_string()), one_line(error.remedy())));
    if let Some(backtrace) = error.backtrace() {
        complain(backtrace);
    }
    ExitCode::from(error.exit_code())
}

fn run(cli: Cli) -> Result<()> {
    if cli.computes() {
        openmp::spin_briefly();
    }
    interrupt::watch()?;
    torch::file_limits_are_errors();
    torch::keep_freed_memory();
    match cli.validated()? {
        Command::Compare(config) => say_where(compare::run(&config)?),
        Command::Cifar(config) => say_where(cifar::run(&config)?),
        Command::Evaluate(config) => {
            let metric = evaluate::run(&config)?;
            print(format_args!("test loss {}  test acc {}", metric.loss(), metric.accuracy()))?;
        }
        Command::Shapes(config) => print(shapes::run(&config)?)?,
        Command::Augment(config) => say(augment::run(&config)?.display()),
        Command::Basics(config) => say(basics::run(&config)?.display()),
        Command::Bench(config) => say(bench::run(&config)?.display()),
        Command::List => print(list())?,
        Command::Doctor => doctor::run()?,
    }
    Ok(())
}

/// Where a run's files are. A process that writes none has nothing to say.
fn say_where(dir: Option<PathBuf>) {
    if let Some(dir) = dir {
        say(dir.display());
    }
}

fn list() -> String {
    let variants = [
        (Variant::Scratch, "batch norm by hand, the book's formula"),
        (Variant::Native, "libtorch's batch norm"),
        (Variant::ScratchSync, "by hand, over the batches of all processes (torchrun)"),
    ];
    let mut lines = vec!["recipes".to_owned()];
    lines.extend(RECIPES.iter().map(|recipe| format!("  {:12} {}", recipe.name, recipe.about)));
    lines.push("variants".to_owned());
    lines.extend(variants.map(|(variant, about)| format!("  {:12} {about}", variant.name())));
    lines.push("networks".to_owned());
    lines.extend(NETWORKS.iter().map(|network| format!("  {:15} {}", network.name, network.about)));
    lines.join("\n")
}
