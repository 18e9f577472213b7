//! Whether a run directory is one that this command line may go on with.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use super::run_log::CONFIG;
use crate::report::RunDir;
use crate::{Error, Result, output};

/// What a directory to resume in holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing yet: the run ended before it began.
    Nothing,
    /// A run of the same configuration.
    Run,
}

impl Found {
    /// Whether the run begins now.
    pub fn is_new(self) -> bool {
        self == Self::Nothing
    }
}

/// What may differ: the signature is looked at by itself.
const MAY_DIFFER: [&str; 2] = ["signature", "d2l_ch7"];

/// What is not chosen by an option.
const DATA: [&str; 3] = ["data_is_published", "train_sha256", "test_sha256"];

/// Compares the directory's `config.json` with what is chosen now. Another signature on the same libtorch is only
/// warned of, on standard error: the run may go on to other bits.
///
/// # Errors
/// If the directory holds something else than a run, a run of another configuration or on another libtorch, or if its
/// `config.json` cannot be read.
pub fn check(dir: &RunDir, chosen: &Value) -> Result<Found> {
    let path = dir.path().join(CONFIG);
    if !path.exists() {
        return if dir.is_empty() { Ok(Found::Nothing) } else { Err(no_run(dir.path())) };
    }
    let unreadable = |why: String| {
        Error::failed(
            format!("cannot resume: {}: {why}", path.display()),
            "start the run anew, in another directory",
        )
    };
    let file = File::open(&path).map_err(|e| unreadable(e.to_string()))?;
    let saved: Value =
        serde_json::from_reader(std::io::BufReader::new(file)).map_err(|e| unreadable(e.to_string()))?;
    let (Some(saved), Some(chosen)) = (saved.as_object(), chosen.as_object()) else {
        return Err(unreadable("it is not the configuration of a run".to_owned()));
    };
    check_choices(dir.path(), saved, chosen)?;
    check_signature(dir.path(), &saved["signature"], &chosen["signature"])?;
    Ok(Found::Run)
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
        let [then, now] = [saved, chosen].map(|config| config.get(key).unwrap_or(&Value::Null));
        if then != now && DATA.contains(&key.as_str()) {
            return Err(Error::failed(
                format!(
                    "cannot resume {}: it had other images ({key} was {then}, and is {now})",
                    dir.display()
                ),
                "name the folder that they were in with --data-dir",
            ));
        }
        if then != now {
            return Err(Error::usage(
                format!("cannot resume {}: its {key} is {then}, and {now} is asked for now", dir.display()),
                "give the options that the run was started with; they are in its config.json",
            ));
        }
    }
    Ok(())
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
        eprintln!("warning: {}: {name} was {then} and is {now}; the bits may differ", dir.display());
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
