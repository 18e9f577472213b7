//! The note on image augmentation: what random transforms make of a picture, eight draws of each side by side.
//! `notebooks_ref/augment.py` is the same in Python.

mod page;

use std::borrow::Borrow;
use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tch::{Kind, Tensor};
use torchvision_exact::image::Image;
use torchvision_exact::transforms::{
    ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Transform,
};

use super::options::{as_text, write_config};
use super::thumbnail;
use super::values::seed;
use crate::data::cifar10::LABELS;
use crate::data::{Cifar10, DefaultGenerator};
use crate::report::{RunDir, draw_gallery, longest_side};
use crate::{Result, output, weights};

/// The picture where none is named, a cat in a meadow: a JPEG file.
pub const CAT: &[u8] = include_bytes!("../../../assets/cat.jpg");

/// Draws of each transform.
const DRAWS: usize = 8;
/// They are shown in two rows.
const COLUMNS: usize = 4;
/// Images of CIFAR-10, in four rows.
const CIFAR_IMAGES: usize = 32;
const CIFAR_COLUMNS: usize = 8;
/// Why there are none.
const NO_CIFAR: &str = "cifar10.png is left out: CIFAR-10 is not in the cache; add --cifar to fetch it (170 MB), or \
                        name its folder with --data-dir";
/// Pixels of the longer side of the picture where it is shown by itself, at most.
const PICTURE: usize = 640;

/// The options of `d2l_ch7 augment`.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct Augment {
    /// Seed of each gallery's random stream
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// A PNG or JPEG file, read as Pillow reads it, up to 89 megapixels [default: a drawn cat]
    #[serde(serialize_with = "as_text")]
    pub image: Option<PathBuf>,
    /// Also write every image's exact pixels, to galleries.safetensors: 24 times as much as the image takes in memory
    #[arg(long)]
    #[serde(skip)]
    pub pixels: bool,
    /// Draw the first images of CIFAR-10 too, and fetch it if it is not found (170 MB) [default: if it is in the cache]
    #[arg(long)]
    #[serde(skip)]
    pub cifar: bool,
    /// Where the six files of CIFAR-10's binary version are; their first images are drawn
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub data_dir: Option<PathBuf>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Do not say what was drawn; the directory that is printed last holds it
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
}

/// A transform of the note's.
pub struct Augmentation {
    /// The gallery's name in the run directory, without `.png`.
    pub name: &'static str,
    /// As Python writes it, after `from torchvision.transforms import *`.
    pub python: String,
    /// What it does.
    pub transform: Box<dyn Transform>,
}

/// The five transforms of the note, with its parameters.
pub fn augmentations() -> [Augmentation; 5] {
    const FLIP: &str = "RandomHorizontalFlip()";
    const CROP: &str = "RandomResizedCrop((200, 200), scale=(0.3, 0.8), ratio=(0.5, 2))";
    const JITTER: &str = "ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)";
    let flip = RandomHorizontalFlip::default();
    let crop = RandomResizedCrop::new((200, 200)).and_then(|crop| crop.scale(0.3, 0.8)?.ratio(0.5, 2.0));
    let crop = crop.expect("a size, shares and shapes that can be");
    let jitter = ColorJitter::new(0.5, 0.2, 0.6, 0.4).expect("strengths that can be");
    let composed = Compose::new().then(flip).then(crop).then(jitter);
    let python = format!("Compose([\n    {FLIP},\n    {CROP},\n    {JITTER},\n])");
    let transforms: [(_, _, Box<dyn Transform>); 5] = [
        ("horizontal_flip", FLIP, Box::new(flip)),
        ("vertical_flip", "RandomVerticalFlip()", Box::new(RandomVerticalFlip::default())),
        ("resized_crop", CROP, Box::new(crop)),
        ("color_jitter", JITTER, Box::new(jitter)),
        ("compose", &python, Box::new(composed)),
    ];
    transforms.map(|(name, python, transform)| Augmentation { name, python: python.to_owned(), transform })
}

/// The note's `apply`, from a seed: what `aug` makes of `image`, time after time, drawn from the default generator.
pub fn apply(seed: u64, image: &Image, aug: &dyn Transform) -> impl Iterator<Item = Image> {
    tch_extra::manual_seed(seed);
    (0..DRAWS).map(|_| aug.transform(image.clone(), &mut DefaultGenerator))
}

/// Draws the galleries and leaves them in a run directory, which it gives: a PNG file for each of [`augmentations`],
/// `picture.png`, `galleries.md` that shows them all, `config.json`, and perhaps `cifar10.png` and
/// `galleries.safetensors`.
///
/// # Errors
/// An image or data that cannot be read or fetched; a run directory that exists, or cannot be made or written.
pub fn run(config: &Augment) -> anyhow::Result<PathBuf> {
    let picture = config.image.as_deref().map_or_else(|| Image::decode(CAT), Image::open)?;
    let wanted = config.cifar || config.data_dir.is_some() || Cifar10::find().is_some();
    let cifar = wanted.then(|| Cifar10::load(config.data_dir.as_deref(), !config.quiet)).transpose();
    let cifar = cifar.context("no gallery of CIFAR-10 can be drawn")?;
    let dir = RunDir::create(config.out.as_deref(), "augment")?;
    write_config(&dir, config, None)?;
    let mut page = page::head(config.seed, config.image.as_deref());
    let mut galleries = Galleries { dir: &dir, exact: config.pixels.then(Vec::new) };
    let say = |line: &str| {
        if !config.quiet {
            output::say(line);
        }
    };

    let name = config.image.as_deref().and_then(Path::file_name).unwrap_or("cat.jpg".as_ref()).display();
    let title = format!("{name}, {} x {} pixels", picture.width(), picture.height());
    galleries.draw("picture", &title, 1, iter::once(&picture), &[])?;
    for Augmentation { name, python, transform } in augmentations() {
        let images = apply(config.seed, &picture, transform.as_ref());
        galleries.draw(name, &python, COLUMNS, images, &[])?;
        page += &page::section(config.seed, name, &python);
        say(&format!("{name}.png: {}", page::one_line(&python)));
    }
    if let Some(data) = cifar {
        let count = data.train.len().min(CIFAR_IMAGES);
        let files = if data.is_published() { "CIFAR-10" } else { "other data in CIFAR-10's form" };
        let title = format!("The first {count} training images of {files}");
        let names: Vec<_> =
            data.train.labels[..count].iter().map(|&label| LABELS[usize::from(label)]).collect();
        let images = (0..count).map(|i| data.train.image(i));
        galleries.draw("cifar10", &title, CIFAR_COLUMNS, images, &names)?;
        page += &page::cifar10(&title, count);
        say(&format!("cifar10.png: {title}"));
    } else {
        say(NO_CIFAR);
    }
    if let Some(exact) = galleries.exact {
        weights::save(&dir.path().join("galleries.safetensors"), &exact)?;
    }
    dir.write_atomically("galleries.md", |file| file.write_all(page.as_bytes()))?;
    Ok(dir.path().to_owned())
}

/// The galleries of a run directory.
struct Galleries<'a> {
    dir: &'a RunDir,
    /// Names and tensors (n, height, width, channels) of bytes, where they are wanted.
    exact: Option<Vec<(String, Tensor)>>,
}

impl Galleries<'_> {
    /// Draws images of one size as `NAME.png`. Of large ones, one at a time is in memory, unless their pixels are wanted.
    fn draw(
        &mut self,
        name: &str,
        title: &str,
        columns: usize,
        images: impl Iterator<Item = impl Borrow<Image>>,
        names: &[&str],
    ) -> Result<()> {
        let (mut shown, mut kept) = (Vec::new(), Vec::new());
        for image in images {
            shown.push(thumbnail::fitting(image.borrow(), longest_side(columns).min(PICTURE)));
            kept.extend(self.exact.as_ref().map(|_| tensor(image.borrow())));
        }
        if let Some(exact) = &mut self.exact {
            exact.push((name.to_owned(), Tensor::stack(&kept, 0)));
        }
        let png = draw_gallery(title, columns, &shown, names)?;
        self.dir.write_atomically(&format!("{name}.png"), |file| file.write_all(&png))
    }
}

/// An image as a tensor (height, width, channels) of bytes.
fn tensor(image: &Image) -> Tensor {
    let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
    Tensor::from_data_size(image.pixels(), &size, Kind::Uint8)
}
