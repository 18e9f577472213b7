use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};
use torchvision_exact::random::{Draws, Mt19937};

use super::super::checksum;
use super::job::{ANOTHER_CACHE, LOCK, one_line};
use super::*;
use crate::error::Result;

/// What the local server answers for a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// The file, or the bytes of it that are asked for.
    Body(Vec<u8>),
    /// The file, whatever is asked for.
    NoRange(Vec<u8>),
    /// Other bytes than are asked for.
    WrongRange(Vec<u8>),
    /// The first answers break off after so many bytes each.
    Cut(Vec<u8>, Vec<usize>),
    /// Every answer breaks off after so many bytes of the whole file.
    CutShort(Vec<u8>, usize),
    /// So many bytes, and then nothing, without hanging up.
    Silent(Vec<u8>, usize),
}

/// What a server was asked for: a file, and from which byte on.
type Record = Arc<Mutex<Vec<(String, usize)>>>;

/// Serves the files on a port of this machine, anything else as 404, until the tests end; gives its URL.
pub(crate) fn serve<const N: usize>(files: [(&str, Reply); N]) -> String {
    serve_on_record(files).0
}

/// As `serve`, with the requests for its files.
fn serve_on_record<const N: usize>(files: [(&str, Reply); N]) -> (String, Record) {
    let files: HashMap<String, Reply> =
        files.into_iter().map(|(name, reply)| (name.to_owned(), reply)).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let record = Record::default();
    let (files, asked) = (Arc::new(files), record.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (files, asked) = (files.clone(), asked.clone());
            // A client that has hung up is no concern of the server's.
            thread::spawn(move || stream.and_then(|stream| answer(stream, &files, &asked)));
        }
    });
    (url, record)
}

fn answer(stream: TcpStream, files: &HashMap<String, Reply>, asked: &Record) -> io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut from = 0;
    while let Some(header) = lines.next().transpose()?.filter(|header| !header.is_empty()) {
        if let Some(range) = header.to_lowercase().strip_prefix("range: bytes=") {
            from = range.strip_suffix('-').unwrap().parse().unwrap();
        }
    }
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let Some(reply) = files.get(name) else { return respond(&stream, "404 Not Found", 0, &[]) };
    let earlier = {
        let mut asked = asked.lock().unwrap();
        asked.push((name.to_owned(), from));
        asked.iter().filter(|(other, _)| other == name).count() - 1
    };
    let body = match reply {
        Reply::Body(body) | Reply::NoRange(body) | Reply::WrongRange(body) => body,
        Reply::Cut(body, _) | Reply::CutShort(body, _) | Reply::Silent(body, _) => body,
    };
    // A server knows no range that begins behind the end.
    if from >= body.len() && from > 0 {
        return respond(&stream, "416 Range Not Satisfiable", 0, &[]);
    }
    let first = match reply {
        Reply::NoRange(_) | Reply::CutShort(..) => 0,
        Reply::WrongRange(_) => from / 2,
        _ => from,
    };
    let (rest, length) = (&body[first..], body.len());
    let sent = match reply {
        Reply::Cut(_, cuts) => cuts.get(earlier).map_or(rest, |&cut| &rest[..cut.min(rest.len())]),
        Reply::CutShort(_, sent) | Reply::Silent(_, sent) => &rest[..*sent],
        _ => rest,
    };
    let status = match first {
        0 => "200 OK".to_owned(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{length}", length - 1),
    };
    respond(&stream, &status, rest.len(), sent)?;
    if matches!(reply, Reply::Silent(..)) {
        // Until the client hangs up.
        (&stream).read_exact(&mut [0])?;
    }
    Ok(())
}

fn respond(mut stream: &TcpStream, status: &str, promised: usize, sent: &[u8]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {promised}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(sent)
}

/// A URL where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// Origins on this machine, reached without the environment's proxy.
pub(crate) fn origins<const N: usize>(mirrors: [String; N]) -> Origins {
    let agent = ureq::Agent::config_builder().proxy(None).build().into();
    Origins { tried: mirrors.map(Origin::Mirror).into(), agent, stop: || false }
}

/// Fetches `a` and `b`, whose published contents are their names in capitals.
fn fetch(origins: &Origins, into: &Path) -> Result<()> {
    fetch_as(&[("a", b"A"), ("b", b"B")], origins, into)
}

/// Fetches the files, of which these are the published contents.
fn fetch_as(published: &[(&str, &[u8])], origins: &Origins, into: &Path) -> Result<()> {
    let check = |name: &str, path: &Path| {
        let got = fs::read(path).map_err(one_line)?;
        let (_, expected) = published.iter().find(|(published, _)| *published == name).ok_or("not wanted")?;
        if got == *expected {
            return Ok(());
        }
        Err(format!("got {}", String::from_utf8_lossy(&got[..got.len().min(12)])))
    };
    let missing = |folder: &Path| {
        let names = published.iter().map(|(name, _)| *name);
        names.filter(|name| !folder.join(name).exists()).map(str::to_owned).collect()
    };
    let wanted = Wanted { dataset: "Letters", missing: &missing, check: &check };
    origins.fetch(&wanted, into, true)
}

fn body(text: &str) -> Reply {
    Reply::Body(text.into())
}

/// The folder's files and their contents; of no interest is the file that is locked.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != LOCK)
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn files(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), name.to_uppercase())).collect()
}

#[test]
fn fetches_into_a_new_folder() {
    let dir = TempDir::new().unwrap();
    let cache = dir.path().join("not/yet/there");
    fetch(&origins([serve([("a", body("A")), ("b", body("B"))])]), &cache).unwrap();
    assert_eq!(contents(&cache), files(&["a", "b"]));
}

/// What one mirror brought is kept, and the next one is asked for the rest only.
#[test]
fn goes_on_with_the_next_mirror() {
    let rest = serve([("b", body("B"))]);
    for bad in [Reply::CutShort(b"B".to_vec(), 0), body("another file")] {
        let dir = TempDir::new().unwrap();
        let first = serve([("a", body("A")), ("b", bad)]);
        fetch(&origins([nobody(), first, rest.clone()]), dir.path()).unwrap();
        assert_eq!(contents(dir.path()), files(&["a", "b"]));
    }
}

/// Nothing half-written stays, under any name; one line says what was tried, one what to do.
#[test]
fn says_why_nothing_could_be_fetched() {
    let mirrors = [
        nobody(),
        serve([]),
        serve([("a", Reply::CutShort(b"A".to_vec(), 0))]),
        serve([("a", body("another file"))]),
    ];
    let mut origins = origins(mirrors.clone());
    let package = Package { apt_get: &["no-such-program"], name: "dataset", folder: "" };
    origins.tried.push(Origin::Debian(package));
    let dir = TempDir::new().unwrap();
    let error = fetch(&origins, dir.path()).unwrap_err();

    assert_eq!(contents(dir.path()), []);
    let what = error.to_string();
    let mut rest = what.strip_prefix("Letters is not on this machine and could not be fetched: ").unwrap();
    for (mirror, reason) in mirrors.iter().zip(["refused", "404", "broke off after 0 bytes", "another"]) {
        let (this, next) = rest.split_once("; ").unwrap();
        assert!(this.starts_with(&format!("{mirror}a: ")) && this.contains(reason), "{reason}: {what}");
        rest = next;
    }
    assert!(rest.starts_with("apt-get download dataset: no-such-program: "), "{what}");
    assert!(error.remedy().contains("--data-dir"));
    assert!(!what.contains('\n') && !error.remedy().contains('\n'));
}

#[test]
fn says_that_the_cache_cannot_be_made() {
    let file = NamedTempFile::new().unwrap();
    let error = fetch(&origins([]), &file.path().join("cache")).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

/// A package of the files `a` and `b`, made by `dpkg-deb`, and an `apt-get` that brings it.
fn debian_package(dir: &Path, b: &str) -> std::result::Result<Package, String> {
    let root = dir.join("root");
    let control = "Package: letters\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n";
    for (name, contents) in
        [("DEBIAN/control", control), ("usr/share/letters/a", "A"), ("usr/share/letters/b", b)]
    {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    let deb = dir.join("made.deb");
    let built = Command::new("dpkg-deb").arg("--build").arg(root).arg(&deb).output();
    built.map_err(|e| format!("dpkg-deb: {e}"))?;
    let script = dir.join("apt-get");
    fs::write(&script, format!("for last; do :; done; cp '{}' \"$last.deb\"", deb.display())).unwrap();
    let apt_get = vec!["sh", script.to_str().unwrap().to_owned().leak()].leak();
    Ok(Package { apt_get, name: "letters", folder: "usr/share/letters" })
}

/// The package brings what the mirror did not, and is checked like a mirror.
#[test]
fn unpacks_the_debian_package() {
    for (b, kept) in [("B", ["a", "b"].as_slice()), ("another file", &["a"])] {
        let dir = TempDir::new().unwrap();
        let cache = dir.path().join("cache");
        let mut origins = origins([serve([("a", body("A"))])]);
        match debian_package(dir.path(), b) {
            Ok(package) => origins.tried.push(Origin::Debian(package)),
            Err(reason) => {
                // Past the test harness, which would keep it to itself.
                let line = format!("SKIPPED unpacks_the_debian_package: {reason}\n");
                let _ = io::stderr().write_all(line.as_bytes());
                return;
            }
        }
        let fetched = fetch(&origins, &cache);
        assert_eq!(fetched.is_ok(), kept.len() == 2, "{fetched:?}");
        assert_eq!(contents(&cache), files(kept));
    }
}

/// A `.tar.gz` of these paths, whatever they are, and contents.
pub(crate) fn tar_gz<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, contents) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        // `set_path` takes no path that leads out of the folder.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, contents).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Fetches `a` and `b` from a server with this `reply`, where the published archive is `published`.
fn fetch_archive(published: &[u8], reply: Reply, into: &Path) -> Result<()> {
    let url = format!("{}letters.tar.gz", serve([("letters.tar.gz", reply)]));
    let sha256 = checksum::hex(Sha256::new_with_prefix(published));
    let mut origins = origins([]);
    origins.tried.push(Origin::Archive(Archive { url, sha256, folder: "letters" }));
    fetch(&origins, into)
}

/// Files are known by their whole path; no other member leaves a trace, inside the folder or outside.
#[test]
fn an_archive_gives_the_wanted_files_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let cache = dir.path().join("in/cache");
    let absolute = dir.path().join("absolute");
    let archive = tar_gz([
        ("../outside", b"x".as_slice()),
        ("letters/../../outside", b"x"),
        (absolute.to_str().unwrap(), b"x"),
        ("a", b"x"),
        ("letters/more/a", b"x"),
        ("letters/../a", b"x"),
        ("letters/c", b"x"),
        ("letters/b", b"B"),
        ("letters/a", b"A"),
    ]);
    fetch_archive(&archive, Reply::Body(archive.clone()), &cache).unwrap();
    assert_eq!(contents(&cache), files(&["a", "b"]));
    for folder in [dir.path(), &dir.path().join("in")] {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "{}", folder.display());
    }
}

/// A member that is not needed any more may be anything.
#[test]
fn an_archive_brings_what_the_mirror_did_not() {
    let dir = TempDir::new().unwrap();
    let archive = tar_gz([("letters/a", b"another file".as_slice()), ("letters/b", b"B")]);
    let sha256 = checksum::hex(Sha256::new_with_prefix(&archive));
    let server = serve([("a", body("A")), ("all.tar.gz", Reply::Body(archive))]);
    let mut origins = origins([server.clone()]);
    let url = format!("{server}all.tar.gz");
    origins.tried.push(Origin::Archive(Archive { url, sha256, folder: "letters" }));
    fetch(&origins, dir.path()).unwrap();
    assert_eq!(contents(dir.path()), files(&["a", "b"]));
}

/// Checked files stay, nothing else does; one line says why.
#[test]
fn a_bad_archive_is_refused() {
    let sound = tar_gz([("letters/a", b"A".as_slice()), ("letters/b", b"B")]);
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 1;
    let without_b = tar_gz([("letters/a", b"A".as_slice())]);
    let other_b = tar_gz([("letters/a", b"A".as_slice()), ("letters/b", b"another file")]);
    // Ends within the header of `b`.
    let cut_tar = {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&*sound).read_to_end(&mut tar).unwrap();
        gz.write_all(&tar[..1300]).unwrap();
        gz.finish().unwrap()
    };
    let link_b = {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "letters/b", "/etc/passwd").unwrap();
        archive.into_inner().unwrap().finish().unwrap()
    };
    let as_published = |archive: &Vec<u8>| (archive.clone(), Reply::Body(archive.clone()));
    let cases = [
        ((sound.clone(), Reply::CutShort(sound.clone(), 0)), "broke off after 0 bytes", &[][..]),
        ((sound.clone(), Reply::Body(sound[..sound.len() - 1].to_vec())), "not the published file", &[]),
        ((sound, Reply::Body(damaged)), "not the published file", &[]),
        (as_published(&b"no archive".to_vec()), "cannot be unpacked: ", &[]),
        (as_published(&cut_tar), "cannot be unpacked: ", &["a"]),
        (as_published(&without_b), "has no b in letters", &["a"]),
        (as_published(&link_b), "has no a, b in letters", &[]),
        (as_published(&other_b), "b: got another file", &["a"]),
    ];
    for ((published, reply), expected, kept) in cases {
        let dir = TempDir::new().unwrap();
        let error = fetch_archive(&published, reply, dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("letters.tar.gz: {expected}")), "{expected}: {error}");
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(contents(dir.path()), files(kept), "{expected}");
    }
}

/// A file of so many bytes, no two parts of which are alike.
fn long(bytes: usize) -> Vec<u8> {
    let mut random = Mt19937::new(7);
    (0..bytes).map(|_| random.next_u32() as u8).collect()
}

/// What is there of `a`, when a download of it broke off.
fn part(folder: &Path) -> std::path::PathBuf {
    folder.join(".a.part")
}

/// Fetches `a`, published as `file`, from a mirror with this `reply` into a cache that has `begun` of it. Gives the result,
/// the first bytes of what the mirror was asked for, and the cache.
fn go_on(file: &[u8], begun: &[u8], reply: Reply) -> (Result<()>, Vec<usize>, TempDir) {
    let dir = TempDir::new().unwrap();
    fs::write(part(dir.path()), begun).unwrap();
    let (url, record) = serve_on_record([("a", reply)]);
    let fetched = fetch_as(&[("a", file)], &origins([url]), dir.path());
    let asked = record.lock().unwrap().iter().map(|(_, from)| *from).collect();
    if fetched.is_ok() {
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), file);
        assert!(!part(dir.path()).exists());
    } else {
        assert!(!dir.path().join("a").exists());
    }
    (fetched, asked, dir)
}

/// Connections that break anywhere: each next one is asked for the rest only.
#[test]
fn a_download_goes_on_where_it_broke_off() {
    let file = long(300_000);
    let mut random = Mt19937::new(3);
    for _ in 0..20 {
        // From one byte to a third of the file, so that more than one connection brings it.
        let mut cuts: Vec<_> = (0..5).map(|_| 1 + random.next_u32() as usize % 100_000).collect();
        let mut at = 0;
        cuts.retain(|cut| {
            at += cut;
            at < file.len()
        });
        let breaks = cuts.iter().scan(0, |at, cut| {
            *at += cut;
            Some(*at)
        });
        let expected: Vec<usize> = [0].into_iter().chain(breaks).collect();
        let (fetched, asked, _) = go_on(&file, b"", Reply::Cut(file.clone(), cuts));
        fetched.unwrap();
        assert_eq!(asked, expected);
    }
}

/// What broke off too often, or for good, stays for the next run: and that asks for the rest only.
#[test]
fn the_next_run_goes_on_with_what_is_there() {
    let file = long(50_000);
    let (fetched, asked, dir) = go_on(&file, b"", Reply::Cut(file.clone(), vec![1000; 20]));
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains("a: broke off after 10000 bytes: "), "{error}");
    assert_eq!(asked, (0..10).map(|i| i * 1000).collect::<Vec<_>>());

    let begun = fs::read(part(dir.path())).unwrap();
    assert_eq!(begun, file[..10_000]);
    let (fetched, asked, _) = go_on(&file, &begun, Reply::Body(file.clone()));
    fetched.unwrap();
    assert_eq!(asked, [10_000]);

    // Killed before it got its name.
    let (fetched, asked, _) = go_on(&file, &file, Reply::Body(file.clone()));
    fetched.unwrap();
    assert_eq!(asked, [0_usize; 0]);
}

/// Servers that give something else than the rest, and rests of something else.
#[test]
fn a_rest_that_does_not_fit_is_fetched_anew_once() {
    let (file, other) = (long(5_000), vec![b'x'; 5_000]);
    let begun = &file[..2_000];
    let longer = [file.as_slice(), b"more"].concat();
    let whole = || Reply::Body(file.clone());
    for (begun, reply, expected) in [
        (begun, Reply::NoRange(file.clone()), [2_000].as_slice()),
        (begun, Reply::WrongRange(file.clone()), &[2_000, 0]),
        (&longer, whole(), &[5_004, 0]),
        (&other, whole(), &[5_000, 0]),
        (&other[..2_000], whole(), &[2_000, 0]),
        // The second time broken off, too.
        (&other[..2_000], Reply::Cut(file.clone(), vec![5_000, 1_500]), &[2_000, 0, 1_500]),
    ] {
        let (fetched, asked, _) = go_on(&file, begun, reply);
        fetched.unwrap();
        assert_eq!(asked, expected);
    }

    // Another file of the right length, whole or after what was there; nothing of it stays.
    for (begun, expected) in [(b"".as_slice(), [0].as_slice()), (begun, &[2_000, 0])] {
        let (fetched, asked, dir) = go_on(&file, begun, Reply::Body(other.clone()));
        let error = fetched.unwrap_err().to_string();
        assert!(error.contains("a: got xxxxxxxxxxxx"), "{error}");
        assert_eq!(asked, expected);
        assert_eq!(contents(dir.path()), []);
    }
}

/// What one mirror began, the next one ends.
#[test]
fn a_mirror_goes_on_where_another_broke_off() {
    let file = long(9_000);
    let dir = TempDir::new().unwrap();
    let (first, first_record) = serve_on_record([("a", Reply::CutShort(file.clone(), 4_000))]);
    let (second, record) = serve_on_record([("a", Reply::Body(file.clone()))]);
    fetch_as(&[("a", &file)], &origins([first, second]), dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), file);
    assert_eq!(*record.lock().unwrap(), [("a".to_owned(), 4_000)]);
    // The second connection brought no more than the first.
    assert_eq!(*first_record.lock().unwrap(), [("a".to_owned(), 0), ("a".to_owned(), 4_000)]);
}

/// On a network that says nothing more, and without time-outs.
#[test]
fn an_interrupted_download_ends_at_once_and_is_kept() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let file = long(5_000);
    let dir = TempDir::new().unwrap();
    let mut origins = origins([serve([("a", Reply::Silent(file.clone(), 3_000))])]);
    origins.stop = || STOP.load(Ordering::Relaxed);
    let error = thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch_as(&[("a", &file)], &origins, dir.path()));
        while fs::metadata(part(dir.path())).map_or(0, |part| part.len()) < 3_000 {
            sleep(Duration::from_millis(5));
        }
        STOP.store(true, Ordering::Relaxed);
        fetching.join().unwrap().unwrap_err()
    });
    assert!(error.is_interruption());
    assert!(error.to_string().contains("Letters") && error.remedy().contains("run again"), "{error}");
    assert_eq!(fs::read(part(dir.path())).unwrap(), file[..3_000]);
}

#[test]
fn an_interrupted_program_is_ended() {
    let dir = TempDir::new().unwrap();
    let mut origins = origins([]);
    origins.stop = || true;
    let apt_get = &["sh", "-c", "sleep 1000"];
    origins.tried.push(Origin::Debian(Package { apt_get, name: "letters", folder: "" }));
    let error = fetch(&origins, dir.path()).unwrap_err();
    assert!(error.is_interruption() && contents(dir.path()).is_empty());
}

/// Of two that need the same files, one fetches them, and the other finds them.
#[test]
fn two_at_once_fetch_once() {
    let file = long(100_000);
    let archive = tar_gz([("letters/a", file.as_slice()), ("letters/b", b"B")]);
    for as_archive in [false, true, false, true] {
        let dir = TempDir::new().unwrap();
        let cut = |file: &[u8]| Reply::Cut(file.to_owned(), vec![9_000; 5]);
        let (url, record) =
            serve_on_record([("a", cut(&file)), ("b", body("B")), ("all.tar.gz", cut(&archive))]);
        let (url_of_archive, mut origins, start) =
            (format!("{url}all.tar.gz"), origins([url]), Barrier::new(4));
        if as_archive {
            let sha256 = checksum::hex(Sha256::new_with_prefix(&archive));
            origins.tried = vec![Origin::Archive(Archive { url: url_of_archive, sha256, folder: "letters" })];
        }
        thread::scope(|scope| {
            let fetch = || {
                start.wait();
                fetch_as(&[("a", &file), ("b", b"B")], &origins, dir.path())
            };
            let fetching: Vec<_> = (0..4).map(|_| scope.spawn(fetch)).collect();
            fetching.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        });
        let asked: Vec<_> = record.lock().unwrap().iter().map(|(_, from)| *from).collect();
        let connections = [0, 9_000, 18_000, 27_000, 36_000, 45_000, 0];
        assert_eq!(asked, connections[..if as_archive { 6 } else { 7 }]);
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), file);
    }
}

#[test]
fn who_waits_for_another_can_be_interrupted() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let dir = TempDir::new().unwrap();
    let (url, record) = serve_on_record([("a", body("A")), ("b", body("B"))]);
    let mut origins = origins([url]);
    origins.stop = || STOP.load(Ordering::Relaxed);
    let other = fs::File::create(dir.path().join(LOCK)).unwrap();
    other.lock().unwrap();
    thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&origins, dir.path()));
        sleep(Duration::from_millis(250));
        assert!(!fetching.is_finished(), "it waits");
        STOP.store(true, Ordering::Relaxed);
        assert!(fetching.join().unwrap().unwrap_err().is_interruption());
    });
    assert!(record.lock().unwrap().is_empty());

    // The other one ended, however it did; what it left unfinished goes.
    STOP.store(false, Ordering::Relaxed);
    drop(other);
    fs::write(dir.path().join(".tmp-x-a"), "half").unwrap();
    fs::write(dir.path().join(".gone.tar.gz.part"), "half").unwrap();
    fetch(&origins, dir.path()).unwrap();
    assert_eq!(contents(dir.path()), files(&["a", "b"]));
}

/// Also root, whom no permission hinders, cannot write to a folder.
#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join(LOCK)).unwrap();
    let (url, record) = serve_on_record([("a", body("A")), ("b", body("B"))]);
    let origins = origins([url.clone(), url]);
    let error = fetch(&origins, dir.path()).unwrap_err();
    let expected = format!("cannot write to the cache folder {}: .lock: ", dir.path().display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!((error.exit_code(), error.remedy()), (1, ANOTHER_CACHE));

    fs::remove_dir(dir.path().join(LOCK)).unwrap();
    fs::create_dir(part(dir.path())).unwrap();
    let error = fetch(&origins, dir.path()).unwrap_err();
    let expected = format!("cannot write {}: ", part(dir.path()).display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(record.lock().unwrap().is_empty(), "no other mirror would help");
}

/// This test again, as a process whose files may have 64 KiB at most: where the disk is full, so to speak.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    const ARCHIVE: &str = "D2L_CH7_TEST_ARCHIVE";
    const INTO: &str = "D2L_CH7_TEST_INTO";
    let (a, b) = (vec![b'A'; 20_000], vec![b'B'; 300_000]);
    let archive = tar_gz([("letters/a", a.as_slice()), ("letters/b", &b)]);
    let published: [(&str, &[u8]); 2] = [("a", &a), ("b", &b)];
    let fetch = |url: &str, into: &Path| {
        let sha256 = checksum::hex(Sha256::new_with_prefix(&archive));
        let mut origins = origins([]);
        origins.tried.push(Origin::Archive(Archive { url: url.into(), sha256, folder: "letters" }));
        fetch_as(&published, &origins, into)
    };
    if let (Ok(url), Ok(into)) = (std::env::var(ARCHIVE), std::env::var(INTO)) {
        let error = fetch(&url, Path::new(&into)).unwrap_err();
        println!("error: {error}\nhelp: {}", error.remedy());
        return;
    }

    let dir = TempDir::new().unwrap();
    let (url, record) = serve_on_record([("letters.tar.gz", Reply::Body(archive.clone()))]);
    let url = format!("{url}letters.tar.gz");
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "data::fetch::tests::a_full_disk_loses_nothing", "--nocapture"])
        .env(ARCHIVE, &url)
        .env(INTO, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let path = dir.path().join("b");
    assert!(said.contains(&format!("error: cannot write {}: ", path.display())), "{said}");
    assert!(said.contains("\nhelp: make room there"), "{said}");
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), a);
    assert!(!path.exists());

    // The archive was kept.
    fetch(&url, dir.path()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b);
    assert_eq!(record.lock().unwrap().len(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
