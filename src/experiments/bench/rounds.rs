//! The rounds in which this program and others take turns.

use std::time::Instant;

use tch::Device;

use super::jobs::{DataSets, Job, job, recorded_job};
use super::python::{Folders, Python};
use super::subject::Subject;
use crate::report::{Measurement, Times};
use crate::train::WARM_UP;
use crate::{Result, interrupt};

/// A round of something short takes so long at least, in seconds: the clock is read rarely.
const ROUND: f64 = 0.1;
/// This program where its steps are recorded, as the report names it.
const RECORDED: &str = "this program with --graph";
/// So often at most.
const MOST_ITERATIONS: f64 = 1000.0;

/// This program and others, which take turns, and remarks for the report.
pub(super) struct Rounds {
    device: Device,
    rounds: usize,
    /// Whether this program is measured with recorded steps too.
    graph: bool,
    python: Option<Python>,
    /// Python's PyTorch, also after Python ended.
    pub torch_beside: Option<String>,
    /// What could not be measured, and why.
    pub remarks: Vec<String>,
}

/// Seconds of a round: this program's, and the others' by their names.
type Round = (f64, Vec<(String, f64)>);

impl Rounds {
    /// So many rounds for each subject. Python is measured too where its `folders` are given; if it cannot be, a remark says why.
    pub fn new(device: Device, rounds: usize, graph: bool, folders: Option<&Folders>) -> Self {
        let python = folders.map(|folders| Python::start(device, folders)).transpose();
        let remarks = python.as_ref().err().map(|error| format!("{error}; {}", error.remedy()));
        let python = python.ok().flatten();
        let torch_beside = python.as_ref().map(|python| python.torch.clone());
        Self { device, rounds, graph, python, torch_beside, remarks: remarks.into_iter().collect() }
    }

    /// All rounds of `subject`, whose images are among `data`.
    pub fn measure(&mut self, subject: &Subject, data: &DataSets) -> Result<Measurement> {
        let images = data.of(subject);
        let mut job = job(subject, &images, self.device);
        let mut recorded = self.graph.then(|| recorded_job(subject, &images, self.device)).flatten();
        // The first time, kernels are chosen and memory is taken, here and there.
        self.here(1, &mut job);
        if let Some(recorded) = &mut recorded {
            // An epoch may have a single whole batch of evaluation, which is recorded at last.
            self.here(WARM_UP + 1, recorded);
        }
        self.beside(subject, recorded.as_mut(), 1);
        let iterations = (ROUND / self.here(1, &mut job)).ceil().clamp(1.0, MOST_ITERATIONS) as usize;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let here = self.here(iterations, &mut job);
            rounds.push((here, self.beside(subject, recorded.as_mut(), iterations)));
            if interrupt::requested() {
                return Err(interrupt::error(
                    "the benchmark was interrupted",
                    "what was measured before is in the directory of the run",
                ));
            }
        }
        Ok(measurement(subject, &rounds))
    }

    /// Seconds of one of so many, by the wall, until the device has done them.
    fn here(&self, iterations: usize, job: &mut Job) -> f64 {
        self.wait_for_device();
        let start = Instant::now();
        (0..iterations).for_each(|_| job());
        self.wait_for_device();
        start.elapsed().as_secs_f64() / iterations as f64
    }

    /// The same of all others.
    fn beside(
        &mut self,
        subject: &Subject,
        recorded: Option<&mut Job>,
        iterations: usize,
    ) -> Vec<(String, f64)> {
        let recorded = recorded.map(|job| (RECORDED.to_owned(), self.here(iterations, job)));
        recorded.into_iter().chain(self.in_python(subject, iterations)).collect()
    }

    /// The same in Python. One that is gone is not asked again.
    fn in_python(&mut self, subject: &Subject, iterations: usize) -> Vec<(String, f64)> {
        let Some(python) = &mut self.python else { return Vec::new() };
        match python.measure(subject, iterations) {
            Ok(answer) => {
                for (who, why) in answer.missing {
                    self.remark(format!("{}: {who} was not measured: {why}", subject.name()));
                }
                answer.seconds
            }
            Err(error) => {
                self.python = None;
                self.remark(format!("from {} on, {error}", subject.name()));
                Vec::new()
            }
        }
    }

    fn wait_for_device(&self) {
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
    }

    /// Keeps for the report what keeps something from being measured.
    pub fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// Others than this program have a ratio to it only if they were measured in every round.
fn measurement(subject: &Subject, rounds: &[Round]) -> Measurement {
    let times = |seconds: Vec<f64>| Times::new(seconds).expect("a benchmark has one round at least");
    let of = |name: &String| {
        let seconds = |(_, beside): &Round| Some(beside.iter().find(|(other, _)| other == name)?.1);
        Some((name.clone(), times(rounds.iter().map(seconds).collect::<Option<_>>()?)))
    };
    let first = rounds.first().into_iter().flat_map(|(_, beside)| beside);
    Measurement {
        section: subject.section().heading().to_owned(),
        name: subject.name(),
        here: times(rounds.iter().map(|&(here, _)| here).collect()),
        others: first.filter_map(|(name, _)| of(name)).collect(),
        items: subject.images().map(|images| (images, "images".to_owned())),
    }
}
