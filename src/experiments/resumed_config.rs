//! Whether a run directory is one that this command line may go on with.

use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value};

use super::run_log::CONFIG;
use crate::report::RunDir;
use crate::{Error, Result};

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

/// Compares the directory's `config.json` with what is chosen now. Another processor or number of threads is only warned
/// of, on standard error: the run goes on to other bits.
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
    for (key, now) in chosen.as_object().into_iter().flatten().filter(|(key, now)| saved[*key] != **now) {
        let then = &saved[key];
        eprintln!("warning: {}: {key} was {then} and is {now}; the bits will not be the same", dir.display());
    }
    Ok(())
}
