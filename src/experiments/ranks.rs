//! Several processes that train together: what each checks and takes.

use serde_json::Value;
use tch_c10d::ExchangeTimes;
use torchvision_exact::loader::DistributedSampler;

use super::description::RunDescription;
use crate::distributed::Distributed;
use crate::train::Totals;
use crate::{RankRecord, Result};

/// This process's sampler; `None`: there is one process.
pub fn sampler(ranks: Option<&Distributed>, seed: u64) -> Option<DistributedSampler> {
    ranks.map(|ranks| DistributedSampler { rank: ranks.rank(), num_replicas: ranks.size(), seed })
}

/// Makes sure that every process runs what this one runs: the same configuration, program, libtorch and images.
pub fn agree(ranks: Option<&Distributed>, run: &RunDescription) -> Result<()> {
    let Some(ranks) = ranks else { return Ok(()) };
    let mut facts = run.config.clone();
    // These may differ from machine to machine: each computes its own part, and results are exchanged.
    facts.retain(|key, _| !["data_dir", "device", "threads", "dist_timeout"].contains(&key.as_str()));
    if let Some(signature) = facts.remove("signature") {
        facts.insert("libtorch".to_owned(), signature["torch"].clone());
    }
    facts.insert("resume".to_owned(), Value::from(run.options.resume.is_some()));
    ranks.agree(&facts)
}

/// The totals of every rank; none where there is one process.
///
/// # Errors
/// If another rank is gone.
pub fn totals_of_ranks(ranks: Option<&Distributed>, totals: Totals) -> Result<Vec<Totals>> {
    let Some(ranks) = ranks else { return Ok(Vec::new()) };
    let gathered = ranks.gather(&totals.to_bits().map(f64::from_bits))?;
    let totals = |values: Vec<f64>| Totals::from_bits([0, 1, 2].map(|i| values[i].to_bits()));
    Ok(gathered.into_iter().map(totals).collect())
}

/// The totals of all processes together.
///
/// # Errors
/// If another rank is gone.
pub fn totals_of_all(ranks: Option<&Distributed>, totals: Totals) -> Result<Totals> {
    let all = totals_of_ranks(ranks, totals)?;
    Ok(if all.is_empty() { totals } else { Totals::sum(all) })
}

/// How fast each process trained so many examples, and what its exchanges took; none where there is one process.
///
/// # Errors
/// If another rank is gone.
pub fn rank_records(
    ranks: Option<&Distributed>,
    times: Option<ExchangeTimes>,
    variant: &str,
    epoch: usize,
    examples: usize,
    seconds: f64,
) -> Result<Vec<RankRecord>> {
    let Some(ranks) = ranks else { return Ok(Vec::new()) };
    let [exchange, hidden] =
        times.map_or([f64::NAN; 2], |times| [times.exchange, times.hidden].map(|time| time.as_secs_f64()));
    let gathered = ranks.gather(&[examples as f64, seconds, exchange, hidden])?;
    let known = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite());
    let row = |(rank, values): (usize, Vec<f64>)| RankRecord {
        variant: variant.to_owned(),
        epoch,
        rank,
        examples: values[0] as usize,
        train_seconds: values[1],
        examples_per_second: values[0] / values[1],
        exchange_seconds: known(values[2]),
        hidden_seconds: known(values[3]),
    };
    Ok(gathered.into_iter().enumerate().map(row).collect())
}
