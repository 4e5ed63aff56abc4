//! Decoded bytes that are kept: chunks, layers of chunks and inflated volumes of all files, within one budget.

mod decoded;
mod joining;
mod passing;
mod shard;
mod spares;

pub use decoded::{Decoded, DecodedBytes, Had, Part, Patience};
