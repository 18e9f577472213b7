// The compiler comes to this file where it does not find libtorch's own, and prints the line below.
#include "libtorch is not set up: run `cargo xtask run` or `cargo xtask setup` first"
