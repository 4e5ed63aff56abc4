//! Blosc2's `.b2nd`: one n-d array in chunks, each cut into blocks that are decoded by themselves.
//!
//! Source: c-blosc2, `README_CFRAME_FORMAT.rst` and `README_B2ND_METALAYER.rst`.

mod array;
mod frame;

pub(super) use array::open;
