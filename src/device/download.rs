//! Bytes back to the host, by a thread that waits for them.

use crate::device::{DeviceBuffer, Event, Here, PinnedBuffer, Stream};
use crate::error::Result;

/// The most bytes that are copied at a time.
const PIECE: usize = 4 << 20;

/// A stream of its own, and pinned memory on the way to the memory that is asked for.
#[derive(Debug)]
pub struct Download {
    stream: Stream,
    piece: PinnedBuffer,
}

impl Download {
    /// A way for copies of this many bytes at most, where that is known.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver has no stream or no pinned memory.
    pub fn new(here: &Here, most: Option<usize>) -> Result<Self> {
        let piece = PinnedBuffer::zeroed(here, most.unwrap_or(PIECE).min(PIECE), None)?;
        Ok(Self { stream: Stream::new(here)?, piece })
    }

    /// Copies the first bytes of a buffer once an event is past, and waits for that.
    ///
    /// # Errors
    /// `Device` where the driver refuses or earlier work failed.
    pub fn run(
        &mut self,
        here: &Here,
        (after, from): (&Event, &DeviceBuffer),
        into: &mut [u8],
    ) -> Result<()> {
        after.hold(here, self.stream.handle())?;
        let (most, mut offset) = (self.piece.byte_len(), 0);
        for part in into.chunks_mut(most) {
            self.stream.download_and_wait(here, (from, offset), (&mut self.piece, part.len()))?;
            let (copied, _) = self.piece.bytes().split_at_mut(part.len());
            part.copy_from_slice(copied);
            offset += part.len();
        }
        Ok(())
    }
}
