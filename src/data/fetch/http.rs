//! Downloads over HTTP that go on where they broke off, in this run or a later one (RFC 9110, section 14).
//!
//! The rest of a file is asked for with `Range`. The checksum of the whole shows whether the rest belongs to what is there (which
//! another mirror may have sent, or the file may have changed); if it does not, the file is fetched anew, once.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tempfile::TempPath;
use ureq::http::{Response, StatusCode, header};

use super::job::{Attempt, Failure, Job, MAX_BYTES, cannot_write, one_line};

/// A connection may break that often, as long as each brings the file further.
const CONNECTIONS: usize = 10;

/// How long the user waits at most for a Ctrl-C to be seen.
const PAUSE: Duration = Duration::from_millis(50);

/// An agent that gives up on a silent network within seconds, yet lets a slow one take its time.
/// It takes the proxy from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(8)))
        .timeout_recv_response(Some(Duration::from_secs(15)))
        .timeout_per_read(Some(Duration::from_secs(20)))
        .build()
        .into()
}

/// Downloads the file `name` from `url`: a file that passed `check`, and vanishes unless it is kept.
pub(super) fn download(
    agent: &ureq::Agent,
    url: &str,
    name: &str,
    check: &dyn Fn(&Path) -> Result<(), String>,
    job: &Job,
) -> Attempt<TempPath> {
    let mut part = Part::open(job.into, name)?;
    if part.len > MAX_BYTES {
        part.restart()?;
    }
    // Whole, if the process was killed before it could say so.
    if part.len > 0 && check(&part.path).is_ok() {
        return part.whole();
    }
    let (mut furthest, mut anew) = (part.len, false);
    for connection in 1.. {
        match receive(agent, url, name, &mut part, job) {
            Ok(resumed) => match check(&part.path) {
                Ok(()) => return part.whole(),
                Err(reason) => {
                    part.restart()?;
                    if !resumed || anew {
                        return Err(reason.into());
                    }
                    (furthest, anew) = (0, true);
                }
            },
            Err(Failure::Origin(_)) if part.len > furthest && connection < CONNECTIONS => {
                furthest = part.len;
            }
            Err(failure) => return Err(failure),
        }
    }
    unreachable!("the loop above has no end but a return")
}

/// A file as far as it is downloaded, `.NAME.part`: it stays until the whole is there; without a byte, it vanishes.
struct Part {
    path: PathBuf,
    file: File,
    /// Bytes that are there.
    len: u64,
}

impl Part {
    /// What there is of the file `name` in `folder`.
    fn open(folder: &Path, name: &str) -> Attempt<Self> {
        let path = folder.join(format!(".{name}.part"));
        let file = File::options().create(true).append(true).open(&path);
        let opened = file.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|e| cannot_write(&path, e))?;
        Ok(Self { path, file, len })
    }

    fn append(&mut self, bytes: &[u8]) -> Attempt {
        self.file.write_all(bytes).map_err(|e| cannot_write(&self.path, e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what is there.
    fn restart(&mut self) -> Attempt {
        self.file.set_len(0).map_err(|e| cannot_write(&self.path, e))?;
        self.len = 0;
        Ok(())
    }

    /// The file as one that vanishes when dropped, unless it is kept.
    fn whole(self) -> Attempt<TempPath> {
        Ok(TempPath::try_from_path(&self.path).map_err(one_line)?)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.len == 0 {
            // Best effort: an empty file does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Appends what one connection brings; gives whether it went on from what was there.
fn receive(agent: &ureq::Agent, url: &str, name: &str, part: &mut Part, job: &Job) -> Attempt<bool> {
    let messages = ask(agent.clone(), url.to_owned(), part.len);
    let Some(Message::Begin { from, total }) = next(&messages, job)? else { return Err("no answer".into()) };
    if from == 0 {
        part.restart()?;
    }
    let bar = job.bar(total, name);
    bar.set_position(from);
    bar.reset_eta();
    let broke_off = |part: &Part, e: &str| format!("broke off after {} bytes: {e}", part.len);
    loop {
        match next(&messages, job) {
            Ok(Some(Message::Chunk(bytes))) => {
                part.append(&bytes)?;
                bar.set_position(part.len);
            }
            Ok(_) if total.is_none_or(|total| total == part.len) => return Ok(from > 0),
            Ok(_) => return Err(broke_off(part, "the connection was closed").into()),
            Err(Failure::Origin(e)) => return Err(broke_off(part, &e).into()),
            Err(end) => return Err(end),
        }
    }
}

/// What comes from the network.
enum Message {
    /// First: bytes from this one on will follow, of so many in the whole file if that is known.
    Begin {
        from: u64,
        total: Option<u64>,
    },
    Chunk(Vec<u8>),
}

/// The next message, `None` when all came.
fn next(messages: &Receiver<Result<Message, String>>, job: &Job) -> Attempt<Option<Message>> {
    loop {
        job.go_on()?;
        match messages.recv_timeout(PAUSE) {
            Ok(message) => return Ok(Some(message?)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Asks for the bytes of `url` from the given one on. In a thread of its own, which touches no file: a network may be silent
/// for long, and nobody who presses Ctrl-C wants to wait for it.
fn ask(agent: ureq::Agent, url: String, from: u64) -> Receiver<Result<Message, String>> {
    let (tell, messages) = sync_channel(16);
    std::thread::spawn(move || {
        if let Err(reason) = listen(&agent, &url, from, &tell) {
            // Nobody listens any more after a Ctrl-C.
            let _ = tell.send(Err(reason));
        }
    });
    messages
}

fn listen(
    agent: &ureq::Agent,
    url: &str,
    from: u64,
    tell: &SyncSender<Result<Message, String>>,
) -> Result<(), String> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let request = request.config().http_status_as_error(false).build();
    let mut response = request.call().map_err(one_line)?;
    let (from, total) = match response.status() {
        // Also to a request for the rest, if the server knows no `Range`.
        StatusCode::OK => (0, response.body().content_length()),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
            match content_range(&response) {
                Some((first, total)) if first == from => (from, total),
                // The rest is not to be had, so that the whole is asked for.
                _ => return listen(agent, url, 0, tell),
            }
        }
        status => return Err(format!("http status: {}", status.as_u16())),
    };
    let mut message = Message::Begin { from, total };
    let mut body = response.body_mut().with_config().limit(MAX_BYTES - from).reader();
    while tell.send(Ok(message)).is_ok() {
        let mut chunk = vec![0; 1 << 16];
        let count = loop {
            match body.read(&mut chunk) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(one_line)?,
            }
        };
        if count == 0 {
            break;
        }
        chunk.truncate(count);
        message = Message::Chunk(chunk);
    }
    Ok(())
}

/// The first byte and the length of the whole, if it is known: `bytes 42-1233/1234` or `bytes 42-1233/*`. A server may give
/// less than the whole rest: then the rest of that is asked for.
fn content_range(response: &Response<ureq::Body>) -> Option<(u64, Option<u64>)> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, total))
}
