//! Checks of the house itself, run as tests: that `ARCHITECTURE.md` tells the truth about `cargo metadata`, and that
//! sources are tidy.

#[cfg(test)]
mod map;
#[cfg(test)]
mod tidy;
