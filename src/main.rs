//! The program: parse, dispatch, exit code.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use d2l_ch7::cli::{Cli, Command};
use d2l_ch7::experiments::networks::NETWORKS;
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::experiments::{augment, basics, bench, cifar, compare, evaluate, shapes};
use d2l_ch7::norm::Variant;
use d2l_ch7::{Error, Result, doctor, interrupt, openmp, torch};

fn main() -> ExitCode {
    let outcome = parse().and_then(|cli| {
        if cli.computes() {
            openmp::spin_briefly();
        }
        guarded(|| run(cli))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\nhelp: {}", error.remedy());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    interrupt::watch()?;
    torch::file_limits_are_errors();
    torch::keep_freed_memory();
    match cli.validated()? {
        Command::Compare(config) => tell(compare::run(&config)?),
        Command::Cifar(config) => tell(cifar::run(&config)?),
        Command::Evaluate(config) => {
            let metric = evaluate::run(&config)?;
            println!("test loss {}  test acc {}", metric.loss(), metric.accuracy());
        }
        Command::Shapes(config) => shapes::run(&config, &mut std::io::stdout().lock())?,
        Command::Augment(config) => println!("{}", augment::run(&config)?.display()),
        Command::Basics(config) => println!("{}", basics::run(&config)?.display()),
        Command::Bench(config) => println!("{}", bench::run(&config)?.display()),
        Command::List => list(),
        Command::Doctor => doctor::run(&mut std::io::stdout().lock())?,
    }
    Ok(())
}

/// Where a run's files are. A process that writes none has nothing to tell.
fn tell(dir: Option<PathBuf>) {
    if let Some(dir) = dir {
        println!("{}", dir.display());
    }
}

fn list() {
    println!("recipes");
    for recipe in &RECIPES {
        println!("  {:12} {}", recipe.name, recipe.about);
    }
    println!("variants");
    println!("  {:12} batch norm by hand, the book's formula", Variant::Scratch);
    println!("  {:12} libtorch's batch norm", Variant::Native);
    println!("  {:12} by hand, over the batches of all processes (torchrun)", Variant::ScratchSync);
    println!("networks");
    for network in &NETWORKS {
        println!("  {:15} {}", network.name, network.about);
    }
}

/// clap's arguments; its complaints, which take many lines, in our two. Help and version end the process.
fn parse() -> Result<Cli> {
    Cli::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        // "…were not provided:", and on the next line what.
        if what.ends_with(':') {
            what = format!("{what} {}", lines.next().unwrap_or_default());
        }
        let tip = lines.find_map(|line| line.strip_prefix("tip: ")).map(str::to_owned);
        Error::usage(what, tip.unwrap_or_else(|| "`d2l_ch7 --help` tells what can be asked for".to_owned()))
    })
}

/// Runs `f`; a panic (libtorch out of memory, or a bug of ours) becomes an error like the others.
fn guarded(f: impl FnOnce() -> Result<()>) -> Result<()> {
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown panic");
        let what = text.lines().next().unwrap_or_default();
        Err(Error::failed(format!("the computation broke off: {what}"), remedy(what)))
    })
}

/// What to do when libtorch says `what`.
fn remedy(what: &str) -> &'static str {
    if what.contains("does not have a deterministic implementation") {
        return "leave out --deterministic: the operation named has no deterministic kernel on this device";
    }
    "if the device ran out of memory, choose a smaller --batch-size; else please report this"
}
