//! Ranks as threads of one process: for tests, and to try things out.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tch::Device;

use crate::{ProcessGroup, Result, Store, StoreAddress};

/// How long a rank waits for the store, and at the end for the others.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs `f` at the same time on `size` ranks, each a thread with its own connection to the store and its own handle of the group, and gives
/// what each rank gave. A collective that takes longer than `timeout` fails. libtorch's default generators belong to the process: the
/// ranks share them.
///
/// # Panics
/// If `f` panics on a rank, or the ranks do not find each other.
pub fn ranks_in_threads<T: Send>(
    size: usize,
    timeout: Duration,
    f: impl Fn(usize, &Store, &Arc<ProcessGroup>) -> T + Sync,
) -> Vec<T> {
    let port = free_port();
    let rank = |rank: usize| -> Result<T> {
        let store = connect(port, rank)?;
        let group = Arc::new(ProcessGroup::new(&store, rank, size, Device::Cpu, timeout)?);
        // A rank that is done early must not leave before the others have connected.
        group.barrier()?;
        let result = f(rank, &store, &group);
        // Rank 0 serves the store: it is the last to go.
        store.set(&done(rank), &[])?;
        if rank == 0 {
            (1..size).try_for_each(|other| store.get(&done(other), TIMEOUT).map(drop))?;
        }
        Ok(result)
    };
    let rank = &rank;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..size).map(|number| scope.spawn(move || rank(number))).collect();
        let results = threads.into_iter().map(|thread| thread.join().expect("no rank panics"));
        results.map(|result| result.expect("the ranks find each other")).collect()
    })
}

fn done(rank: usize) -> String {
    format!("done/{rank}")
}

/// The port is free until someone else takes it in the moment to come.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("this machine has a free port").port()
}

/// The store on this machine that rank 0 serves.
pub(crate) fn connect(port: u16, rank: usize) -> Result<Store> {
    let address =
        StoreAddress { host: "127.0.0.1".to_owned(), port, serve: rank == 0, prefix: "threads".to_owned() };
    Store::connect(&address, TIMEOUT)
}
