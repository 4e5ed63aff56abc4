//! The loops that move voxels, written once and compiled twice: for every machine, and for those with AVX2.
//!
//! The bodies are plain loops that are inlined into the functions of `baseline` and `avx2`. A [`Kernels`] is
//! the table of one of the two, chosen once for a gather. Both give the same bytes: no operation is fused,
//! none is left to the processor's rounding mode.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod baseline;
mod body;
mod collect;
mod element;
mod half;
mod job;
mod part;
mod plane;
mod shuffle;
mod stream;
mod table;

pub use part::parts_at_once;
pub use plane::ask_for;
pub use shuffle::unshuffle;
pub use stream::Stores;

pub(super) use job::{Job, Order, Scratch};
pub(super) use part::Channels;
pub(super) use plane::{Plane, Strand};
pub(super) use table::Kernels;
