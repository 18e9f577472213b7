//! What a run does where several processes train together.

use serde_json::Value;
use tch::Device;

use super::run_log::RunPlan;
use crate::data::Share;
use crate::distributed::Distributed;
use crate::{Error, Result};

/// Which images are this process's; `None`: all.
pub fn share(ranks: Option<&Distributed>, seed: u64) -> Option<Share> {
    ranks.map(|ranks| Share { rank: ranks.rank(), ranks: ranks.size(), seed })
}

/// Whether this process shows progress and prints results.
pub fn shows(ranks: Option<&Distributed>) -> bool {
    ranks.is_none_or(Distributed::is_first)
}

/// Refuses several devices in one of several processes.
pub fn check_devices(ranks: Option<&Distributed>, devices: &[Device]) -> Result<()> {
    if ranks.is_none() || devices.len() == 1 {
        return Ok(());
    }
    Err(Error::usage(
        "a process that trains together with others takes one device",
        "give --device cpu or --device cuda, which is each process's own",
    ))
}

/// What the report says of it.
pub fn batch_size(batch_size: usize, ranks: Option<&Distributed>) -> String {
    match ranks {
        None => batch_size.to_string(),
        Some(ranks) => format!("{batch_size} on each of {} processes", ranks.size()),
    }
}

/// Makes sure that every process runs what this one runs: the same configuration, program, libtorch and images.
pub fn agree(ranks: Option<&Distributed>, plan: &RunPlan) -> Result<()> {
    let Some(ranks) = ranks else { return Ok(()) };
    let mut facts = plan.config.as_object().cloned().unwrap_or_default();
    // Machines may differ in what they have; what they compute is exchanged.
    facts.retain(|key, _| !["data_dir", "device", "threads", "dist_timeout"].contains(&key.as_str()));
    if let Some(signature) = facts.remove("signature") {
        facts.insert("libtorch".to_owned(), signature["torch"].clone());
    }
    facts.insert("resume".to_owned(), Value::from(plan.resume.is_some()));
    ranks.agree(&facts)
}
