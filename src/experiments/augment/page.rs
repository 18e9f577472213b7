//! `galleries.md`: every picture below the Python that gives the same images.

use std::path::Path;

use serde_json::json;

use super::DRAWS;

/// What comes before the galleries; `image` is the file that was opened, if it is not the project's own.
pub fn head(seed: u64, image: Option<&Path>) -> String {
    let open = match image {
        // JSON writes a string as Python does.
        Some(path) => format!("Image.open({}).convert(\"RGB\")", json!(path.to_string_lossy())),
        None => "Image.open(\"assets/cat.jpg\")  # of this project's source".to_owned(),
    };
    format!(
        "# Image augmentation, seed {seed}\n\n\
         {DRAWS} draws of each transform, every gallery from the seed anew. Python gives the same pixels, in the same \
         order\n(here, large images are shown smaller):\n\n\
         ```python\nimport torch\nfrom PIL import Image\nfrom torchvision.transforms import *\n\n\
         picture = {open}\n```\n\n\
         ![The picture](picture.png)\n"
    )
}

/// A transform, as Python writes it, and its gallery.
pub fn section(seed: u64, name: &str, python: &str) -> String {
    format!(
        "\n```python\ntorch.manual_seed({seed})\naug = {python}\n{name} = [aug(picture) for _ in range({DRAWS})]\n\
         ```\n\n![{name}]({name}.png)\n"
    )
}

/// The first `count` images of CIFAR-10.
pub fn cifar10(title: &str, count: usize) -> String {
    format!(
        "\n{title}.\n\n\
         ```python\nfrom torchvision.datasets import CIFAR10\n\n\
         all_images = CIFAR10(\"data\", train=True, download=True)\n\
         cifar10 = [all_images[i][0] for i in range({count})]\n```\n\n![cifar10](cifar10.png)\n"
    )
}

/// Python of several lines in one.
pub fn one_line(python: &str) -> String {
    let joined = python.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    joined.replace("([ ", "([").replace(", ])", "])")
}
