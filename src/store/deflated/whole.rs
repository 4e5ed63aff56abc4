//! A volume that is inflated whole, once, and kept as long as the cache's budget allows.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::chunks::{ChunkedArray, Grid, Voxels};
use crate::store::deflated::{Packed, SeekSource, Slabs};
use crate::store::{
    ArrayLayout, Block, Bytes, ChannelPlace, Context, Decoded, DecodedBytes, DecodedParts, Header, Part,
    Patience, Scratch, SeekUse, TakeBlock, Volume, Window,
};

/// No deflated stream grows by more than this factor.
const MOST_INFLATION: u64 = 1032;

/// A dense array inside a deflated stream.
#[derive(Debug)]
pub(in crate::store) struct DeflatedArray {
    /// What the file says.
    pub header: Header,
    /// The bytes of the stream before the array.
    pub start: u64,
    /// Its strides.
    pub layout: ArrayLayout,
    /// Whether its voxels are in the other kind of machine's byte order.
    pub swapped: bool,
    /// Its packed bytes.
    pub packed: Packed,
}

impl DeflatedArray {
    /// The array as a volume: with an index where it is to have one, else inflated whole.
    ///
    /// # Errors
    /// `Format` where so few packed bytes cannot hold it, or where the header's size overflows.
    pub(in crate::store) fn open(self, context: &Context) -> Result<Arc<dyn Volume>> {
        let overflow = |error: Error| Error::format(error.message());
        let len = self.header.byte_len().map_err(overflow)? as u64;
        let most = self.packed.len.saturating_mul(MOST_INFLATION);
        let end = self.start.checked_add(len).filter(|&end| end <= most);
        let Some(end) = end.and_then(|end| usize::try_from(end).ok()) else {
            let Header { shape, channels, dtype, .. } = &self.header;
            let packed = self.packed.len;
            return Err(Error::format(format!(
                "truncated: {channels} channels of {shape} {dtype} need {len} bytes, which \
                 {packed} compressed bytes cannot hold"
            )));
        };
        let seeks = match context.options.seek_index {
            SeekUse::Auto => end > context.decoded.budget(),
            SeekUse::Never => false,
            SeekUse::Always => true,
        };
        let decoded = Arc::clone(&context.decoded);
        match self.stored_axes().filter(|_| seeks) {
            Some((axes, channel)) => Ok(Arc::new(self.seeking(&axes, channel, context)?)),
            None => Ok(Arc::new(WholeArray { number: decoded.number(), array: self, end, decoded })),
        }
    }

    /// The extents as they follow each other in the stream, slowest first, where they do so as in the shape.
    fn stored_axes(&self) -> Option<(Vec<usize>, ChannelPlace)> {
        let Header { shape, channels, dtype, .. } = &self.header;
        let spatial = shape.extents().iter().copied();
        let places = [ChannelPlace::First, ChannelPlace::Last];
        let place = places.into_iter().find(|&place| {
            let dense = ArrayLayout::dense(shape, *channels, dtype.byte_len(), place);
            // The stride of an axis of one does not matter.
            let axes = dense.strides.iter().zip(&self.layout.strides).skip(1).zip(shape.extents());
            let mut axes = axes.filter(|(_, extent)| **extent > 1);
            axes.all(|((dense, own), _)| dense == own)
                && (*channels == 1 || dense.strides.first() == self.layout.strides.first())
        })?;
        Some(match place {
            _ if *channels == 1 => (spatial.collect(), ChannelPlace::None),
            ChannelPlace::First => (std::iter::once(*channels).chain(spatial).collect(), place),
            _ => (spatial.chain(std::iter::once(*channels)).collect(), place),
        })
    }

    fn seeking(
        self,
        axes: &[usize],
        channel: ChannelPlace,
        context: &Context,
    ) -> Result<ChunkedArray<SeekSource>> {
        let (slabs, axes) = Slabs::cut(axes, self.header.dtype.byte_len() as u64, self.start);
        let options = &context.options;
        let whole = options.seek_index == SeekUse::Auto;
        let source = SeekSource::new(self.packed, slabs, &options.index_place, whole);
        let voxels = Voxels { swapped: self.swapped, ..Voxels::default() };
        let grid = Grid::new(axes, channel)?;
        Ok(ChunkedArray::new((self.header, grid), voxels, &context.decoded, source))
    }
}

/// An array that is inflated whole.
#[derive(Debug)]
struct WholeArray {
    array: DeflatedArray,
    /// The bytes of the stream up to the array's end: what stands before it is kept too, as it is little.
    end: usize,
    /// Its number among the decoded volumes.
    number: u64,
    /// The decoded volumes.
    decoded: Arc<Decoded>,
}

impl WholeArray {
    fn decode(&self, patience: Patience, scratch: &mut Scratch) -> Result<Option<DecodedBytes>> {
        let part = Part { volume: self.number, number: 0 };
        let (_, work) = scratch.bytes_and_work(0)?;
        self.decoded.get(part, self.end, patience, |into| self.array.packed.inflate(work, into))
    }
}

impl Volume for WholeArray {
    fn header(&self) -> &Header {
        &self.array.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let Some(bytes) = self.decode(scratch.patience, scratch)? else {
            scratch.left = true;
            return Ok(());
        };
        let first = self.array.layout.first(self.array.start as usize, window)?;
        let (strides, swapped) = (self.array.layout.strides, self.array.swapped);
        take(window, &Block { bytes: Bytes::Shared(bytes), first, strides, swapped })
    }

    fn will_need(&self, _: &Window) {
        if !self.decoded.holds(Part { volume: self.number, number: 0 }) {
            self.array.packed.will_need(0, self.array.packed.len);
        }
    }

    fn needed_bytes(&self, _: &Window) -> Result<u64> {
        Ok(self.end as u64)
    }

    fn decode_ahead(&self, _: &Window, scratch: &mut Scratch) -> Result<bool> {
        let part = Part { volume: self.number, number: 0 };
        let decoded = !self.decoded.holds(part) && self.decode(Patience::Leave, scratch)?.is_some();
        if decoded {
            self.decoded.await_use(part);
        }
        Ok(decoded)
    }

    fn pass(&self, _: &Window, rest: Option<&Window>) {
        if rest.is_none() {
            self.decoded.pass(std::iter::once(Part { volume: self.number, number: 0 }));
        }
    }

    fn decoded_parts(&self) -> Result<DecodedParts> {
        Ok(DecodedParts { count: 1, byte_len: self.end as u64 })
    }

    fn decode_part(&self, _: u64, scratch: &mut Scratch) -> Result<()> {
        self.decode(Patience::Wait, scratch).map(drop)
    }
}
