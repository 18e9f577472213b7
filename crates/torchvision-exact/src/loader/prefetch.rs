//! Batches that threads prepare ahead, as a PyTorch `DataLoader` has them prepared by worker processes.

use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::random::Draws;

/// Batches that a worker has ready besides the one it prepares: `DataLoader`'s `prefetch_factor`.
const PREFETCH_FACTOR: usize = 2;

/// The batches of an epoch in a `DataLoader`'s order. Worker w of W is a thread with a random stream of its own; it prepares batches
/// w, w + W, ... ahead of whoever takes them. Workers are waited for when this is dropped.
///
/// ```
/// use torchvision_exact::loader::{EpochDraws, Prefetcher};
/// use torchvision_exact::random::{Draws, Mt19937};
///
/// // `DataLoader(range(10), batch_size=4, shuffle=True, num_workers=2)`, whose data set adds noise.
/// let epoch = EpochDraws::new(10, true, &mut Mt19937::new(0));
/// let workers = epoch.workers(2);
/// let batches = Prefetcher::new(epoch.order, 4, 0, workers, |indices, draws| {
///     indices.iter().map(|&i| i as f32 + draws.rand()).collect::<Vec<_>>()
/// });
/// assert_eq!(batches.map(|batch| batch.len()).collect::<Vec<_>>(), [4, 4, 2]);
/// ```
pub struct Prefetcher<T> {
    workers: Vec<Worker<T>>,
    next: usize,
    batches: usize,
}

/// A thread that prepares every so-many-th batch.
struct Worker<T> {
    batches: Receiver<T>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Prefetcher<T> {
    /// Starts a worker for each of `streams`. A batch is what `prepare` makes of the indices of its examples, with what is random drawn
    /// from the worker's stream; `batch_size` of them follow each other in `order`. The first `done` batches are prepared for what that
    /// draws, and left out.
    ///
    /// # Panics
    /// If `batch_size` is 0 or there is no stream.
    pub fn new<D: Draws + Send + 'static>(
        order: Vec<i64>,
        batch_size: usize,
        done: usize,
        streams: Vec<D>,
        prepare: impl Fn(&[i64], &mut dyn Draws) -> T + Send + Sync + 'static,
    ) -> Self {
        assert!(
            batch_size > 0 && !streams.is_empty(),
            "batches of {batch_size} by {} workers",
            streams.len()
        );
        let (batches, step) = (order.len().div_ceil(batch_size), streams.len());
        let (order, prepare): (Arc<[i64]>, _) = (order.into(), Arc::new(prepare));
        let worker = |(first, mut draws): (usize, D)| {
            let (sender, batches) = sync_channel(PREFETCH_FACTOR);
            let (order, prepare) = (Arc::clone(&order), Arc::clone(&prepare));
            let thread = thread::spawn(move || {
                for (i, indices) in order.chunks(batch_size).enumerate().skip(first).step_by(step) {
                    let batch = prepare(indices, &mut draws);
                    // Nobody receives any more when the epoch broke off.
                    if i >= done && sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            Worker { batches, thread }
        };
        Self { workers: streams.into_iter().enumerate().map(worker).collect(), next: done, batches }
    }
}

impl<T> Iterator for Prefetcher<T> {
    type Item = T;

    /// The next batch. Panics if its worker panicked.
    fn next(&mut self) -> Option<T> {
        if self.next >= self.batches {
            return None;
        }
        let worker = self.next % self.workers.len();
        self.next += 1;
        let batch = self.workers[worker].batches.recv();
        Some(batch.unwrap_or_else(|_| match self.workers.swap_remove(worker).thread.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => unreachable!("a worker ends early only by a panic"),
        }))
    }
}

impl<T> Drop for Prefetcher<T> {
    fn drop(&mut self) {
        for Worker { batches, thread } in self.workers.drain(..) {
            drop(batches);
            // A panic was passed on already, or concerns a batch that nobody wants.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Mt19937;

    const BATCH_SIZE: usize = 3;

    /// Ten examples in falling order, each with a random number.
    fn epoch(workers: u64, done: usize) -> Prefetcher<Vec<(i64, u32)>> {
        let streams = (0..workers).map(|worker| Mt19937::new(3 + worker)).collect();
        Prefetcher::new(order(), BATCH_SIZE, done, streams, prepared)
    }

    fn order() -> Vec<i64> {
        (0..10).rev().collect()
    }

    fn prepared(indices: &[i64], draws: &mut dyn Draws) -> Vec<(i64, u32)> {
        indices.iter().map(|&i| (i, draws.next_u32())).collect()
    }

    #[test]
    fn every_example_comes_once_in_its_order_whoever_prepares_it() {
        for workers in [1, 2, 3, 7] {
            let batches: Vec<_> = epoch(workers, 0).collect();
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
            assert_eq!(batches.concat().iter().map(|(i, _)| *i).collect::<Vec<_>>(), order());
        }
    }

    /// Batch i comes from worker i % workers, whose generator goes on from batch to batch.
    #[test]
    fn a_workers_stream_goes_through_its_batches() {
        let batches: Vec<_> = epoch(2, 0).collect();
        for worker in 0..2 {
            let mut draws = Mt19937::new(3 + worker);
            let order = order();
            for (indices, batch) in order.chunks(BATCH_SIZE).zip(&batches).skip(worker as usize).step_by(2) {
                assert_eq!(prepared(indices, &mut draws), *batch);
            }
        }
    }

    #[test]
    fn what_is_left_of_an_epoch_is_as_in_the_whole() {
        for workers in [1, 2, 3] {
            let whole: Vec<_> = epoch(workers, 0).collect();
            for done in 0..=whole.len() {
                let rest: Vec<_> = epoch(workers, done).collect();
                assert_eq!(rest, whole[done..], "{workers} workers, {done} done");
            }
        }
    }

    #[test]
    fn an_epoch_that_breaks_off_leaves_no_thread_behind() {
        let shared = Arc::new(());
        let held = Arc::clone(&shared);
        let streams = vec![Mt19937::new(0), Mt19937::new(1)];
        let mut batches = Prefetcher::new(order(), 1, 0, streams, move |_, _| Arc::strong_count(&held));
        batches.next();
        drop(batches);
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn a_workers_panic_reaches_who_takes_the_batch() {
        let streams = vec![Mt19937::new(0), Mt19937::new(1)];
        let mut batches =
            Prefetcher::new(order(), BATCH_SIZE, 0, streams, |indices, _| assert!(indices[0] > 6));
        assert_eq!(batches.next(), Some(()));
        assert!(panic::catch_unwind(panic::AssertUnwindSafe(|| batches.next())).is_err());
    }
}
