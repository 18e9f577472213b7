//! `--resume DIR`: the options that the user leaves out are those that the run was started with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};
use serde_json::{Map, Value};

use super::{Cli, matches, usage_error};
use crate::experiments::resumed_config;
use crate::{Error, Result};

/// `args`, which clap read as `read`, with the options of the run that they resume, if they resume one.
///
/// # Errors
/// If the run's `config.json` is damaged, or that of another command.
pub(super) fn completed(args: &[OsString], read: ArgMatches) -> Result<ArgMatches> {
    let (asked, options) = read.subcommand().map_or((None, &read), |(name, options)| (Some(name), options));
    // Other commands have no such option.
    let Some(dir) = options.try_get_one::<PathBuf>("resume").ok().flatten() else { return Ok(read) };
    let Some(saved) = resumed_config::read(dir)? else { return Ok(read) };
    let command = resumed_config::command(&saved);
    // Without a command, only `compare` has a recipe.
    let named = asked.or_else(|| is_given(options, "recipe").then_some("compare"));
    if let Some(named) = named.filter(|&named| named != command) {
        return Err(another_command(dir, command, named));
    }
    let own = &args[1 + usize::from(asked.is_some())..];
    let line = |saved: Vec<OsString>| [vec![args[0].clone(), command.into()], saved, own.to_vec()].concat();
    // Without a command, they were read as those of `compare`.
    let given = matches(&line(Vec::new())).map_err(|error| usage_error(&error, args))?;
    let given = given.subcommand_matches(command).expect("the command line names it");
    check_data_dir(dir, given, &saved)?;
    matches(&line(left_out(command, given, &saved)))
        .map_err(|error| resumed_config::unreadable(dir, &usage_error(&error, args).to_string()))
}

fn another_command(dir: &Path, command: &str, asked: &str) -> Error {
    let dir = dir.display();
    Error::usage(
        format!(
            "cannot resume {dir}: it is a run of `d2l_ch7 {command}`, and `d2l_ch7 {asked}` is asked for"
        ),
        format!("`d2l_ch7 --resume {dir}` goes on with it"),
    )
}

/// Another folder's images would be fetched in vain.
fn check_data_dir(dir: &Path, given: &ArgMatches, saved: &Map<String, Value>) -> Result<()> {
    match saved.get("data_dir").and_then(Value::as_str) {
        Some(folder) if !is_given(given, "data_dir") && !Path::new(folder).is_dir() => Err(Error::failed(
            format!("cannot resume {}: its images were in {folder}, which is no folder now", dir.display()),
            "name the folder that they are in with --data-dir",
        )),
        _ => Ok(()),
    }
}

/// The saved options of a command that are neither `given` nor in conflict with one that is.
fn left_out(command: &str, given: &ArgMatches, saved: &Map<String, Value>) -> Vec<OsString> {
    let cli = Cli::command();
    let command = cli.find_subcommand(command).expect("a command of this program");
    let yields = |arg: &Arg, other: &Arg| {
        let conflict = |a, b| command.get_arg_conflicts_with(a).contains(&b);
        arg == other || conflict(arg, other) || conflict(other, arg)
    };
    let is_given = |arg: &&Arg| is_given(given, arg.get_id().as_str());
    let all_given: Vec<&Arg> = command.get_arguments().filter(is_given).collect();
    let left = command.get_arguments().filter(|arg| !all_given.iter().any(|other| yields(arg, other)));
    left.flat_map(|arg| saved.get(arg.get_id().as_str()).map_or_else(Vec::new, |value| option(arg, value)))
        .collect()
}

fn is_given(options: &ArgMatches, id: &str) -> bool {
    options.value_source(id) == Some(ValueSource::CommandLine)
}

/// The arguments that give an option, or what stands without one, a saved value.
fn option(arg: &Arg, value: &Value) -> Vec<OsString> {
    match (arg.get_long(), value) {
        (_, Value::Null | Value::Bool(false)) => Vec::new(),
        (None, Value::Array(values)) => {
            values.iter().map(|value| resumed_config::text(value).into()).collect()
        }
        // What a list that was left out stands for, the command knows.
        (_, Value::Array(values)) if values.is_empty() => Vec::new(),
        (Some(long), Value::Bool(true)) => vec![format!("--{long}").into()],
        (Some(long), value) => vec![format!("--{long}={}", resumed_config::text(value)).into()],
        (None, value) => vec![resumed_config::text(value).into()],
    }
}
