//! Random and damaged bytes into everything that reads what others send: it must neither panic nor hang, nor take more
//! memory than [`MAX_MEMORY`](tests). Valid inputs are damaged, because most of what is random is refused at the first byte.
//!
//! Each test tries for two seconds, or as long as `CONCORDAT_FUZZ_SECONDS` says. Where one fails it names the seed.
//! Nothing imports this room; it holds tests only.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod deep;
#[cfg(test)]
mod depth;
#[cfg(test)]
mod tests;
