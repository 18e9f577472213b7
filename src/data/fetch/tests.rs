use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::super::checksum;
use super::debian::run;
use super::*;

/// What the local server answers for a path.
#[derive(Clone)]
pub(crate) enum Reply {
    Body(Vec<u8>),
    /// Promises one byte more than it sends, and hangs up.
    CutShort(Vec<u8>),
}

/// Serves the files on a port of this machine, anything else as 404, until the tests end; gives its URL.
pub(crate) fn serve<const N: usize>(files: [(&str, Reply); N]) -> String {
    let files: HashMap<String, Reply> =
        files.into_iter().map(|(name, reply)| (format!("/{name}"), reply)).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has hung up is no concern of the server's.
            let _ = stream.and_then(|stream| answer(stream, &files));
        }
    });
    url
}

fn answer(stream: TcpStream, files: &HashMap<String, Reply>) -> io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
    let (status, promised, body) = match request.split(' ').nth(1).and_then(|path| files.get(path)) {
        Some(Reply::Body(body)) => ("200 OK", body.len(), body.as_slice()),
        Some(Reply::CutShort(body)) => ("200 OK", body.len() + 1, body.as_slice()),
        None => ("404 Not Found", 0, &[][..]),
    };
    write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: {promised}\r\nConnection: close\r\n\r\n")?;
    (&stream).write_all(body)
}

/// A URL where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// Origins on this machine, reached without the environment's proxy.
pub(crate) fn origins<const N: usize>(mirrors: [String; N]) -> Origins {
    let agent = ureq::Agent::config_builder().proxy(None).build().into();
    Origins { tried: mirrors.map(Origin::Mirror).into(), agent }
}

/// Fetches `a` and `b`, whose published contents are their names in capitals.
fn fetch(origins: &Origins, into: &Path) -> Result<()> {
    let check = |name: &str, path: &Path| {
        let contents = fs::read_to_string(path).map_err(one_line)?;
        if contents == name.to_uppercase() { Ok(()) } else { Err(format!("got {contents}")) }
    };
    let missing = |folder: &Path| {
        ["a", "b"].into_iter().filter(|name| !folder.join(name).exists()).map(str::to_owned).collect()
    };
    let wanted = Wanted { dataset: "Letters", missing: &missing, check: &check };
    origins.fetch(&wanted, into, true)
}

fn body(text: &str) -> Reply {
    Reply::Body(text.into())
}

/// The folder's files and their contents.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
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
    for bad in [Reply::CutShort(b"B".to_vec()), body("another file")] {
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
        serve([("a", Reply::CutShort(b"A".to_vec()))]),
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
    for (mirror, reason) in mirrors.iter().zip(["refused", "404", "broke off after 1 bytes", "another"]) {
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
    run(Command::new("dpkg-deb").arg("--build").arg(root).arg(&deb))?;
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
                let _ = writeln!(io::stderr(), "SKIPPED unpacks_the_debian_package: {reason}");
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
    let length = sound.len();
    let as_published = |archive: &Vec<u8>| (archive.clone(), Reply::Body(archive.clone()));
    let cases = [
        ((sound.clone(), Reply::CutShort(sound.clone())), format!("broke off after {length} bytes"), &[][..]),
        ((sound.clone(), Reply::Body(sound[..length - 1].to_vec())), "not the published file".into(), &[]),
        ((sound, Reply::Body(damaged)), "not the published file".into(), &[]),
        (as_published(&b"no archive".to_vec()), "cannot be unpacked: ".into(), &[]),
        (as_published(&cut_tar), "cannot be unpacked: ".into(), &["a"]),
        (as_published(&without_b), "has no b in letters".into(), &["a"]),
        (as_published(&link_b), "has no a, b in letters".into(), &[]),
        (as_published(&other_b), "b: got another file".into(), &["a"]),
    ];
    for ((published, reply), expected, kept) in cases {
        let dir = TempDir::new().unwrap();
        let error = fetch_archive(&published, reply, dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("letters.tar.gz: {expected}")), "{expected}: {error}");
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(contents(dir.path()), files(kept), "{expected}");
    }
}
