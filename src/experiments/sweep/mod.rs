//! A sweep: `d2l_ch7 compare` for every cell of a grid, several at once, and what all of them found in one table.
//!
//! A cell is a process of its own. So it has the bits of that command run alone, a run directory with everything, and goes on from
//! its checkpoint where it broke off. Its number of threads does not depend on how many cells there are or are trained at once.

mod cell;
mod config;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tch_c10d::Launch;
use tch_extra::Signature;

use super::child::{self, has_diverged};
use super::description::{DataUsed, facts};
use super::resumed_config;
use crate::data::FashionMnist;
use crate::progress::RunsBar;
use crate::report::{
    CELLS, CURVES, HEATMAP, REPORT, RunDir, SWEEP, SweepCell, SweepReport, draw_heatmaps, draw_sweep_curves,
    loss, read_rows, short, write_rows,
};
use crate::{CellRecord, CellStatus, EpochRecord, Error, Result, interrupt};
use cell::Running;
pub use config::{MOST_CELLS, Sweep};

/// The most learning rates, and batch sizes, that the pictures show.
const MOST_PANELS: usize = 12;

/// From one look at the processes to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// What a sweep found.
#[derive(Debug)]
pub struct Swept {
    /// Its directory.
    pub dir: PathBuf,
    /// Every cell with its epochs, in the grid's order. None of them is open.
    pub cells: Vec<SweepCell>,
}

impl Swept {
    /// The file of a cell's weights after its last epoch.
    pub fn weights(&self, cell: &CellRecord) -> PathBuf {
        let dir = self.dir.join("cells").join(cell::name(cell));
        dir.join("weights").join(format!("{}.safetensors", cell.variant))
    }
}

/// Trains every cell of the grid, by processes of this program, and keeps the sweep's directory up to date. A cell that diverges is a
/// result.
///
/// The processes run the program's own executable. So this is for the program, whose command line has `compare`.
///
/// # Errors
/// A grid that cannot be, data that cannot be had or read, a directory that cannot be made or written, a cell that neither finishes
/// nor diverges, an interruption. Cells that were done before are on disk.
pub fn run(sweep: &Sweep) -> Result<Swept> {
    if Launch::from_env()?.is_some() {
        return Err(Error::usage(
            "a sweep is started as one process, and torchrun starts several",
            "leave torchrun out: --jobs says how many cells are trained at once",
        ));
    }
    let cells = sweep.cells()?;
    let data = FashionMnist::load(sweep.common.data_dir.as_deref(), !sweep.quiet)?;
    let (_, data) = DataUsed::of(data, sweep.train_examples, &sweep.common)?;
    sweep.check_last_batches(&cells, data.train_examples)?;
    let signature = Signature::of(sweep.device);
    let config = sweep.config(&data, &signature);
    let dir = resumed_config::open(sweep.resume.as_deref(), sweep.out.as_deref(), "sweep", &config)?;
    let facts = facts(sweep.chosen(&data), &signature);
    let mut log = SweepLog::begin(sweep, dir, cells, facts)?;
    let outcome = train(sweep, &mut log);
    let written = log.write();
    // Best effort: the next sweep here takes it as well.
    let _ = fs::remove_file(log.dir.path().join("cells").join(child::LOCK));
    outcome.map_err(|error| error.resumable(log.dir.path()))?;
    written?;
    Ok(Swept { dir: log.dir.path().to_owned(), cells: log.cells })
}

/// Trains the open cells.
fn train(sweep: &Sweep, log: &mut SweepLog) -> Result<()> {
    let mut open = log.open_cells().into_iter();
    let mut running = Vec::new();
    let outcome = loop {
        match step(sweep, log, &mut open, &mut running) {
            Ok(()) if running.is_empty() => break Ok(()),
            Ok(()) => sleep(PAUSE),
            Err(error) => break Err(error),
        }
    };
    // All are asked before the first is waited for.
    running.iter_mut().for_each(|cell| cell.child.ask_to_end());
    outcome
}

/// Takes in the cells that have ended, and starts as many of the `open` ones as may run. None runs afterwards only if all are done.
fn step(
    sweep: &Sweep,
    log: &mut SweepLog,
    open: &mut impl Iterator<Item = usize>,
    running: &mut Vec<Running>,
) -> Result<()> {
    if interrupt::requested() {
        return Err(interrupt::error(
            format!("interrupted after {} of {} cells", log.done(), log.cells.len()),
            "",
        ));
    }
    let mut i = 0;
    while i < running.len() {
        match running[i].child.ended()? {
            None => i += 1,
            Some(status) => {
                let ended = running.swap_remove(i);
                log.add(ended.number, ended.child.outcome(status)?)?;
            }
        }
    }
    while running.len() < sweep.jobs()
        && let Some(number) = open.next()
    {
        let cell = &log.cells[number].cell;
        running.push(Running::start(sweep, number, cell, log.cell_dir(cell), &log.lock)?);
    }
    log.show(running);
    Ok(())
}

/// The sweep's directory while it goes on.
struct SweepLog<'a> {
    sweep: &'a Sweep,
    dir: RunDir,
    /// Held by this process and those of the cells.
    lock: File,
    facts: Vec<(String, String)>,
    cells: Vec<SweepCell>,
    bar: RunsBar,
    /// When the files were last written, and how long that took.
    written: (Instant, Duration),
}

impl<'a> SweepLog<'a> {
    /// Takes over the cells that a resumed sweep has done.
    fn begin(
        sweep: &'a Sweep,
        dir: RunDir,
        cells: Vec<CellRecord>,
        facts: Vec<(String, String)>,
    ) -> Result<Self> {
        let lock = child::lock(&dir.path().join("cells"), "sweep")?;
        let saved: Vec<CellRecord> = read_rows(&dir, CELLS)?;
        let begun = cells.into_iter().enumerate().map(|(i, cell)| {
            let is_same = |saved: &&CellRecord| cell::name(saved) == cell::name(&cell);
            let is_done = saved.get(i).filter(is_same).is_some_and(|saved| saved.status != CellStatus::Open);
            let mut records = child::records(&dir.path().join("cells").join(cell::name(&cell)));
            if !is_done && !has_diverged(&records) {
                // Its process may have been killed before its last file. If it lacks nothing, it is soon done.
                records.clear();
            }
            taken_in(sweep, cell, records)
        });
        let cells: Vec<SweepCell> = begun.collect();
        let epochs = cells.iter().map(|cell| sweep.epochs_of(&cell.cell)).sum();
        let done = cells.iter().map(|cell| cell.records.len()).sum();
        let bar = RunsBar::new((cells.len(), "cells"), "epoch", epochs, done, sweep.quiet);
        let written = (Instant::now(), Duration::ZERO);
        let mut log = Self { sweep, dir, lock, facts, cells, bar, written };
        log.write()?;
        Ok(log)
    }

    fn cell_dir(&self, cell: &CellRecord) -> PathBuf {
        self.dir.path().join("cells").join(cell::name(cell))
    }

    fn open_cells(&self) -> Vec<usize> {
        (0..self.cells.len()).filter(|&i| self.cells[i].cell.status == CellStatus::Open).collect()
    }

    fn done(&self) -> usize {
        self.cells.len() - self.open_cells().len()
    }

    /// Takes in a cell that is done. With many cells, the files are brought up to date less often, so that this takes a small share of
    /// the time; a resumed sweep looks itself after the cells that they do not have.
    fn add(&mut self, number: usize, records: Vec<EpochRecord>) -> Result<()> {
        self.cells[number] = taken_in(self.sweep, self.cells[number].cell.clone(), records);
        if !self.sweep.quiet {
            let (done, all) = (self.done(), self.cells.len());
            self.bar.say(format!("{done}/{all} {}", line(&self.cells[number])));
        }
        let (when, took) = self.written;
        if when.elapsed() >= 10 * took { self.write() } else { Ok(()) }
    }

    fn show(&mut self, running: &[Running]) {
        let Self { cells, bar, .. } = self;
        let done = cells.iter().filter(|cell| cell.cell.status != CellStatus::Open);
        let epochs = || cells.iter().map(|cell| cell.records.len()).sum::<usize>();
        bar.show(done.count(), || {
            epochs() + running.iter().map(|cell| cell.child.records().len()).sum::<usize>()
        });
    }

    /// Replaces every file by what is known.
    fn write(&mut self) -> Result<()> {
        let begun = Instant::now();
        let setting = self.sweep.setting();
        let report = SweepReport { setting: &setting, facts: &self.facts, cells: &self.cells };
        let pictures = self.sweep.lr.len().max(self.sweep.batch_size.len()) <= MOST_PANELS;
        let write =
            |name: &str, content: &[u8]| self.dir.write_atomically(name, |file| file.write_all(content));
        write(SWEEP, report.to_csv().as_bytes())?;
        if pictures {
            write(CURVES, &draw_sweep_curves(&report)?)?;
            write(HEATMAP, &draw_heatmaps(&report)?)?;
        }
        write(REPORT, report.render(pictures).as_bytes())?;
        let cells: Vec<CellRecord> = self.cells.iter().map(|cell| cell.cell.clone()).collect();
        write_rows(&self.dir, CELLS, &cells)?;
        self.written = (Instant::now(), begun.elapsed());
        Ok(())
    }
}

/// A cell with its `records`, which say how far it is.
fn taken_in(sweep: &Sweep, cell: CellRecord, records: Vec<EpochRecord>) -> SweepCell {
    let status = match records.len() {
        _ if has_diverged(&records) => CellStatus::Diverged,
        epochs if epochs >= sweep.epochs_of(&cell) => CellStatus::Finished,
        _ => CellStatus::Open,
    };
    SweepCell { cell: CellRecord { status, epochs: records.len(), ..cell }, records }
}

/// A cell's line on the screen.
fn line(SweepCell { cell, records }: &SweepCell) -> String {
    let CellRecord { recipe, variant, lr, batch_size, seed, status, epochs } = cell;
    let name = format!("{recipe} {variant:7} lr {}, batch size {batch_size}, seed {seed}:", short(*lr));
    match (status, records.last()) {
        (CellStatus::Diverged, _) => format!("{name} diverged in epoch {epochs}"),
        (_, Some(last)) => {
            format!("{name} test acc {:.2}%, train loss {}", 100.0 * last.test_acc, loss(last.train_loss))
        }
        (_, None) => name,
    }
}
