//! The note on image augmentation: what random transforms make of a picture, eight draws of each side by side.
//! `notebooks_ref/augment.py` is the same in Python.

mod page;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::{Kind, Tensor};

use super::thumbnail;
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

/// What is chosen for `d2l_ch7 augment`.
#[derive(Debug)]
pub struct Augment {
    /// A PNG or JPEG file; `None`: [`CAT`].
    pub image: Option<PathBuf>,
    /// Seed from which each gallery is drawn.
    pub seed: u64,
    /// Write the exact pixels too.
    pub pixels: bool,
    /// Draw the first images of CIFAR-10, even if it must be fetched; it is also drawn if the cache has it.
    pub cifar: bool,
    /// Where CIFAR-10 is, which is then drawn.
    pub data_dir: Option<PathBuf>,
    /// The directory to create; `None`: a new one under `reports/`.
    pub out: Option<PathBuf>,
    /// Print nothing.
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
pub fn run(config: &Augment) -> Result<PathBuf> {
    let picture = config.image.as_deref().map_or_else(|| Image::decode(CAT), Image::open)?;
    let cifar = config.cifar10()?;
    let mut output = Output {
        dir: RunDir::create(config.out.as_deref(), "augment")?,
        page: page::head(config.seed, config.image.as_deref()),
        exact: config.pixels.then(Vec::new),
        quiet: config.quiet,
    };
    let chosen = |file: &mut BufWriter<&File>| Ok(serde_json::to_writer_pretty(file, &config.chosen())?);
    output.dir.write_atomically("config.json", chosen)?;

    let title = format!("{}, {} x {} pixels", config.title(), picture.width(), picture.height());
    let images = vec![thumbnail::fitting(&picture, PICTURE)];
    output.draw("picture", &Gallery { title, columns: 1, images, names: Vec::new() })?;
    output.keep("picture", std::slice::from_ref(&picture));
    for augmentation in augmentations() {
        output.augment(config.seed, &picture, &augmentation)?;
    }
    match cifar {
        Some(data) => output.cifar10(&data)?,
        None => output.say(NO_CIFAR),
    }
    output.finish()
}

/// What becomes the run directory.
struct Output {
    dir: RunDir,
    /// `galleries.md`.
    page: String,
    /// Names and tensors (n, height, width, channels) of bytes, if they are wanted.
    exact: Option<Vec<(String, Tensor)>>,
    quiet: bool,
}

impl Output {
    /// Draws `NAME.png`.
    fn draw(&self, name: &str, gallery: &Gallery) -> Result<()> {
        let png = draw_gallery(gallery)?;
        self.dir.write_atomically(&format!("{name}.png"), |file| file.write_all(&png))
    }

    /// Keeps the pixels of images of one size, if that is wanted.
    fn keep(&mut self, name: &str, images: &[Image]) {
        if let Some(exact) = &mut self.exact {
            exact.push((name.to_owned(), tensor(images)));
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            output::say(line);
        }
    }

    /// The gallery of one transform. Of large images, one at a time is in memory, unless all are kept.
    fn augment(&mut self, seed: u64, picture: &Image, augmentation: &Augmentation) -> Result<()> {
        let Augmentation { name, python, transform } = augmentation;
        let (mut images, mut kept) = (Vec::with_capacity(DRAWS), Vec::new());
        for image in apply(seed, picture, transform.as_ref()) {
            images.push(thumbnail::fitting(&image, Gallery::longest_side(COLUMNS)));
            if self.exact.is_some() {
                kept.push(image);
            }
        }
        self.keep(name, &kept);
        self.draw(name, &Gallery { title: python.clone(), columns: COLUMNS, images, names: Vec::new() })?;
        self.page += &page::section(seed, name, python);
        self.say(&format!("{name}.png: {}", page::one_line(python)));
        Ok(())
    }

    /// The first images of CIFAR-10, each with the name of its class.
    fn cifar10(&mut self, data: &DataSet) -> Result<()> {
        let count = data.train.len().min(CIFAR_IMAGES);
        let images: Vec<_> = (0..count).map(|i| data.train.image(i)).collect();
        let names = data.train.labels[..count].iter().map(|&label| LABELS[usize::from(label)].to_owned());
        let files = if data.is_published() { "CIFAR-10" } else { "other data in CIFAR-10's form" };
        let title = format!("The first {count} training images of {files}");
        self.keep("cifar10", &images);
        let gallery = Gallery {
            title: title.clone(),
            columns: CIFAR_COLUMNS,
            images: images.iter().map(|image| thumbnail::fitting(image, usize::MAX)).collect(),
            names: names.collect(),
        };
        self.draw("cifar10", &gallery)?;
        self.page += &page::cifar10(&title, count);
        self.say(&format!("cifar10.png: {title}"));
        Ok(())
    }

    /// Writes what was gathered; gives the directory.
    fn finish(self) -> Result<PathBuf> {
        if let Some(exact) = &self.exact {
            weights::save(&self.dir.path().join("galleries.safetensors"), exact)?;
        }
        self.dir.write_atomically("galleries.md", |file| file.write_all(self.page.as_bytes()))?;
        Ok(self.dir.path().to_owned())
    }
}

/// Images of one size as a tensor (n, height, width, channels) of bytes.
fn tensor(images: &[Image]) -> Tensor {
    let of_one = |image: &Image| {
        let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
        Tensor::from_data_size(image.pixels(), &size, Kind::Uint8)
    };
    Tensor::stack(&images.iter().map(of_one).collect::<Vec<_>>(), 0)
}

/// `config.json`.
#[derive(Serialize)]
struct Chosen<'a> {
    seed: u64,
    image: Option<Cow<'a, str>>,
    d2l_ch7: &'static str,
}

impl Augment {
    fn chosen(&self) -> Chosen<'_> {
        Chosen {
            seed: self.seed,
            image: self.image.as_deref().map(Path::to_string_lossy),
            d2l_ch7: env!("CARGO_PKG_VERSION"),
        }
    }

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
