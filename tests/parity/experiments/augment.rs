//! `d2l_ch7 augment`: it reads the pixels that Pillow reads, and its galleries are torchvision's. The Python of each test
//! stands above the test.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use tch::Tensor;
use tempfile::TempDir;
use torchvision_exact::image::{Image, Mode};

use crate::live::{python_side, succeed};
use crate::support::{bytes, missing, notebooks_ref};

/// The command that runs a script of `notebooks_ref`.
fn script(python: &str, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(notebooks_ref().join(name));
    command
}

/// A folder with the image files of `image_files.py`; none if Pillow is older than the version that this project follows.
fn files(python: &str, what: &str) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let pillow = succeed(script(python, "image_files.py").arg("--out").arg(folder.path()));
    if pillow.split('.').next().and_then(|major| major.parse().ok()).is_none_or(|major: u32| major < 13) {
        missing(what, &format!("Pillow {pillow} resizes in another order, and reads other damaged files"));
        return None;
    }
    Some(folder)
}

/// `image_files.read`, for every file that `image_files.py` writes:
///
/// ```python
/// try:
///     pixels = np.array(Image.open(file).convert("RGB"))  # (height, width, 3), uint8
/// except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
///     pixels = None  # Pillow refuses the file, and so must this program
/// ```
#[test]
fn files_that_pillow_reads_have_its_pixels_and_others_are_refused() {
    const WHAT: &str = "pixels of image files";
    let Some(python) = python_side(WHAT) else { return };
    let Some(folder) = files(&python, WHAT) else { return };
    const PIXELS: &str = "pixels.safetensors";
    let pixels = Tensor::read_safetensors(folder.path().join(PIXELS)).unwrap();
    let mut pixels: HashMap<_, _> = pixels.into_iter().collect();
    let (mut read, mut refused) = (0, 0);
    for entry in folder.path().read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == PIXELS {
            continue;
        }
        match (pixels.remove(&name), Image::open(&folder.path().join(&name))) {
            (Some(expected), Ok(image)) => {
                let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
                assert_eq!((image.mode(), expected.size()), (Mode::Rgb, size.to_vec()), "{name}");
                assert!(image.pixels() == bytes(&expected), "{name}: other pixels");
                read += 1;
            }
            (None, Err(_)) => refused += 1,
            (Some(_), Err(error)) => panic!("{name}: Pillow reads it: {error}"),
            (None, Ok(_)) => panic!("{name}: Pillow refuses it"),
        }
    }
    assert!(pixels.is_empty() && read > 400 && refused > 100, "{read} files read, {refused} refused");
}

/// Every pixel of every gallery, of the project's picture and of two files that Pillow wrote. `augment.galleries`:
///
/// ```python
/// picture = Image.open("assets/cat.jpg").convert("RGB")
/// flip = RandomHorizontalFlip()
/// crop = RandomResizedCrop((200, 200), scale=(0.3, 0.8), ratio=(0.5, 2))
/// jitter = ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)
/// for aug in (flip, RandomVerticalFlip(), crop, jitter, Compose([flip, crop, jitter])):
///     torch.manual_seed(seed)
///     gallery = torch.stack([pil_to_tensor(aug(picture)).permute(1, 2, 0) for _ in range(8)])
/// ```
#[test]
fn galleries_are_torchvisions() {
    const WHAT: &str = "galleries against torchvision";
    let Some(python) = python_side(WHAT) else { return };
    let Some(folder) = files(&python, WHAT) else { return };
    for (file, seed) in
        [(None, "0"), (Some("150x120_420_p_75.jpg"), "18446744073709551615"), (Some("33x31_L.png"), "3")]
    {
        let image = file.map(|file| folder.path().join(file));
        let (out, expected) =
            (folder.path().join(format!("run{seed}")), folder.path().join("python.safetensors"));
        succeed(
            Command::new(env!("CARGO_BIN_EXE_d2l_ch7"))
                .args(["augment", "--pixels", "--seed", seed])
                .args(&image)
                .arg("--out")
                .arg(&out),
        );
        succeed(
            script(&python, "augment.py").args(["--seed", seed]).args(&image).arg("--out").arg(&expected),
        );
        assert_same_tensors(&out.join("galleries.safetensors"), &expected);
    }
}

fn assert_same_tensors(ours: &Path, theirs: &Path) {
    let read = |path| {
        let mut tensors = Tensor::read_safetensors(path).unwrap();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        tensors
    };
    let (ours, theirs) = (read(ours), read(theirs));
    assert_eq!(ours.len(), 6, "the picture and five galleries");
    assert_eq!(ours.len(), theirs.len());
    for ((name, ours), (expected_name, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!((name, ours.size(), ours.kind()), (expected_name, theirs.size(), theirs.kind()));
        assert!(bytes(ours) == bytes(theirs), "{name}: other pixels");
    }
}
