//! The directory of one run, and files that appear in it whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::{Error, Result};

/// Where runs go that were not told where to go, from the current directory.
const REPORTS: &str = "reports";

/// How the name of a file begins until it is finished.
const UNFINISHED: &str = ".tmp-";

/// The directory of one run: `config.json`, `metrics.csv`, `curves.png`, `report.md` and `weights/`.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes a new, empty directory: `out`, or `reports/<recipe>-<UTC time>` (such as `book-20260102-153045`, with
    /// `-2` behind it if that is taken). Parents are made too.
    ///
    /// # Errors
    /// A usage error if `out` exists, whatever it is; a failure if it cannot be made. Neither leaves anything behind.
    pub fn create(out: Option<&Path>, recipe: &str) -> Result<Self> {
        match out {
            Some(out) => Self::create_at(out),
            None => Self::create_dated(Path::new(REPORTS), recipe, OffsetDateTime::now_utc()),
        }
    }

    /// Opens the directory of an earlier run.
    ///
    /// # Errors
    /// If `path` is not a directory.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let what = format!("{} is not the directory of a run", path.display());
            return Err(Error::usage(what, format!("name a directory that a run left, under {REPORTS}/")));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Removes what writers that were killed left unfinished, here and in the folders below.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn sweep(&self) -> Result<()> {
        sweep(&self.path).map_err(|e| cannot_write(&self.path, &e))
    }

    fn create_at(out: &Path) -> Result<Self> {
        match create_new_dir(out) {
            Ok(()) => Ok(Self { path: out.to_owned() }),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Error::usage(
                format!("{} exists, and a run writes over nothing", out.display()),
                format!("give --out a new name, or leave it out to get a new directory under {REPORTS}/"),
            )),
            Err(e) => Err(cannot_create(out, &e)),
        }
    }

    fn create_dated(reports: &Path, recipe: &str, now: OffsetDateTime) -> Result<Self> {
        let name = format!("{recipe}-{}", timestamp(now));
        for attempt in 1.. {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let path = reports.join(format!("{name}{suffix}"));
            match create_new_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                // `reports` itself may be the file that exists; only a taken name is worth another try.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && reports.is_dir() => {}
                Err(e) => return Err(cannot_create(&path, &e)),
            }
        }
        unreachable!("the loop above has no end but a return")
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `weights/<variant>.safetensors`, which [`RunDir::save_weights`] writes.
    pub fn weights_path(&self, variant: &str) -> PathBuf {
        self.path.join("weights").join(format!("{variant}.safetensors"))
    }

    /// Replaces the file `name` (relative to the directory, folders in it are made) by what `write` writes. Readers
    /// see the old file or the new one, never a part; on an error the old one stays.
    ///
    /// # Errors
    /// What `write` gives, or if the file cannot be written or named.
    pub fn write_atomically<F>(&self, name: &str, write: F) -> Result<()>
    where
        F: FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    {
        let path = self.path.join(name);
        let cannot_write = |e: io::Error| cannot_write(&path, &e);
        let temp = temp_beside(&path).map_err(cannot_write)?;
        let mut file = BufWriter::new(temp.as_file());
        write(&mut file).and_then(|()| file.flush()).map_err(cannot_write)?;
        drop(file);
        persist(temp, &path).map_err(cannot_write)
    }

    /// Replaces `weights/<variant>.safetensors` as [`RunDir::save_as`] does.
    ///
    /// # Errors
    /// As [`RunDir::save_as`].
    pub fn save_weights<F>(&self, variant: &str, save: F) -> Result<()>
    where
        F: FnOnce(&Path) -> Result<()>,
    {
        self.save_as(&format!("weights/{variant}.safetensors"), save)
    }

    /// Replaces the file `name` as [`RunDir::write_atomically`] does, for libraries that want the path of the file to
    /// write: `save` gets that of a temporary file with the same extension.
    ///
    /// # Errors
    /// What `save` gives, or if the file cannot be made or named.
    pub fn save_as<F>(&self, name: &str, save: F) -> Result<()>
    where
        F: FnOnce(&Path) -> Result<()>,
    {
        let path = self.path.join(name);
        let temp = temp_beside(&path).map_err(|e| cannot_write(&path, &e))?;
        save(temp.path())?;
        persist(temp, &path).map_err(|e| cannot_write(&path, &e))
    }
}

fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sweep(&entry.path())?;
        } else if is_unfinished(&entry.file_name()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file of that name is one that nobody finished.
pub fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

/// `20260102-153045`: sorts as time does, and is a file name everywhere.
fn timestamp(now: OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    format!(
        "{:04}{:02}{:02}-{:02}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
    )
}

/// Makes `path`, which must not exist, and its parents; if that fails, takes the parents away again that it made.
fn create_new_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().skip(1).take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    let parents = missing.first().map_or(Ok(()), fs::create_dir_all);
    // `create_dir`, not `create_dir_all`: that one is content with a directory that exists.
    parents.and_then(|()| fs::create_dir(path)).inspect_err(|_| {
        for parent in missing {
            // Best effort; the error to report is the first one. `remove_dir` spares what is not empty.
            let _ = fs::remove_dir(parent);
        }
    })
}

/// A temporary file in the folder of `path`, which is made: a rename is atomic only within a file system.
fn temp_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let (folder, name) = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => (folder, name),
        _ => return Err(io::Error::from(io::ErrorKind::InvalidFilename)),
    };
    fs::create_dir_all(folder)?;
    let mut suffix = std::ffi::OsString::from("-");
    suffix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).suffix(&suffix);
    // Temporary files are private by default; this one becomes a file like any other, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Gives the temporary file its name, after its content has reached the disk.
fn persist(temp: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    // Opened anew: a library that was handed the path may have replaced the file behind our handle.
    File::open(temp.path())?.sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn cannot_create(path: &Path, e: &io::Error) -> Error {
    Error::failed(
        format!("cannot make the directory {}: {e}", path.display()),
        "name with --out a directory that does not exist yet, in a folder that you may write to",
    )
}

fn cannot_write(path: &Path, e: &io::Error) -> Error {
    Error::failed(
        format!("cannot write {}: {e}", path.display()),
        "make sure that the folder is still there, that you may write to it, and that the disk is not full",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dated_directory_is_always_new() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path().join("reports");
        let now = OffsetDateTime::from_unix_timestamp(1_767_367_845).unwrap();
        for _ in 0..3 {
            RunDir::create_dated(&reports, "book", now).unwrap();
        }
        assert_eq!(
            names(&reports),
            ["book-20260102-153045", "book-20260102-153045-2", "book-20260102-153045-3"]
        );

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(RunDir::create_dated(&file, "book", now).unwrap_err().kind(), Kind::Failed);
    }

    #[test]
    fn out_must_be_new_and_its_parents_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b/run");
        let run = RunDir::create(Some(&out), "book").unwrap();
        assert_eq!(run.path(), out);
        assert!(out.is_dir());

        let error = RunDir::create(Some(&out), "book").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("a/b/run exists"), "{error}");
    }

    #[test]
    fn out_that_cannot_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert_eq!(RunDir::create(Some(&file), "book").unwrap_err().kind(), Kind::Usage);
        for out in [file.join("run"), file.join("a/run"), folder.path().join("a/b").join("x".repeat(4096))] {
            let error = RunDir::create(Some(&out), "book").unwrap_err();
            assert_eq!(error.kind(), Kind::Failed, "{error}");
            assert!(!error.to_string().contains('\n') && !error.remedy().contains('\n'));
        }
        assert_eq!(names(folder.path()), ["file"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        run.write_atomically("a.txt", |file| file.write_all(b"old")).unwrap();

        let error = run
            .write_atomically("a.txt", |file| {
                file.write_all(&[b'x'; 100_000])?;
                Err(io::Error::other("disk full"))
            })
            .unwrap_err();
        assert!(error.to_string().contains("a.txt: disk full"), "{error}");
        assert_eq!(fs::read_to_string(run.path().join("a.txt")).unwrap(), "old");

        run.write_atomically("a.txt", |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(run.path().join("a.txt")).unwrap(), "new");
        assert_eq!(names(run.path()), ["a.txt"]);
    }

    #[test]
    fn weights_are_whole_even_from_a_library_that_replaces_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        let path = run.weights_path("scratch");
        let save = |text: &'static str, result: Result<()>| {
            run.save_weights("scratch", |temp| {
                assert_eq!(temp.extension(), path.extension());
                fs::remove_file(temp).unwrap();
                fs::write(temp, text).unwrap();
                result
            })
        };
        save("weights", Ok(())).unwrap();
        save("half", Err(Error::failed("what", "remedy"))).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "weights");
        assert_eq!(names(&run.path().join("weights")), ["scratch.safetensors"]);
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        run.write_atomically("a", |file| file.write_all(b"a")).unwrap();
        fs::write(run.path().join("b"), "b").unwrap();
        let mode = |name| fs::metadata(run.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("a"), mode("b"));
    }
}
