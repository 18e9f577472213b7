use std::fs;
use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::fetch::tests::{Reply, nobody, origins, serve};
use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(bytes).unwrap();
    zipped.finish().unwrap()
}

fn images(n: u8, rows: u8, cols: u8) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, rows, 0, 0, 0, cols];
    file.extend((0..usize::from(n) * usize::from(rows) * usize::from(cols)).map(|i| (i % 251) as u8));
    file
}

fn labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

/// Three training and two test images: the four unzipped files.
fn little() -> [Vec<u8>; 4] {
    [images(3, 28, 28), labels(&[9, 0, 4]), images(2, 28, 28), labels(&[1, 8])]
}

/// The parts that name these files as the published ones.
fn parts(files: &[Vec<u8>; 4]) -> Parts {
    let mut files = files.iter();
    PUBLISHED.map(|part| {
        let sha256 = checksum::hex(Sha256::new_with_prefix(files.next().unwrap()));
        Part(part.0, sha256.leak())
    })
}

fn write_gzipped(folder: &Path, files: &[Vec<u8>; 4]) {
    fs::create_dir_all(folder).unwrap();
    for (part, file) in PUBLISHED.iter().zip(files) {
        fs::write(folder.join(part.zipped_name()), gzip(file)).unwrap();
    }
}

/// Places in `dir`; what is in none of them is at the mirror.
fn places(dir: &Path, mirror: String) -> Sources {
    let system = Installed { folder: dir.join("system"), package: "dataset-fashion-mnist" };
    Sources { cache: Some(dir.join("cache")), system: Some(system), origins: origins([mirror]) }
}

fn server(files: &[Vec<u8>; 4]) -> String {
    let [a, b, c, d] = PUBLISHED.map(|part| part.zipped_name());
    let [e, f, g, h] = files.clone().map(|file| Reply::Body(gzip(&file)));
    serve([(&a, e), (&b, f), (&c, g), (&d, h)])
}

#[test]
fn a_named_folder_may_hold_other_data() {
    let dir = TempDir::new().unwrap();
    write_gzipped(dir.path(), &little());
    let data = FashionMnist::load(Some(dir.path()), false).unwrap();
    assert!(!data.is_published());
    assert_eq!(data.folder(), dir.path());
    assert_eq!((data.train.len(), data.train.rows, data.train.cols), (3, 28, 28));
    assert_eq!(data.train.pixels, images(3, 28, 28)[16..]);
    assert_eq!(data.train.labels, [9, 0, 4]);
    assert_eq!(data.test.pixels, images(2, 28, 28)[16..]);
    assert_eq!(data.test.labels, [1, 8]);
}

#[test]
fn torchvisions_layout_is_found_unzipped() {
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("FashionMNIST/raw");
    fs::create_dir_all(&raw).unwrap();
    for (part, file) in PUBLISHED.iter().zip(little()) {
        fs::write(raw.join(part.0), file).unwrap();
    }
    for named in [dir.path(), &dir.path().join("FashionMNIST"), &raw] {
        assert_eq!(FashionMnist::load(Some(named), false).unwrap().folder(), raw);
    }

    fs::remove_file(raw.join(PUBLISHED[3].0)).unwrap();
    let error = FashionMnist::load(Some(dir.path()), false).unwrap_err();
    let expected = format!("no Fashion-MNIST in {}: missing t10k-labels-idx1-ubyte.gz", raw.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_sound_file_stands_in_for_a_damaged_one() {
    let whole = little();
    for cut_is_gzipped in [true, false] {
        let dir = TempDir::new().unwrap();
        for (part, file) in PUBLISHED.iter().zip(&whole) {
            let (mut plain, mut zipped) = (file.clone(), gzip(file));
            if cut_is_gzipped {
                zipped.truncate(zipped.len() / 2)
            } else {
                plain.truncate(plain.len() / 2)
            }
            fs::write(dir.path().join(part.0), plain).unwrap();
            fs::write(dir.path().join(part.zipped_name()), zipped).unwrap();
        }
        let data = FashionMnist::load(Some(dir.path()), false).unwrap();
        assert_eq!((data.train.labels, data.test.labels), (vec![9, 0, 4], vec![1, 8]));
        // Without a sound one, the gzipped file is named.
        let path = dir.path().join(PUBLISHED[2].0);
        fs::write(dir.path().join(PUBLISHED[2].zipped_name()), "cut").unwrap();
        fs::write(path, "cut").unwrap();
        let message = FashionMnist::load(Some(dir.path()), false).unwrap_err().to_string();
        assert!(message.contains("t10k-images-idx3-ubyte.gz: "), "{message}");
    }
}

#[test]
fn names_may_have_a_dot() {
    for zipped in [true, false] {
        let dir = TempDir::new().unwrap();
        for (part, file) in PUBLISHED.iter().zip(little()) {
            let name = part.0.replace("-idx", ".idx");
            let (name, file) = if zipped { (name + ".gz", gzip(&file)) } else { (name, file) };
            fs::write(dir.path().join(name), file).unwrap();
            // Kaggle's archives have the plain file in a folder, which has its name.
            fs::create_dir(dir.path().join(part.0)).unwrap();
        }
        assert_eq!(FashionMnist::load(Some(dir.path()), false).unwrap().train.len(), 3);
    }
}

/// Each in its own words, with the file and what to do about it.
#[test]
fn inconsistent_files_are_refused() {
    /// The message, the file that it names, and what makes that file wrong.
    type Case = (&'static str, usize, fn(&mut [Vec<u8>; 4]));
    let cases: [Case; 6] = [
        ("expected images of 28 x 28 pixels, got 28 x 27", 0, |files| files[0] = images(3, 28, 27)),
        ("expected 3 labels, one for each image of train-images-idx3-ubyte.gz, got 2", 1, |files| {
            files[1] = labels(&[1, 2])
        }),
        ("expected 2 labels, one for each image of t10k-images-idx3-ubyte.gz, got 3", 3, |files| {
            files[3] = labels(&[1, 2, 3])
        }),
        ("expected labels from 0 to 9, got 10 for image 1", 3, |files| files[3] = labels(&[1, 10])),
        ("holds no image", 2, |files| (files[2], files[3]) = (images(0, 28, 28), labels(&[]))),
        ("got 0x00000801, which means labels", 2, |files| files.swap(2, 3)),
    ];
    for (expected, at, change) in cases {
        let dir = TempDir::new().unwrap();
        let mut files = little();
        change(&mut files);
        write_gzipped(dir.path(), &files);
        let error = FashionMnist::load(Some(dir.path()), false).unwrap_err();
        let what = error.to_string();
        let path = dir.path().join(PUBLISHED[at].zipped_name());
        assert!(what.starts_with(path.to_str().unwrap()) && what.contains(expected), "{expected}: {what}");
        assert_eq!(
            (error.exit_code(), error.remedy()),
            (1, "replace it by a sound copy, or leave out --data-dir to have the data found or fetched")
        );
    }
}

#[test]
fn fetched_once_then_cached() {
    let dir = TempDir::new().unwrap();
    let files = little();
    let fetched = load(&places(dir.path(), server(&files)), &parts(&files), false).unwrap();
    assert!(fetched.is_published());

    let cached = load(&places(dir.path(), nobody()), &parts(&files), false).unwrap();
    assert_eq!(cached.folder(), dir.path().join("cache"));
    assert_eq!((cached.train, cached.test), (fetched.train, fetched.test));
}

/// Sound data, but not the published ones: neither fetched nor taken from a shared place.
#[test]
fn only_published_files_come_unnamed() {
    let files = little();
    let mut other = little();
    other[3] = labels(&[2, 8]);

    let dir = TempDir::new().unwrap();
    let error = load(&places(dir.path(), server(&other)), &parts(&files), false).unwrap_err();
    assert!(
        error.to_string().contains("t10k-labels-idx1-ubyte.gz: not the published file: expected the SHA-256"),
        "{error}"
    );
    assert!(!dir.path().join("cache/t10k-labels-idx1-ubyte.gz").exists());

    // With the rest of the files in the cache, the system's four are the first complete set.
    write_gzipped(&dir.path().join("system"), &other);
    let error = load(&places(dir.path(), nobody()), &parts(&files), false).unwrap_err();
    assert!(
        error.to_string().starts_with(dir.path().join("system/t10k-labels").to_str().unwrap()),
        "{error}"
    );
    assert!(error.remedy().contains("reinstall"), "{}", error.remedy());

    write_gzipped(&dir.path().join("cache"), &other);
    let error = load(&places(dir.path(), nobody()), &parts(&files), false).unwrap_err();
    assert!(error.to_string().starts_with(dir.path().join("cache/t10k-labels").to_str().unwrap()), "{error}");
    assert!(error.remedy().starts_with("delete it"), "{}", error.remedy());
}

#[test]
fn the_published_files() {
    let system = sources().system.unwrap().folder;
    if !missing(&system, &PUBLISHED).is_empty() {
        // Past the test harness, which would keep it to itself.
        let line = format!("SKIPPED the_published_files: not in {}\n", system.display());
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    }
    let data = FashionMnist::load(Some(&system), false).unwrap();
    assert!(data.is_published());
    // The publisher made as many images of each class.
    for (images, of_each) in [(data.train, 6_000), (data.test, 1_000)] {
        assert_eq!(images.pixels.len(), images.len() * 28 * 28);
        for class in 0..LABELS.len() as u8 {
            assert_eq!(images.labels.iter().filter(|&&label| label == class).count(), of_each);
        }
    }
}

/// Each origin by itself brings the published files.
#[test]
#[ignore = "downloads 31 MB from each origin"]
fn the_origins() {
    let failures: Vec<_> = sources()
        .origins
        .tried
        .into_iter()
        .filter_map(|origin| {
            let dir = TempDir::new().unwrap();
            let origins = Origins::new(vec![origin]);
            let alone = Sources { cache: Some(dir.path().join("cache")), system: None, origins };
            load(&alone, &PUBLISHED, true).err().map(|e| e.to_string())
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
