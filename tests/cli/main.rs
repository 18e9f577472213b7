//! The program as a user calls it: its files, its output, its exit code. Each command has a file of tests.

mod augment;
mod basics;
mod bench;
mod chapter;
mod cifar;
mod claims;
mod command_line;
mod compare;
mod environment;
mod evaluate;
mod output;
#[path = "../place/mod.rs"]
mod place;
#[path = "../place/recorded.rs"]
mod recorded;
mod shapes;
mod sweep;
