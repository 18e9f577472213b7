//! Whether a run directory is one that this command line may go on with.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::{Map, Value};

use super::run_log::CONFIG;
use crate::report::{RunDir, STATISTICS};
use crate::{Error, Result, output};

/// What changes no bit may differ; the signature is looked at by itself.
const MAY_DIFFER: [&str; 7] =
    ["signature", "d2l_ch7", "data_dir", "graph", "eager", "checkpoint_every", "dist_timeout"];

/// What is not chosen by an option.
const DATA: [&str; 3] = ["data_is_published", "train_sha256", "test_sha256"];

/// The `config.json` of the run in `dir`; `None` if it has none.
///
/// # Errors
/// If it cannot be read, or is not that of a training run.
pub fn read(dir: &Path) -> Result<Option<Map<String, Value>>> {
    let path = dir.join(CONFIG);
    if !path.exists() {
        return Ok(None);
    }
    let unreadable = |why: &dyn ToString| unreadable(dir, &why.to_string());
    let file = File::open(&path).map_err(|e| unreadable(&e))?;
    let mut saved: Map<String, Value> =
        serde_json::from_reader(BufReader::new(file)).map_err(|e| unreadable(&e))?;
    if !saved.get("recipe").is_some_and(Value::is_string) {
        return Err(unreadable(&"it is not the configuration of a training run"));
    }
    complete(&mut saved, dir);
    Ok(Some(saved))
}

/// Adds what runs of earlier versions did not save by itself.
fn complete(saved: &mut Map<String, Value>, dir: &Path) {
    let signature = saved.get("signature").cloned().unwrap_or_default();
    let threads = &signature["threads"];
    saved.entry("threads").or_insert_with(|| threads.clone());
    let device = device(signature["device"].as_str().unwrap_or("auto"), saved.get("ranks").is_some());
    saved.entry("device").or_insert_with(|| device.into());
    if command(saved) == "compare" {
        saved.entry("inspect").or_insert_with(|| dir.join(STATISTICS).exists().into());
    }
}

/// The word for a device in `config.json`: of several `ranks`, each has its own.
pub(super) fn device(name: &str, ranks: bool) -> &str {
    if ranks { name.split(':').next().unwrap_or(name) } else { name }
}

/// The command that trained a run.
pub fn command(saved: &Map<String, Value>) -> &'static str {
    if saved["recipe"] == "cifar" { "cifar" } else { "compare" }
}

/// A saved value as the command line takes it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The error for a run whose `config.json` is damaged, or that of something else.
pub fn unreadable(dir: &Path, why: &str) -> Error {
    Error::failed(
        format!("cannot resume: {}: {why}", dir.join(CONFIG).display()),
        "start the run anew, in another directory",
    )
}

/// Compares the directory's `config.json` with what is `chosen` now, and gives what it is to be from now on. An empty
/// directory is that of a run that ended before it began. Another signature on the same libtorch is only
/// warned of, on standard error: the run may go on to other bits.
///
/// # Errors
/// If the directory holds something else than a run, a run of another configuration or on another libtorch, or if its
/// `config.json` cannot be read.
pub fn check(dir: &RunDir, chosen: &Value) -> Result<Value> {
    let Some(saved) = read(dir.path())? else {
        if !dir.is_empty() {
            return Err(no_run(dir.path()));
        }
        let dir = dir.path().display();
        output::complain(format_args!(
            "warning: {dir} is empty: a run begins there, with the options given now"
        ));
        return Ok(chosen.clone());
    };
    let mut chosen = chosen.as_object().cloned().unwrap_or_default();
    check_choices(dir.path(), &saved, &chosen)?;
    check_signature(dir.path(), saved.get("signature").unwrap_or(&Value::Null), &chosen["signature"])?;
    // What the run was started with stays.
    for key in ["signature", "d2l_ch7"] {
        chosen.extend(saved.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    Ok(chosen.into())
}

fn no_run(dir: &Path) -> Error {
    Error::usage(
        format!("{} does not hold a run", dir.display()),
        "name a directory that a run left, under reports/",
    )
}

fn check_choices(dir: &Path, saved: &Map<String, Value>, chosen: &Map<String, Value>) -> Result<()> {
    let keys = chosen.keys().chain(saved.keys()).filter(|key| !MAY_DIFFER.contains(&key.as_str()));
    for key in keys {
        if !saved.contains_key(key) && key != "ranks" {
            return Err(unreadable(dir, &format!("it has no {key}")));
        }
        let [then, now] = [saved, chosen].map(|config| config.get(key).unwrap_or(&Value::Null));
        if goes_on(key, then, now) {
            continue;
        }
        let dir = dir.display();
        if DATA.contains(&key.as_str()) {
            return Err(Error::failed(
                format!("cannot resume {dir}: it had other images ({key} was {then}, and is {now})"),
                "name the folder that they were in with --data-dir",
            ));
        }
        let remedy = match key.as_str() {
            "ranks" => "start as many processes as the run had, with torchrun where there were several",
            "epochs" => "leave it out, or give more epochs to train on",
            _ => "leave it out: what the run was started with is in its config.json",
        };
        let [then, now] = [then, now].map(|value| choice(key, value));
        return Err(Error::usage(
            format!("cannot resume {dir}: it has {then}, and {now} is asked for"),
            remedy,
        ));
    }
    Ok(())
}

/// Whether a run goes on to the same bits. Trained for more epochs, it is one that was started with so many.
fn goes_on(key: &str, then: &Value, now: &Value) -> bool {
    // GPUs are numbered otherwise elsewhere; the signature is about which they are.
    let kind = |device: &Value| device.as_str().map(|name| name.replace(char::is_numeric, ""));
    match key {
        "epochs" => then.as_u64() <= now.as_u64(),
        "device" => kind(then) == kind(now),
        _ => then == now,
    }
}

/// A choice in the words of the command line.
fn choice(key: &str, value: &Value) -> String {
    let option = format!("--{}", key.replace('_', "-"));
    match value {
        Value::Null if key == "ranks" => "one process without torchrun".to_owned(),
        value if key == "ranks" => format!("{value} processes of torchrun"),
        Value::Null | Value::Bool(false) => format!("no {option}"),
        Value::Bool(true) => option,
        value => format!("{option} {}", text(value)),
    }
}

fn check_signature(dir: &Path, saved: &Value, chosen: &Value) -> Result<()> {
    if saved["torch"] != chosen["torch"] {
        return Err(Error::failed(
            format!(
                "cannot resume {}: it was trained with libtorch {}, and this is {}",
                dir.display(),
                saved["torch"],
                chosen["torch"]
            ),
            "resume with the same libtorch, or start the run anew, in another directory",
        ));
    }
    let mut unknown = Vec::new();
    for (key, now) in chosen.as_object().into_iter().flatten() {
        match saved.get(key) {
            None => unknown.push(key.as_str()),
            Some(then) if then != now => warn_of_change(dir, key, then, now),
            Some(_) => {}
        }
    }
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let dir = dir.display();
        output::complain(format_args!(
            "warning: {dir}: an older version began it, which did not keep {unknown}: the bits may differ"
        ));
    }
    Ok(())
}

/// Warns of what decides bits and is not what it was: of each variable and each CUDA device by itself, and of those instructions
/// alone that one of the processors lacks.
fn warn_of_change(dir: &Path, key: &str, then: &Value, now: &Value) {
    let warn = |name: &str, then: Option<&Value>, now: Option<&Value>| {
        let [then, now] = [then, now].map(|value| value.map_or("not set".to_owned(), Value::to_string));
        let dir = dir.display();
        output::complain(format_args!("warning: {dir}: {name} was {then} and is {now}; the bits may differ"));
    };
    let (Some(before), Some(after)) = (then.as_object(), now.as_object()) else {
        if let ("instructions", Some(then), Some(now)) = (key, then.as_str(), now.as_str()) {
            let without = |these: &str, others: &str| {
                let lacks = |name: &&str| !others.split(' ').any(|other| other == *name);
                Value::from(these.split(' ').filter(lacks).collect::<Vec<_>>().join(" "))
            };
            return warn(
                "what differs of the instructions",
                Some(&without(then, now)),
                Some(&without(now, then)),
            );
        }
        return warn(key, Some(then), Some(now));
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        warn(name, before.get(name), after.get(name));
    }
}
