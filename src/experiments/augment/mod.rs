//! The note on image augmentation: what random transforms make of a picture, eight draws of each side by side.
//! `notebooks_ref/augment.py` is the same in Python.

mod page;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tch::{Kind, Tensor};

use super::options::{as_text, write_config};
use super::thumbnail;
use super::values::seed;
use crate::data::cifar10::LABELS;
use crate::data::transforms::{
    ColorJitter, Compose, Image, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Transform,
};
use crate::data::{Cifar10, DataSet, DefaultGenerator};
use crate::report::{Gallery, RunDir, draw_gallery};
use crate::{Result, output, torch, weights};

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
    let crop = RandomResizedCrop::new((200, 200)).and_then(|crop| crop.scale(0.3, 0.8)?.ratio(0.5, 2.0));
    let crop = crop.expect("a size, shares and shapes that can be");
    let jitter = ColorJitter::new(0.5, 0.2, 0.6, 0.4).expect("strengths that can be");
    let flip = RandomHorizontalFlip::default();
    let [python_crop, python_jitter, python_flip] = [
        "RandomResizedCrop((200, 200), scale=(0.3, 0.8), ratio=(0.5, 2))",
        "ColorJitter(brightness=0.5, contrast=0.2, saturation=0.6, hue=0.4)",
        "RandomHorizontalFlip()",
    ];
    fn named(name: &'static str, python: &str, transform: impl Transform + 'static) -> Augmentation {
        Augmentation { name, python: python.to_owned(), transform: Box::new(transform) }
    }
    [
        named("horizontal_flip", python_flip, flip),
        named("vertical_flip", "RandomVerticalFlip()", RandomVerticalFlip::default()),
        named("resized_crop", python_crop, crop),
        named("color_jitter", python_jitter, jitter),
        named(
            "compose",
            &format!("Compose([\n    {python_flip},\n    {python_crop},\n    {python_jitter},\n])"),
            Compose::new().then(flip).then(crop).then(jitter),
        ),
    ]
}

/// The note's `apply`, from a seed: what `aug` makes of `image`, time after time, drawn from the default generator.
pub fn apply(seed: u64, image: &Image, aug: &dyn Transform) -> impl Iterator<Item = Image> {
    torch::manual_seed(seed);
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
    let cifar = config.cifar10().context("no gallery of CIFAR-10 can be drawn")?;
    let dir = RunDir::create(config.out.as_deref(), "augment")?;
    write_config(&dir, config, None)?;
    let mut output =
        Output { dir, page: page::head(config.seed, config.image.as_deref()), exact: Vec::new() };
    let say = |line: &str| {
        if !config.quiet {
            output::say(line);
        }
    };

    let title = format!("{}, {} x {} pixels", config.title(), picture.width(), picture.height());
    let images = vec![thumbnail::fitting(&picture, PICTURE)];
    output.draw("picture", &Gallery { title, columns: 1, images, names: Vec::new() })?;
    output.keep("picture", config.pixels.then(|| picture.clone()));
    for Augmentation { name, python, transform } in augmentations() {
        // Of large images, one at a time is in memory, unless all are kept.
        let (mut images, mut kept) = (Vec::with_capacity(DRAWS), Vec::new());
        for image in apply(config.seed, &picture, transform.as_ref()) {
            images.push(thumbnail::fitting(&image, Gallery::longest_side(COLUMNS)));
            kept.extend(config.pixels.then_some(image));
        }
        output.keep(name, kept);
        output.draw(name, &Gallery { title: python.clone(), columns: COLUMNS, images, names: Vec::new() })?;
        output.page += &page::section(config.seed, name, &python);
        say(&format!("{name}.png: {}", page::one_line(&python)));
    }
    let Some(data) = cifar else {
        say(NO_CIFAR);
        return Ok(output.finish()?);
    };
    let count = data.train.len().min(CIFAR_IMAGES);
    let images: Vec<_> = (0..count).map(|i| data.train.image(i)).collect();
    let names = data.train.labels[..count].iter().map(|&label| LABELS[usize::from(label)].to_owned());
    let files = if data.is_published() { "CIFAR-10" } else { "other data in CIFAR-10's form" };
    let title = format!("The first {count} training images of {files}");
    output.page += &page::cifar10(&title, count);
    say(&format!("cifar10.png: {title}"));
    let thumbnails = images.iter().map(|image| thumbnail::fitting(image, usize::MAX)).collect();
    let names = names.collect();
    output.draw("cifar10", &Gallery { title, columns: CIFAR_COLUMNS, images: thumbnails, names })?;
    output.keep("cifar10", images.into_iter().filter(|_| config.pixels));
    Ok(output.finish()?)
}

/// The run directory as it is filled.
struct Output {
    dir: RunDir,
    /// `galleries.md`.
    page: String,
    /// Names and tensors (n, height, width, channels) of bytes; none unless they are wanted.
    exact: Vec<(String, Tensor)>,
}

impl Output {
    /// Draws `NAME.png`.
    fn draw(&self, name: &str, gallery: &Gallery) -> Result<()> {
        let png = draw_gallery(gallery)?;
        self.dir.write_atomically(&format!("{name}.png"), |file| file.write_all(&png))
    }

    /// Keeps the pixels of images of one size, if there are any.
    fn keep(&mut self, name: &str, images: impl IntoIterator<Item = Image>) {
        let images: Vec<Tensor> = images.into_iter().map(|image| tensor(&image)).collect();
        if !images.is_empty() {
            self.exact.push((name.to_owned(), Tensor::stack(&images, 0)));
        }
    }

    /// Writes what was gathered; gives the directory.
    fn finish(self) -> Result<PathBuf> {
        if !self.exact.is_empty() {
            weights::save(&self.dir.path().join("galleries.safetensors"), &self.exact)?;
        }
        self.dir.write_atomically("galleries.md", |file| file.write_all(self.page.as_bytes()))?;
        Ok(self.dir.path().to_owned())
    }
}

/// An image as a tensor (height, width, channels) of bytes.
fn tensor(image: &Image) -> Tensor {
    let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
    Tensor::from_data_size(image.pixels(), &size, Kind::Uint8)
}

impl Augment {
    /// What the picture is called.
    fn title(&self) -> String {
        let name = self.image.as_deref().and_then(Path::file_name);
        name.map_or_else(|| "cat.jpg".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// CIFAR-10, if it is wanted or at hand.
    fn cifar10(&self) -> Result<Option<DataSet>> {
        let wanted = self.cifar || self.data_dir.is_some() || Cifar10::find().is_some();
        wanted.then(|| Cifar10::load(self.data_dir.as_deref(), !self.quiet)).transpose()
    }
}
