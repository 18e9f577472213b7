//! The program: parse, dispatch, exit code.

#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use d2l_ch7::cli::Command;
use d2l_ch7::experiments::{
    augment, basics, bench, chapter, cifar, claims, compare, evaluate, list, shapes, sweep,
};
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
        Command::Chapter(options) => say(chapter::run(options)?.display()),
        Command::Claims(options) => say(claims::run(options)?.display()),
        Command::Evaluate(options) => {
            let metric = evaluate::run(options)?;
            print(format_args!("test loss {}  test acc {}", metric.loss(), metric.accuracy()))?;
        }
        Command::Shapes(options) => print(shapes::run(options)?)?,
        Command::Augment(options) => say(augment::run(options)?.display()),
        Command::Basics(options) => say(basics::run(options)?.display()),
        Command::Bench(options) => say(bench::run(options)?.display()),
        Command::List => print(list::run()?)?,
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
