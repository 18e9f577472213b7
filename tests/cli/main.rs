//! The program as a user meets it: what it leaves, what it says, how it ends. A room a command.

mod augment;
mod basics;
mod bench;
mod cifar;
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
