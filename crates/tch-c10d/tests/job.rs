//! Jobs that break off. Each rank is a thread of this process.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tch::{Device, Tensor};
use tch_c10d::{Error, Fault, Job, Launch, Store, StoreAddress, is_of_exchange};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Without a sign of life for so long, a rank counts as dead.
const SILENCE: Duration = Duration::from_secs(3);

/// The port is free until someone else takes it in the moment to come.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What torchrun would say to a rank, if it does not serve the store itself.
fn launch(port: u16, rank: usize, size: usize) -> Launch {
    let variables =
        [("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", size), ("MASTER_PORT", port.into())];
    let launch = Launch::read(|name| match name {
        "MASTER_ADDR" => Some("127.0.0.1".to_owned()),
        _ => variables.iter().find(|(set, _)| *set == name).map(|(_, value)| value.to_string()),
    });
    launch.unwrap().unwrap()
}

fn join(port: u16, rank: usize, size: usize) -> Job {
    Job::join(launch(port, rank, size), TIMEOUT).unwrap()
}

/// The fault of a job whose store answers.
fn fault(job: Job) -> Fault {
    job.fault(|| panic!("the store answers"))
}

#[test]
fn a_rank_that_fails_leaves_its_reason() {
    let port = free_port();
    let first = || {
        let job = join(port, 0, 2);
        let group = job.group(Device::Cpu).unwrap();
        let error = group.all_reduce(&mut Tensor::from(1.0f32)).unwrap_err().to_string();
        assert!(is_of_exchange(&error), "{error}");
        fault(job)
    };
    let second = || {
        let job = join(port, 1, 2);
        drop(job.group(Device::Cpu).unwrap());
        job.fail(b"no more room on the disk");
    };
    let fault = thread::scope(|scope| {
        let first = scope.spawn(first);
        second();
        first.join().unwrap()
    });
    assert_eq!(fault, Fault::Failed { rank: 1, reason: b"no more room on the disk".into() });
    assert_eq!(fault.to_string(), "rank 1: no more room on the disk");
    assert!(!is_of_exchange(&fault.to_string()));
}

#[test]
fn a_rank_that_never_comes_is_absent() {
    let timeout = Duration::from_secs(1);
    let job = Job::join(launch(free_port(), 0, 2), timeout).unwrap();
    let error = job.group(Device::Cpu).unwrap_err().to_string();
    assert!(is_of_exchange(&error), "{error}");
    let fault = fault(job);
    assert_eq!(fault, Fault::Absent { rank: 1, timeout });
    assert_eq!(fault.to_string(), "rank 1 did not come within 1 s");
}

#[test]
fn a_rank_that_shows_no_sign_of_life_is_silent() {
    let port = free_port();
    let job = join(port, 0, 3);
    let other = join(port, 1, 3);
    // Rank 2 showed one sign, and then no more.
    job.store().set("pulse/2", b"1").unwrap();
    let fault = thread::scope(|scope| {
        // Rank 0 waits for rank 1 to leave, too.
        scope.spawn(|| drop(other));
        fault(job)
    });
    assert_eq!(fault, Fault::Silent { rank: 2, silence: SILENCE });
    assert_eq!(fault.to_string(), "rank 2 was killed or hangs: no sign of life for 3 s");
}

#[test]
fn ranks_that_all_live_are_not_blamed() {
    let port = free_port();
    let jobs = [join(port, 0, 2), join(port, 1, 2)];
    let faults =
        thread::scope(|scope| jobs.map(|job| scope.spawn(|| fault(job))).map(|rank| rank.join().unwrap()));
    assert_eq!(faults, [Fault::AllLive, Fault::AllLive]);
}

#[test]
fn a_store_that_is_gone_is_named() {
    let port = free_port();
    let address = |launch: &Launch| StoreAddress { serve: true, ..launch.store.clone() };
    let server = Store::connect(&address(&launch(port, 1, 2)), TIMEOUT).unwrap();
    let job = join(port, 1, 2);
    drop(server);
    assert_eq!(fault(job), Fault::StoreGone);

    let error = Job::join(launch(port, 1, 2), Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, Error::NoStore { rank: 1, .. }), "{error}");
    let words = format!("rank 1 cannot reach the store at 127.0.0.1:{port} (libtorch: ");
    assert!(error.to_string().starts_with(&words), "{error}");
}

/// The store is behind a link that is cut, as between two machines: nothing is refused, and nothing answers.
#[test]
fn a_store_that_does_not_answer_is_not_waited_for_forever() {
    let (port, cut) = (free_port(), Arc::new(AtomicBool::new(false)));
    let _first = join(port, 0, 2);
    let job = join(link_to(port, &cut), 1, 2);
    cut.store(true, Ordering::SeqCst);
    let repaired = Arc::clone(&cut);
    job.fault(move || repaired.store(false, Ordering::SeqCst));
    assert!(!cut.load(Ordering::SeqCst), "`unanswered` ran");
}

/// A port behind which is `port` of this machine. While `cut`, nothing goes through.
fn link_to(port: u16, cut: &Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (link, cut) = (listener.local_addr().unwrap().port(), Arc::clone(cut));
    let pass_on = |mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>| {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while cut.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    };
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (from, to, cut) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&cut));
                thread::spawn(move || pass_on(from, to, cut));
            }
        }
    });
    link
}
