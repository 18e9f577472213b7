//! Chapter 7 as one story: `d2l_ch7 compare` for every network of the chapter, one after the other, each for the same time; and what
//! all of them reached in one table and one picture.
//!
//! A network is trained by a process of its own. So it has the bits of that command run alone, its own peak of memory, a run directory
//! with everything, and goes on from its checkpoint where it broke off.

mod config;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use tch_c10d::Launch;
use tch_extra::Signature;

use super::child::{self, Child};
use super::description::{DataUsed, facts};
use super::recipes::Recipe;
use super::resumed_config;
use crate::data::FashionMnist;
use crate::progress::RunsBar;
use crate::report::{
    CHAPTER, CHAPTER_CURVES, ChapterNetwork, ChapterReport, REPORT, RunDir, draw_chapter, read_rows, short,
    write_rows,
};
use crate::{ChapterRecord, EpochRecord, Error, Result, interrupt, output};
pub use config::Chapter;

/// The folder of the networks' run directories.
const NETWORKS: &str = "networks";

/// From one look at the process to the next.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a run takes for each minute of training: also for evaluation, files, and the start of processes. Measured on two cores.
const MINUTES_A_MINUTE: f64 = 1.5;

/// Trains every network for the same time, by processes of this program, and keeps the directory up to date. Gives that directory. A
/// network that diverges is a result.
///
/// The processes run the program's own executable. So this is for the program, whose command line has `compare`.
///
/// # Errors
/// Options that do not fit together, data that cannot be had or read, a directory that cannot be made or written, a process that ends
/// early, an interruption. Epochs that were done before are on disk.
pub fn run(chapter: &Chapter) -> Result<PathBuf> {
    if Launch::from_env()?.is_some() {
        return Err(Error::usage(
            "the chapter is trained by one process after the other, and torchrun starts several",
            "leave torchrun out",
        ));
    }
    let data = FashionMnist::load(chapter.common.data_dir.as_deref(), !chapter.quiet)?;
    data.train.check_limit(chapter.train_examples, "--train-examples")?;
    let (_, data) = DataUsed::of(data, None, &chapter.common)?;
    let networks = chapter.networks(data.train_examples)?;
    let signature = Signature::of(chapter.device);
    let config = chapter.config(&data, &signature);
    let dir = resumed_config::open(chapter.resume.as_deref(), chapter.out.as_deref(), "chapter", &config)?;
    let lock = child::lock(&dir.path().join(NETWORKS), "chapter")?;
    let facts = facts(chapter.chosen(&data), &signature);
    let mut log = Log { chapter, dir, lock, facts, networks };
    log.begin()?;
    let outcome = log.train();
    // Best effort: the next run here takes it as well.
    let _ = fs::remove_file(log.dir.path().join(NETWORKS).join(child::LOCK));
    outcome.map_err(|error| error.resumable(log.dir.path()))?;
    Ok(log.dir.path().to_owned())
}

/// The directory while the run goes on.
struct Log<'a> {
    chapter: &'a Chapter,
    dir: RunDir,
    /// Held by this process and that of a network.
    lock: File,
    facts: Vec<(String, String)>,
    networks: Vec<ChapterNetwork>,
}

impl Log<'_> {
    /// Takes over what a resumed run has.
    fn begin(&mut self) -> Result<()> {
        let rows: Vec<ChapterRecord> = read_rows(&self.dir, CHAPTER)?;
        for network in &mut self.networks {
            let is_own =
                |row: &&ChapterRecord| (&*row.network, &*row.variant) == (network.recipe, network.variant);
            network.epochs = rows.iter().filter(is_own).cloned().collect();
            let records = child::records(&self.dir.path().join(NETWORKS).join(network.name()));
            // Its own file may be damaged: the process that resumes it says so.
            if records.len() > network.epochs.len() {
                network.take_in(&records, None);
            }
        }
        self.write()
    }

    /// Trains every network until its time is up.
    fn train(&mut self) -> Result<()> {
        let (quiet, count) = (self.chapter.quiet, self.networks.len());
        let open: Vec<usize> = (0..count).filter(|&i| !self.is_done(i)).collect();
        let (minutes, done) = (self.chapter.minutes, self.seconds());
        let all = 60.0 * minutes * count as f64;
        if !quiet {
            let about = ((all - done) / 60.0 * MINUTES_A_MINUTE).ceil();
            let (minutes, open) = (short(minutes), open.len());
            output::say(format_args!(
                "networks to train: {open}, each for {minutes} min; with evaluation about {about} min on two CPU cores"
            ));
        }
        let mut bar = RunsBar::new((count, "networks"), "second", all as usize, done as usize, quiet);
        for i in open {
            while !self.is_done(i) {
                self.train_network(i, &mut bar)?;
            }
            if !quiet {
                bar.say(self.networks[i].line());
            }
        }
        Ok(())
    }

    /// Lets a process train a network until its time is up, or until it has the epochs that it was started for.
    fn train_network(&mut self, i: usize, bar: &mut RunsBar) -> Result<()> {
        let mut child = self.start(&self.networks[i])?;
        let epochs = loop {
            if interrupt::requested() {
                let done = (0..self.networks.len()).filter(|&i| self.is_done(i)).count();
                let all = self.networks.len();
                return Err(interrupt::error(format!("interrupted after {done} of {all} networks"), ""));
            }
            let (ended, memory) = (child.ended()?, child.peak_memory());
            if let Some(status) = ended {
                break child.outcome(status)?;
            }
            self.take_in(i, &child.records(), memory)?;
            if self.is_done(i) {
                child.ask_to_end();
            }
            bar.show(i, || self.seconds() as usize);
            sleep(PAUSE);
        };
        self.take_in(i, &epochs, None)
    }

    /// Starts or resumes the training of a network.
    fn start(&self, network: &ChapterNetwork) -> Result<Child> {
        let ChapterNetwork { recipe, variant, train_examples, batch_size, epochs, .. } = network;
        // The recipe's number, doubled until it is not yet reached: the network's own report shows so many.
        let doubled = |first: usize| (0..).map(|n| first << n).find(|&number| number > epochs.len());
        let number = Recipe::named(recipe).and_then(|recipe| doubled(recipe.epochs));
        let options = [
            ("recipe", Some((*recipe).to_owned())),
            ("variants", Some((*variant).to_owned())),
            ("seed", Some(self.chapter.seed.to_string())),
            ("epochs", number.map(|number| number.to_string())),
            ("train-examples", Some(train_examples.to_string())),
            ("batch-size", Some(batch_size.to_string())),
            ("device", Some(Signature::of(self.chapter.device).device)),
        ];
        let arguments = child::arguments("compare", &options, &self.chapter.common);
        let dir = self.dir.path().join(NETWORKS).join(network.name());
        Child::start(network.name(), arguments, dir, &self.lock)
    }

    /// Whether a network's time is up, or its loss not finite.
    fn is_done(&self, i: usize) -> bool {
        let network = &self.networks[i];
        network.minutes() >= self.chapter.minutes || network.has_diverged()
    }

    /// Seconds of training so far, those beyond a network's time left out.
    fn seconds(&self) -> f64 {
        self.networks.iter().map(|network| 60.0 * network.minutes().min(self.chapter.minutes)).sum()
    }

    /// Brings the files up to date if a network has new epochs. `memory` is the peak of its process.
    fn take_in(&mut self, i: usize, epochs: &[EpochRecord], memory: Option<u64>) -> Result<()> {
        if epochs.len() <= self.networks[i].epochs.len() {
            return Ok(());
        }
        self.networks[i].take_in(epochs, memory);
        self.write()
    }

    /// Replaces every file by what is known.
    fn write(&self) -> Result<()> {
        let Self { chapter, dir, facts, networks, .. } = self;
        let report = ChapterReport { minutes: chapter.minutes, facts, networks };
        let write = |name: &str, content: &[u8]| dir.write_atomically(name, |file| file.write_all(content));
        write_rows(dir, CHAPTER, &report.rows())?;
        write(CHAPTER_CURVES, &draw_chapter(&report)?)?;
        write(REPORT, report.render().as_bytes())
    }
}
