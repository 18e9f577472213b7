//! A folder of pictures, augmented for training by two workers: `cargo run --example folder -- FOLDER`. Prints a checksum of every batch
//! of two epochs, the same as this Python, `python folder.py FOLDER`:
//!
//! ```python
//! import sys, zlib
//! from pathlib import Path
//!
//! import torch
//! from PIL import Image
//! from torch.utils.data import DataLoader
//! from torchvision.transforms import ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop
//!
//! augs = Compose([RandomResizedCrop(224), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.1)])
//!
//! class Folder(torch.utils.data.Dataset):
//!     def __init__(self, folder):
//!         self.files = sorted(file for file in Path(folder).iterdir() if file.suffix in (".jpg", ".png"))
//!
//!     def __len__(self):
//!         return len(self.files)
//!
//!     def __getitem__(self, i):
//!         return augs(Image.open(self.files[i]).convert("RGB"))
//!
//! torch.manual_seed(0)
//! loader = DataLoader(Folder(sys.argv[1]), batch_size=8, shuffle=True, num_workers=2, collate_fn=list)
//! for epoch in range(2):
//!     for i, batch in enumerate(loader):
//!         print(f"epoch {epoch}, batch {i}: {zlib.crc32(b''.join(image.tobytes() for image in batch)):08x}")
//! ```

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;
use torchvision_exact::image::Image;
use torchvision_exact::loader::{EpochDraws, Prefetcher};
use torchvision_exact::random::{Draws, Mt19937};
use torchvision_exact::transforms::{
    ColorJitter, Compose, RandomHorizontalFlip, RandomResizedCrop, Transform,
};

const BATCH_SIZE: usize = 8;
const WORKERS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder of JPEG and PNG files")?;
    let files: std::io::Result<Vec<PathBuf>> =
        PathBuf::from(folder).read_dir()?.map(|file| Ok(file?.path())).collect();
    let mut files = files?;
    files.retain(|file| [Some("jpg"), Some("png")].contains(&file.extension().and_then(OsStr::to_str)));
    files.sort();

    let crop = RandomResizedCrop::new((224, 224))?;
    let jitter = ColorJitter::new(0.4, 0.4, 0.4, 0.1)?;
    let augs = Compose::new().then(crop).then(RandomHorizontalFlip::default()).then(jitter);

    let shared = Arc::new((files, augs));
    let mut draws = Mt19937::new(0); // torch.manual_seed(0)
    for epoch in 0..2 {
        let drawn = EpochDraws::new(shared.0.len(), true, &mut draws);
        let workers = drawn.workers(WORKERS);
        let shared = Arc::clone(&shared);
        let batches = Prefetcher::new(drawn.order, BATCH_SIZE, 0, workers, move |indices, draws| {
            let (files, augs) = &*shared;
            indices.iter().map(|&i| augmented(&files[i as usize], augs, draws)).collect::<Result<Vec<_>, _>>()
        });
        for (i, batch) in batches.enumerate() {
            let mut crc = Crc::new();
            batch?.iter().for_each(|image| crc.update(image.pixels()));
            println!("epoch {epoch}, batch {i}: {:08x}", crc.sum());
        }
    }
    Ok(())
}

fn augmented(file: &Path, augs: &Compose, draws: &mut dyn Draws) -> torchvision_exact::Result<Image> {
    Ok(augs.transform(Image::open(file)?, draws))
}
