//! A run directory's `config.json`, and whether the run may go on with the options given now.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::report::{RunDir, STATISTICS};
use crate::{Error, Result, output};

/// The file in a run directory that says what was chosen.
pub const CONFIG: &str = "config.json";

/// These may differ: they change no bit. The signature is compared by itself.
const MAY_DIFFER: [&str; 7] =
    ["signature", "d2l_ch7", "data_dir", "graph", "eager", "checkpoint_every", "dist_timeout"];

/// These no option chooses.
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
    let json = fs::read(&path).map_err(|e| unreadable(dir, &e.to_string()))?;
    let saved = serde_json::from_slice(&json).map_err(|e| unreadable(dir, &e.to_string()));
    let mut saved: Map<String, Value> = saved?;
    if command(&saved) == "compare" && !saved.get("recipe").is_some_and(Value::is_string) {
        return Err(unreadable(dir, "it is not the configuration of a training run"));
    }
    complete(&mut saved, dir);
    Ok(Some(saved))
}

/// Brings what earlier versions saved to what this one saves.
fn complete(saved: &mut Map<String, Value>, dir: &Path) {
    let signature = saved.get("signature").cloned().unwrap_or_default();
    let threads = &signature["threads"];
    saved.entry("threads").or_insert_with(|| threads.clone());
    let device = device(signature["device"].as_str().unwrap_or("auto"), saved.get("ranks").is_some());
    saved.entry("device").or_insert_with(|| device.into());
    // Earlier versions took --graph on a CPU, which changed no bit.
    if saved["device"] == "cpu" {
        saved.insert("graph".to_owned(), false.into());
    }
    if command(saved) == "compare" {
        saved.entry("inspect").or_insert_with(|| dir.join(STATISTICS).exists().into());
    }
}

/// How `config.json` names a device: without its number where there are several `ranks`, of which each has its own.
pub(super) fn device(name: &str, ranks: bool) -> &str {
    if ranks { name.split(':').next().unwrap_or(name) } else { name }
}

/// The command that trained a run.
pub fn command(saved: &Map<String, Value>) -> &'static str {
    match saved.get("recipe").and_then(Value::as_str) {
        _ if saved.get("recipes").is_some_and(Value::is_array) => "sweep",
        _ if saved.get("networks").is_some_and(Value::is_array) => "chapter",
        _ if saved.get("names").is_some_and(Value::is_array) => "claims",
        Some("cifar") => "cifar",
        _ => "compare",
    }
}

/// A saved value as the command line takes it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The error for a `config.json` that is damaged, or not that of a run.
pub fn unreadable(dir: &Path, why: &str) -> Error {
    Error::failed(
        format!("cannot resume: {}: {why}", dir.join(CONFIG).display()),
        "start the run anew, in another directory",
    )
}

/// Creates the directory of a run that `config` describes: `out`, or a new one under `reports/` whose name begins with `name`; or opens
/// the one to `resume`. Its `config.json` is then there.
///
/// # Errors
/// If the directory cannot be made or written, or as [`check`].
pub fn open(
    resume: Option<&Path>,
    out: Option<&Path>,
    name: &str,
    config: &Map<String, Value>,
) -> Result<RunDir> {
    let (dir, config) = match resume {
        None => (RunDir::create(out, name)?, config.clone()),
        Some(path) => {
            let dir = RunDir::open(path)?;
            let config = check(&dir, config)?;
            (dir, config)
        }
    };
    dir.write_atomically(CONFIG, |file| Ok(serde_json::to_writer_pretty(file, &config)?))?;
    dir.sweep();
    Ok(dir)
}

/// Compares the directory's `config.json` with the one that is `chosen` now, and gives the one to write. An empty directory is that
/// of a run that ended before it began. Another signature with the same libtorch is a warning on standard error: the run goes on,
/// perhaps to other bits.
///
/// # Errors
/// If the directory holds something else than a run, a run of another configuration or on another libtorch, or if its
/// `config.json` cannot be read.
fn check(dir: &RunDir, chosen: &Map<String, Value>) -> Result<Map<String, Value>> {
    let Some(saved) = read(dir.path())? else {
        let (is_empty, dir) = (dir.is_empty(), dir.path().display());
        if !is_empty {
            let remedy = "name a directory that a run left, under reports/";
            return Err(Error::usage(format!("{dir} does not hold a run"), remedy));
        }
        output::complain(format_args!(
            "warning: {dir} is empty: a run begins there, with the options given now"
        ));
        return Ok(chosen.clone());
    };
    let mut chosen = chosen.clone();
    check_choices(dir.path(), &saved, &chosen)?;
    check_signature(dir.path(), saved.get("signature").unwrap_or(&Value::Null), &chosen["signature"])?;
    // These stay those of the run's start.
    for key in ["signature", "d2l_ch7"] {
        chosen.extend(saved.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    Ok(chosen)
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
            "minutes" => "leave it out, or give more minutes to train on",
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

/// Whether a run goes on to the same bits. One that is trained for more epochs equals one that was started with so many.
fn goes_on(key: &str, then: &Value, now: &Value) -> bool {
    // Another machine may number its GPUs differently; the signature names them.
    let kind = |device: &Value| device.as_str().map(|name| name.replace(char::is_numeric, ""));
    match key {
        "epochs" => then.as_u64() <= now.as_u64(),
        "minutes" => then.as_f64() <= now.as_f64(),
        "device" => kind(then) == kind(now),
        _ => then == now,
    }
}

/// An option and its value as one types them.
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
    let (shown, then, now) = (dir.display(), &saved["torch"], &chosen["torch"]);
    if then != now {
        return Err(Error::failed(
            format!("cannot resume {shown}: it was trained with libtorch {then}, and this is {now}"),
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
        output::complain(format_args!(
            "warning: {shown}: an older version began it, which did not keep {unknown}: the bits may differ"
        ));
    }
    Ok(())
}

/// Warns of a part of the signature that changed: of each variable and each CUDA device by itself, and of those instructions that one
/// of the processors lacks.
fn warn_of_change(dir: &Path, key: &str, then: &Value, now: &Value) {
    let text = |value: Option<&Value>| value.map_or("not set".to_owned(), Value::to_string);
    let changes = match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            let changed = names.into_iter().filter(|name| then.get(*name) != now.get(*name));
            changed.map(|name| (name.as_str(), text(then.get(name)), text(now.get(name)))).collect()
        }
        (Value::String(then), Value::String(now)) if key == "instructions" => {
            let without = |these: &str, others: &str| {
                let lacks = |name: &&str| !others.split(' ').any(|other| other == *name);
                format!("{:?}", these.split(' ').filter(lacks).collect::<Vec<_>>().join(" "))
            };
            vec![("what differs of the instructions", without(then, now), without(now, then))]
        }
        _ => vec![(key, text(Some(then)), text(Some(now)))],
    };
    let dir = dir.display();
    for (name, then, now) in changes {
        output::complain(format_args!("warning: {dir}: {name} was {then} and is {now}; the bits may differ"));
    }
}
