//! Runs whose steps are recorded on a CPU, which the command line refuses: the library does them, in processes of their own.

use std::path::PathBuf;
use std::process::{self, Command};

use d2l_ch7::cli::Command as D2l;
use d2l_ch7::experiments::{bench, cifar, compare};

/// The arguments of such a run, a line each.
const ARGUMENTS: &str = "D2L_RECORDED_RUN";

/// What `program` would do if it took `--graph` too.
pub fn recorded(program: &Command) -> Command {
    let arguments: Vec<&str> = program.get_args().map(|argument| argument.to_str().unwrap()).collect();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "recorded::a_recorded_run"]);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env(ARGUMENTS, arguments.join("\n"));
    command
}

/// No test by itself: what a process that [`recorded`] starts does.
#[test]
fn a_recorded_run() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    match run(&arguments) {
        Ok(dir) => println!("{}", dir.unwrap().display()),
        Err(error) => {
            let cause = error.downcast_ref::<d2l_ch7::Error>().unwrap();
            eprintln!("error: {error:#}\nhelp: {}", cause.remedy());
            process::exit(cause.exit_code().into());
        }
    }
    process::exit(0);
}

fn run(arguments: &str) -> anyhow::Result<Option<PathBuf>> {
    let arguments = ["d2l_ch7"].into_iter().chain(arguments.lines()).map(Into::into);
    let mut command = D2l::read(arguments)?.expect("a run");
    command.set_up()?;
    match &mut command {
        D2l::Compare(compare) => {
            compare.options.graph = true;
            compare::run(compare)
        }
        D2l::Cifar(cifar) => {
            cifar.options.graph = true;
            cifar::run(cifar)
        }
        D2l::Bench(bench) => {
            bench.graph = true;
            bench::run(bench).map(Some)
        }
        other => panic!("{other:?} has no steps to record"),
    }
}
