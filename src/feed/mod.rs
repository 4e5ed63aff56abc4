//! Samples out to batches: threads that fill slots ahead of time, lent in epoch order.
//!
//! Sample k of an epoch belongs in batch k / B, row k mod B, before anything is read, so the number of
//! threads cannot change a byte. The slots are the only queue: a full ring puts the threads to sleep.

mod back_pressure;
mod batch;
mod foresight;
mod layout;
mod loader;
mod options;
mod passing;
mod pools;
mod ring;
mod signal;
mod slot;
mod state;
mod statistics;
mod stats;
mod upload;
mod worker;

pub use batch::{Batch, TensorView};
pub use loader::{Loader, Next};
pub use options::{Cast, CategoryOptions, Consumer, LoaderOptions, OnError, Ragged, ThinAxis};
pub use stats::Stats;
