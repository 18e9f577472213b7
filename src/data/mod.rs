//! The data: files found, fetched and read; shuffled and batched; augmented.

pub mod idx;
