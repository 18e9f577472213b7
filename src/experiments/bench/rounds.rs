//! The rounds in which this program and Python take turns.

use std::time::Instant;

use tch::Device;
use tch_extra::kernels;

use super::config::Bench;
use super::jobs::{DataSets, Job, SubjectImages, job};
use super::python::Python;
use super::subject::Subject;
use crate::report::{HERE, Measurement};
use crate::train::WARM_UP;
use crate::{Result, interrupt, output};

/// A round of something short takes so long at least, in seconds: the clock is read rarely.
const ROUND: f64 = 0.1;
/// So often at most.
const MOST_ITERATIONS: f64 = 1000.0;
/// This program where its steps are recorded, as the report names it.
const RECORDED: &str = "this program with --graph";
/// This program without the kernels of its own, as the report names it.
const LIBTORCHS: &str = "this program with libtorch's kernels";

/// Python as long as it answers, and what the report says about the measuring.
pub(super) struct Rounds<'a> {
    bench: &'a Bench,
    data: &'a DataSets,
    python: Option<Python>,
    /// Python's PyTorch, also after Python ended.
    pub torch_beside: Option<String>,
    /// What could not be measured, and why.
    pub remarks: Vec<String>,
}

impl<'a> Rounds<'a> {
    /// Starts Python, unless it is not wanted. A remark says why it cannot be measured.
    pub fn new(bench: &'a Bench, data: &'a DataSets) -> Self {
        let mut rounds = Self { bench, data, python: None, torch_beside: None, remarks: Vec::new() };
        match (!bench.no_python).then(|| Python::start(bench.device, data)) {
            Some(Err(error)) => rounds.remark(format!("{error}; {}", error.remedy())),
            python => rounds.python = python.and_then(Result::ok),
        }
        rounds.torch_beside = rounds.python.as_ref().map(|python| python.torch.clone());
        rounds
    }

    /// All rounds of `subject`. What could not be measured in one of them is left out.
    pub fn measure(&mut self, subject: &Subject) -> Result<Measurement> {
        let Bench { device, rounds, .. } = *self.bench;
        let images = self.data.images(subject);
        let mut ways = self.ways_here(subject, images.as_ref());
        // The first time, kernels are chosen and memory is taken, here and in Python.
        ways.iter_mut().try_for_each(|way| way.seconds(device, way.warm_up).map(drop))?;
        self.in_python(subject, 1);
        let once = ways[0].seconds(device, 1)?;
        let iterations = (ROUND / once).ceil().clamp(1.0, MOST_ITERATIONS) as usize;
        let mut times: Vec<(String, Vec<f64>)> = Vec::new();
        for _ in 0..rounds {
            let here = ways.iter_mut().map(|way| Ok((way.who.to_owned(), way.seconds(device, iterations)?)));
            let mut round = here.collect::<Result<Vec<_>>>()?;
            round.extend(self.in_python(subject, iterations));
            for (who, took) in round {
                match times.iter_mut().find(|(known, _)| *known == who) {
                    Some((_, times)) => times.push(took),
                    None => times.push((who, vec![took])),
                }
            }
            if interrupt::requested() {
                return Err(interrupt::error(
                    "the benchmark was interrupted",
                    "what was measured before is in the directory of the run",
                ));
            }
        }
        times.retain(|(_, times)| times.len() == rounds);
        let section = subject.section().heading();
        Ok(Measurement { section, name: subject.name(), times, images: subject.images() })
    }

    /// The ways of this program to do `subject`: first the one that everyone takes.
    fn ways_here<'i>(&self, subject: &Subject, images: Option<&'i SubjectImages>) -> Vec<Way<'i>> {
        let Bench { device, graph, .. } = *self.bench;
        let way = |who, warm_up, recorded| Way { who, warm_up, job: job(subject, images, device, recorded) };
        let mut ways = vec![way(HERE, 1, false)];
        if graph && subject.can_be_recorded() {
            // An epoch may have a single whole batch of evaluation, which is recorded at last, and then repeated.
            ways.push(way(RECORDED, WARM_UP + 2, true));
        }
        if device == Device::Cpu && !matches!(subject, Subject::Data(_)) {
            ways.push(way(LIBTORCHS, 1, false));
        }
        ways
    }

    /// Seconds of every way that Python has. A Python that is gone is not asked again.
    fn in_python(&mut self, subject: &Subject, iterations: usize) -> Vec<(String, f64)> {
        let Some(python) = &mut self.python else { return Vec::new() };
        let answer = python.measure(subject, iterations).unwrap_or_else(|error| {
            self.python = None;
            self.remark(format!("from {} on, {error}", subject.name()));
            Vec::new()
        });
        let mut measured = Vec::new();
        for (who, took) in answer {
            match took {
                Ok(seconds) => measured.push((who, seconds)),
                Err(why) => self.remark(format!("{}: {who} was not measured: {why}", subject.name())),
            }
        }
        measured
    }

    /// Says what keeps something from being measured, and keeps it for the report.
    pub fn remark(&mut self, remark: String) {
        if self.remarks.contains(&remark) {
            return;
        }
        if !self.bench.quiet {
            output::complain(&remark);
        }
        self.remarks.push(remark);
    }
}

/// A way of this program to do a subject.
struct Way<'a> {
    who: &'static str,
    /// How often it is done before it is measured.
    warm_up: usize,
    job: Job<'a>,
}

impl Way<'_> {
    /// Seconds of one of so many, by the wall, until the device has done them.
    fn seconds(&mut self, device: Device, iterations: usize) -> Result<f64> {
        let wait = || {
            if let Device::Cuda(index) = device {
                tch::Cuda::synchronize(index as i64);
            }
        };
        kernels::set_enabled(self.who != LIBTORCHS);
        wait();
        let start = Instant::now();
        let done = (0..iterations).try_for_each(|_| (self.job)());
        wait();
        kernels::set_enabled(true);
        done?;
        Ok(start.elapsed().as_secs_f64() / iterations as f64)
    }
}
