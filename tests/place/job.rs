//! Starts the processes of a job as torchrun does: each gets five environment variables.

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

/// A job with a port of its own, at which its ranks meet.
pub struct Job {
    size: usize,
    port: u16,
}

impl Job {
    pub fn new(size: usize) -> Self {
        // The port was free a moment ago. Another process could still take it before the job does.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { size, port }
    }

    /// Sets the environment variables of one rank.
    pub fn place<'a>(&self, rank: usize, command: &'a mut Command) -> &'a mut Command {
        command
            .env("RANK", rank.to_string())
            .env("LOCAL_RANK", rank.to_string())
            .env("WORLD_SIZE", self.size.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    pub fn start(&self, command: impl Fn(usize) -> Command) -> Vec<Child> {
        (0..self.size).map(|rank| self.place(rank, &mut command(rank)).spawn().unwrap()).collect()
    }

    pub fn run(&self, command: impl Fn(usize) -> Command) -> Vec<Output> {
        self.start(command).into_iter().map(|child| child.wait_with_output().unwrap()).collect()
    }
}

pub fn assert_all_succeed(outputs: &[Output]) {
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
