//! Downloads over HTTP that go on where they broke off, in this run or a later one (RFC 9110, section 14).
//!
//! The rest of a file is asked for with `Range`. Whether the rest belongs to what is there (another mirror may have sent
//! that, or the file may have changed) is told by the checksum of the whole, which no validator could tell as well; if it
//! does not, the file is fetched anew, once.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tempfile::TempPath;
use ureq::http::{Response, StatusCode, header};

use super::MAX_BYTES;
use super::job::{Attempt, Failure, Job, one_line};
use super::partial::Partial;

/// A connection may break that often, as long as each brings the file further.
const CONNECTIONS: usize = 10;

/// How long the user waits at most for a Ctrl-C to be seen.
const PAUSE: Duration = Duration::from_millis(50);

/// Downloads the file `name` from `url`: a file that passed `check`, and vanishes unless it is kept.
pub(super) fn download(
    agent: &ureq::Agent,
    url: &str,
    name: &str,
    check: &dyn Fn(&Path) -> Result<(), String>,
    job: &Job,
) -> Attempt<TempPath> {
    let mut part = Partial::open(job.into, name)?;
    if part.len() > MAX_BYTES {
        part.restart()?;
    }
    // Whole, if the process was killed before it could say so.
    if part.len() > 0 && check(part.path()).is_ok() {
        return part.whole();
    }
    let (mut furthest, mut anew) = (part.len(), false);
    for connection in 1.. {
        match receive(agent, url, name, &mut part, job) {
            Ok(resumed) => match check(part.path()) {
                Ok(()) => return part.whole(),
                Err(reason) => {
                    part.restart()?;
                    if !resumed || anew {
                        return Err(reason.into());
                    }
                    (furthest, anew) = (0, true);
                }
            },
            Err(Failure::Origin(_)) if part.len() > furthest && connection < CONNECTIONS => {
                furthest = part.len();
            }
            Err(failure) => return Err(failure),
        }
    }
    unreachable!("the loop above has no end but a return")
}

/// Appends what one connection brings; gives whether it went on from what was there.
fn receive(agent: &ureq::Agent, url: &str, name: &str, part: &mut Partial, job: &Job) -> Attempt<bool> {
    let messages = ask(agent.clone(), url.to_owned(), part.len());
    let (from, total) = match next(&messages, job)? {
        Some(Message::Answer(Answer::Body { from, total })) => (from, total),
        // The rest is not to be had, so that the whole is asked for.
        Some(Message::Answer(Answer::NoRest)) => {
            part.restart()?;
            return receive(agent, url, name, part, job);
        }
        Some(Message::Chunk(_)) | None => return Err("no answer".into()),
    };
    if from == 0 {
        part.restart()?;
    }
    let bar = job.bar(total, name);
    bar.set_position(from);
    bar.reset_eta();
    let broke_off = |part: &Partial, e: &str| format!("broke off after {} bytes: {e}", part.len());
    loop {
        match next(&messages, job) {
            Ok(Some(Message::Chunk(bytes))) => {
                part.append(&bytes)?;
                bar.set_position(part.len());
            }
            Ok(_) if total.is_none_or(|total| total == part.len()) => return Ok(from > 0),
            Ok(_) => return Err(broke_off(part, "the connection was closed").into()),
            Err(Failure::Origin(e)) => return Err(broke_off(part, &e).into()),
            Err(end) => return Err(end),
        }
    }
}

/// What the network says.
enum Message {
    Answer(Answer),
    Chunk(Vec<u8>),
}

enum Answer {
    /// The bytes from this one to the last, of so many in the whole file if that is known.
    Body { from: u64, total: Option<u64> },
    /// The server does not give the bytes that were asked for.
    NoRest,
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
    let answer = answer(&response, from)?;
    let from = if let Answer::Body { from, .. } = answer { Some(from) } else { None };
    let told = tell.send(Ok(Message::Answer(answer)));
    let Some(from) = from.filter(|_| told.is_ok()) else { return Ok(()) };
    let mut body = response.body_mut().with_config().limit(MAX_BYTES - from).reader();
    loop {
        let mut chunk = vec![0; 1 << 16];
        match body.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => chunk.truncate(n),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(one_line(e)),
        }
        if tell.send(Ok(Message::Chunk(chunk))).is_err() {
            return Ok(());
        }
    }
}

/// What the server makes of the request for the bytes from the given one on.
fn answer(response: &Response<ureq::Body>, from: u64) -> Result<Answer, String> {
    match response.status() {
        // Also to a request for the rest, if the server knows no `Range`.
        StatusCode::OK => Ok(Answer::Body { from: 0, total: response.body().content_length() }),
        StatusCode::PARTIAL_CONTENT if from > 0 => Ok(match content_range(response) {
            Some((first, total)) if first == from => Answer::Body { from, total },
            _ => Answer::NoRest,
        }),
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Ok(Answer::NoRest),
        status => Err(format!("http status: {}", status.as_u16())),
    }
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
