//! The note on image augmentation: what random transforms make of a picture, eight draws of each side by side.
//! `notebooks_ref/augment.py` is the same in Python.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::{Kind, Tensor};

use super::thumbnail;
use crate::data::DefaultGenerator;
use crate::data::transforms::{
    ColorJitter, Compose, Image, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Transform,
};
use crate::report::{Gallery, RunDir, Thumbnail, draw_gallery};
use crate::{Result, torch, weights};

/// The picture where none is named, a cat in a meadow: a JPEG file.
pub const CAT: &[u8] = include_bytes!("../../assets/cat.jpg");

/// Draws of each transform.
const DRAWS: usize = 8;
/// They are shown in two rows.
const COLUMNS: usize = 4;
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
/// `picture.png`, `galleries.md` that shows them all, `config.json`, and perhaps `galleries.safetensors`.
///
/// # Errors
/// An image that cannot be read; a run directory that exists, or cannot be made or written.
pub fn run(config: &Augment) -> Result<PathBuf> {
    let image = config.image.as_deref().map_or_else(|| Image::decode(CAT), Image::open)?;
    let dir = RunDir::create(config.out.as_deref(), "augment")?;
    dir.write_atomically("config.json", |file| Ok(serde_json::to_writer_pretty(file, &config.chosen())?))?;
    let title = format!("{}, {} x {} pixels", config.picture(), image.width(), image.height());
    let alone = vec![thumbnail::fitting(&image, PICTURE)];
    save(&dir, "picture", &Gallery { title, columns: 1, images: alone, names: Vec::new() })?;

    let mut exact = vec![("picture".to_owned(), tensor(&[&image]))];
    let mut page = page_head(config);
    for Augmentation { name, python, transform } in augmentations() {
        let mut shown = Vec::with_capacity(DRAWS);
        let mut kept = Vec::new();
        for drawn in apply(config.seed, &image, transform.as_ref()) {
            shown.push(thumbnail::fitting(&drawn, Gallery::longest_side(COLUMNS)));
            if config.pixels {
                kept.push(drawn);
            }
        }
        save(&dir, name, &gallery(&python, shown))?;
        if config.pixels {
            exact.push((name.to_owned(), tensor(&kept.iter().collect::<Vec<_>>())));
        }
        page += &page_section(config.seed, name, &python);
        if !config.quiet {
            println!("{name}.png: {}", one_line(&python));
        }
    }
    if config.pixels {
        dir.save_as("galleries.safetensors", |path| weights::save(path, &exact))?;
    }
    dir.write_atomically("galleries.md", |file| file.write_all(page.as_bytes()))?;
    Ok(dir.path().to_owned())
}

fn gallery(python: &str, images: Vec<Thumbnail>) -> Gallery {
    Gallery { title: python.to_owned(), columns: COLUMNS, images, names: Vec::new() }
}

fn save(dir: &RunDir, name: &str, gallery: &Gallery) -> Result<()> {
    let png = draw_gallery(gallery)?;
    dir.write_atomically(&format!("{name}.png"), |file| file.write_all(&png))
}

/// Images of one size as a tensor (n, height, width, channels) of bytes.
fn tensor(images: &[&Image]) -> Tensor {
    let of_one = |image: &Image| {
        let size = [image.height(), image.width(), image.mode().channels()].map(|n| n as i64);
        Tensor::from_data_size(image.pixels(), &size, Kind::Uint8)
    };
    Tensor::stack(&images.iter().map(|image| of_one(image)).collect::<Vec<_>>(), 0)
}

fn page_head(config: &Augment) -> String {
    let open = match &config.image {
        Some(path) => format!("Image.open({:?}).convert(\"RGB\")", path.display().to_string()),
        None => "Image.open(\"assets/cat.jpg\")  # of this project's source".to_owned(),
    };
    format!(
        "# Image augmentation, seed {}\n\n\
         {DRAWS} draws of each transform, every gallery from the seed anew. Python gives the same pixels, in the same \
         order:\n\n\
         ```python\nimport torch\nfrom PIL import Image\nfrom torchvision.transforms import *\n\n\
         picture = {open}\n```\n\n\
         ![The picture](picture.png)\n",
        config.seed
    )
}

fn page_section(seed: u64, name: &str, python: &str) -> String {
    format!(
        "\n```python\ntorch.manual_seed({seed})\naug = {python}\n{name} = [aug(picture) for _ in range({DRAWS})]\n\
         ```\n\n![{name}]({name}.png)\n"
    )
}

fn one_line(python: &str) -> String {
    python.split('\n').map(str::trim).collect::<Vec<_>>().join(" ").replace("([ ", "([").replace(", ])", "])")
}

/// `config.json`.
#[derive(Serialize)]
struct Chosen<'a> {
    seed: u64,
    image: Option<&'a Path>,
    d2l_ch7: &'static str,
}

impl Augment {
    fn chosen(&self) -> Chosen<'_> {
        Chosen { seed: self.seed, image: self.image.as_deref(), d2l_ch7: env!("CARGO_PKG_VERSION") }
    }

    /// What the picture is called.
    fn picture(&self) -> String {
        let name = self.image.as_deref().and_then(Path::file_name);
        name.map_or_else(|| "cat.jpg".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
