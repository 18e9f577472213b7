//! `d2l_ch7 augment`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;
use torchvision_exact::image::Image;

use crate::place::{CIFAR10_BYTES, CIFAR10_FILES, assert_two_lines, program};

/// Runs `d2l_ch7 augment` with its run directory in `folder` and a home folder without data.
fn augment(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = program();
    command.arg("augment").args(arguments).arg("--out").arg(folder.path().join("out"));
    command.env("HOME", folder.path().join("home")).env_remove("XDG_CACHE_HOME").output().unwrap()
}

/// The pixels of a PNG file.
fn picture(path: &Path) -> Image {
    Image::open(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn augment_leaves_a_gallery_of_every_transform() {
    const NAMES: [&str; 5] = ["horizontal_flip", "vertical_flip", "resized_crop", "color_jitter", "compose"];
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for (folder, seed) in folders.iter().zip(["0", "0", "-1"]) {
        let output = augment(folder, &["--seed", seed]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let out = folder.path().join("out");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.ends_with(&format!("{}\n", out.display())), "{stdout}");
        assert!(stdout.contains("cifar10.png is left out") && stdout.contains("--cifar"), "{stdout}");
        let page = fs::read_to_string(out.join("galleries.md")).unwrap();
        for name in NAMES.into_iter().chain(["picture"]) {
            assert!(page.contains(&format!("]({name}.png)")), "{name} is not in: {page}");
            assert!(picture(&out.join(format!("{name}.png"))).width() > 500, "{name}");
        }
        // The pictures, galleries.md and config.json, and no other file.
        assert_eq!(fs::read_dir(&out).unwrap().count(), NAMES.len() + 3);
    }
    for name in NAMES {
        let [first, again, other] =
            folders.each_ref().map(|folder| picture(&folder.path().join(format!("out/{name}.png"))));
        assert!(first == again, "{name}: one seed, one picture");
        assert!(first != other, "{name}: another seed, another picture");
    }
}

#[test]
fn augment_shows_the_first_images_of_cifar10() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let record = |i: usize| -> Vec<u8> {
        let planes = [7 * i, 100, 200 - i].map(|value| [value as u8; 32 * 32]).concat();
        [&[(i % 10) as u8][..], &planes].concat()
    };
    for name in CIFAR10_FILES {
        let mut file = fs::File::create(data.join(name)).unwrap();
        file.write_all(&(0..40).flat_map(record).collect::<Vec<_>>()).unwrap();
        // The other images are black, and take no space on the disk.
        file.set_len(CIFAR10_BYTES).unwrap();
    }
    let output = augment(&folder, &["--quiet", "--pixels", "--data-dir", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let out = folder.path().join("out");
    let tensors = tch::Tensor::read_safetensors(out.join("galleries.safetensors")).unwrap();
    let (_, images) = tensors.iter().find(|(name, _)| name == "cifar10").unwrap();
    assert_eq!(images.size(), [32, 32, 32, 3]);
    let shown = picture(&out.join("cifar10.png"));
    for i in 0..32 {
        let pixel = [7 * i as u8, 100, 200 - i as u8];
        let corner = Vec::<u8>::try_from(images.get(i).get(31).get(0)).unwrap();
        assert_eq!(corner, pixel, "image {i}");
        // 32 x 32 pixels, each drawn as a square of 4 x 4.
        let count = shown.pixels().as_chunks().0.iter().filter(|&&other| other == pixel).count();
        assert_eq!(count, 128 * 128, "image {i}");
    }

    // An image of another class gets another name in the picture.
    let mut first = fs::OpenOptions::new().write(true).open(data.join("data_batch_1.bin")).unwrap();
    first.write_all(&[9]).unwrap();
    let renamed = tempfile::tempdir().unwrap();
    assert!(augment(&renamed, &["--data-dir", data.to_str().unwrap()]).status.success());
    assert!(picture(&renamed.path().join("out/cifar10.png")) != shown);

    fs::remove_file(data.join("test_batch.bin")).unwrap();
    let other = tempfile::tempdir().unwrap();
    assert_two_lines(&augment(&other, &["--data-dir", data.to_str().unwrap()]), 1, "test_batch.bin");
    assert!(!other.path().join("out").exists());
}

#[test]
fn a_name_may_be_no_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(OsStr::from_bytes(b"i\xff\".jpg"));
    fs::write(&file, d2l_ch7::experiments::augment::CAT).unwrap();
    for command in ["augment", "basics"] {
        let out = folder.path().join(command);
        let mut run = program();
        run.args([command, "--quiet", "--out"]).arg(&out).args((command == "basics").then_some("--image"));
        let output = run.arg(&file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["image"], file.to_string_lossy().as_ref(), "{command}");
    }
    let page = fs::read_to_string(folder.path().join("augment/galleries.md")).unwrap();
    assert!(page.contains("i\u{fffd}\\\".jpg\").convert"), "{page}");
}

#[test]
fn augment_refuses_what_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let cat = d2l_ch7::experiments::augment::CAT;
    // A header with a correct checksum that claims 65,536 x 65,536 pixels.
    let mut huge = Vec::new();
    std::mem::forget(png::Encoder::new(&mut huge, 1 << 16, 1 << 16).write_header().unwrap());
    for (name, content, words) in [
        ("text.png", &b"no image"[..], "neither as PNG nor as JPEG"),
        ("empty.jpg", b"", "empty"),
        ("cut.jpg", &cat[..cat.len() / 2], "cut off"),
        ("huge.png", &huge, "89 million"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let output = augment(&folder, &[file.to_str().unwrap()]);
        assert_two_lines(&output, 1, words);
        assert_two_lines(&output, 1, name);
        assert_two_lines(&output, 1, "help: name a PNG or JPEG file");
        assert!(!folder.path().join("out").exists(), "{name} left a run directory");
    }
    for path in [folder.path().join("nothing.png"), folder.path().to_owned()] {
        assert_two_lines(&augment(&folder, &[path.to_str().unwrap()]), 1, path.to_str().unwrap());
    }
    assert_two_lines(&augment(&folder, &["--seed", "x"]), 2, "--seed");
    fs::create_dir(folder.path().join("out")).unwrap();
    assert_two_lines(&augment(&folder, &[]), 2, "exists");
}
