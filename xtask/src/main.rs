//! `cargo xtask …`: sets up what `d2l_ch7` needs on a machine that has Rust, a C++ compiler and Python 3 with
//! pip, then runs cargo.
//!
//! - `pinned.rs` has the versions;
//! - `libtorch.rs` finds or installs libtorch and links `.libtorch` to it;
//! - `notebooks.rs` finds or installs the Python packages with which `test` and `bench` run the notebooks' code;
//! - `fuzz.rs` runs the readers of files on random inputs;
//! - `pip.rs` installs a set of packages, whole or not at all; `python.rs` finds the interpreter and its modules;
//! - `settings.rs` reads the environment; `tools.rs` checks compiler and disk space before a long build;
//! - `problem.rs` is the error for users.

mod fuzz;
mod libtorch;
mod notebooks;
mod pinned;
mod pip;
mod problem;
mod python;
mod settings;
mod tools;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Error, Result};

use pinned::TORCH;
use problem::Problem;
use settings::Settings;

/// What `cargo xtask help` prints.
fn help() -> String {
    format!(
        "\
Sets d2l_ch7 up, then calls cargo.

Usage: cargo xtask <COMMAND> [ARGS...]

Commands:
  run [ARGS...]   set up, then `cargo run --bin d2l_ch7 -- ARGS`
  test [ARGS...]  set up, with the Python packages of the live parity tests, then `cargo test ARGS`
  bench [ARGS...] set up, with the Python packages of the notebooks, then `cargo run --bin d2l_ch7 -- bench ARGS`
  python [ARGS...]
                  set up, then Python with its packages: `cargo xtask python notebooks_ref/make_references.py --check`
  fuzz [READER...] [--seconds N]
                  set up, then feed every reader of files (or those named) made-up ones, 600 seconds each; needs cargo-fuzz
  setup           set up only: find or install libtorch {TORCH} and link `.libtorch` to it
  help            print this

Environment:
  LIBTORCH        a libtorch {TORCH} to use, instead of the one found
  D2L_PYTHON      a Python to ask for PyTorch and to install with, instead of `python3`
  CXX             the C++ compiler, instead of `c++`
  XDG_CACHE_HOME  where installed packages are kept, instead of ~/.cache
"
    )
}

fn main() -> ExitCode {
    match dispatch(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `{:#}` prints the error and its causes on one line.
            eprintln!("error: {error:#}");
            eprintln!("help: {}", problem::remedy(&error));
            ExitCode::from(problem::exit_code(&error))
        }
    }
}

fn dispatch(mut args: Vec<OsString>) -> Result<()> {
    let command = if args.is_empty() { OsString::from("(none)") } else { args.remove(0) };
    match command.to_str() {
        Some("run") => run(args),
        Some("test") => test(args),
        Some("bench") => bench(args),
        Some("python") => python(args),
        Some("fuzz") => {
            let settings = Settings::from_env()?;
            let fuzz = fuzz::Fuzz::parse(&settings, args)?;
            fuzz.run(&settings, &set_up(&settings)?)
        }
        Some("setup") if args.is_empty() => {
            let libtorch = set_up(&Settings::from_env()?)?;
            println!("libtorch {} is set up: {}", libtorch.build, libtorch.folder.display());
            Ok(())
        }
        Some("help" | "--help" | "-h") => {
            print!("{}", help());
            Ok(())
        }
        _ => Err(Problem::usage(
            format!("xtask does not know the command {}", command.display()),
            "use `cargo xtask run`, `test`, `bench`, `python`, `fuzz`, `setup` (which takes no arguments) or `help`",
        )
        .into()),
    }
}

/// Sets up everything that cargo needs to compile libtorch's bindings.
fn set_up(settings: &Settings) -> Result<libtorch::Libtorch> {
    tools::require_cpp_compiler()?;
    libtorch::set_up(settings)
}

fn run(args: Vec<OsString>) -> Result<()> {
    let settings = Settings::from_env()?;
    set_up(&settings)?;
    let mut cargo = settings.cargo("run");
    cargo.args(["--bin", "d2l_ch7", "--"]).args(without_dashes(args));
    Err(become_process(cargo))
}

fn test(args: Vec<OsString>) -> Result<()> {
    let settings = Settings::from_env()?;
    let libtorch = set_up(&settings)?;
    let mut cargo = settings.cargo("test");
    cargo.args(args);
    // Without Python the stored references still test parity, and the live tests report that they were skipped.
    with_notebooks(&mut cargo, &settings, &libtorch, "no live parity tests")?;
    Err(become_process(cargo))
}

fn bench(args: Vec<OsString>) -> Result<()> {
    let settings = Settings::from_env()?;
    let libtorch = set_up(&settings)?;
    let mut cargo = settings.cargo("run");
    cargo.args(["--bin", "d2l_ch7", "--", "bench"]).args(without_dashes(args));
    with_notebooks(&mut cargo, &settings, &libtorch, "nothing to measure beside")?;
    Err(become_process(cargo))
}

fn python(args: Vec<OsString>) -> Result<()> {
    let settings = Settings::from_env()?;
    let notebooks = notebooks::set_up(&settings, &libtorch::set_up(&settings)?)?;
    let mut python = Command::new(notebooks.python);
    python.args(args).env("PYTHONPATH", notebooks.search_path);
    Err(become_process(python))
}

/// `cargo xtask run -- --epochs 2` means the same as `cargo xtask run --epochs 2`.
fn without_dashes(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.first().is_some_and(|first| first == "--") {
        args.remove(0);
    }
    args
}

/// Sets the variables with which `cargo` finds a Python for the notebooks' code. Without one, prints what will be missing.
fn with_notebooks(
    cargo: &mut Command,
    settings: &Settings,
    libtorch: &libtorch::Libtorch,
    lost: &str,
) -> Result<()> {
    match notebooks::set_up(settings, libtorch) {
        Ok(notebooks) => {
            cargo.env("D2L_PYTHON", notebooks.python).env("PYTHONPATH", notebooks.search_path);
        }
        Err(error) if problem::exit_code(&error) == problem::INTERRUPTED => return Err(error),
        Err(error) => eprintln!("xtask: {lost}: {error:#}; {}", problem::remedy(&error)),
    }
    Ok(())
}

/// Replaces this process by `command`, which then gets every signal and gives its own exit code. Returns only
/// if that fails.
fn become_process(mut command: Command) -> Error {
    let cause = command.exec();
    let program = command.get_program().display();
    Error::new(cause).context(Problem::new(
        format!("cannot start {program}"),
        "run `cargo xtask` through the cargo that rustup installed",
    ))
}
