//! The codecs that a chunk's bytes went through, undone.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::Work;
use crate::store::blosc::Chunk;
use crate::store::codec::Codecs;
use crate::store::volume::grown;
use crate::sys::unshuffle;

/// The bytes of a checksum.
const CHECKSUM_BYTES: usize = 4;

/// One codec from bytes to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Gzip,
    Zlib,
    Zstd,
    Blosc,
    /// numcodecs' LZ4: the length, then one block.
    Lz4,
    Checksum,
    /// A byte shuffle of elements of this many bytes.
    Shuffle(usize),
}

/// The codecs from bytes to bytes of an array, in the order in which they were applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pipeline {
    steps: Vec<Step>,
}

impl Pipeline {
    /// Adds a codec by its name; those of numcodecs are known by their own names too.
    ///
    /// # Errors
    /// `Unsupported`, naming it, where it is not read here or at this place.
    pub(super) fn push(&mut self, name: &str, configuration: &Value) -> Result<()> {
        let step = match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "gzip" => Step::Gzip,
            "zlib" => Step::Zlib,
            "zstd" => Step::Zstd,
            "blosc" => Step::Blosc,
            "lz4" => Step::Lz4,
            "crc32c" => Step::Checksum,
            "shuffle" => {
                let element = configuration.get("elementsize").map_or(Some(4), Value::as_u64);
                let element =
                    element.and_then(|element| usize::try_from(element).ok()).filter(|&len| len > 0);
                Step::Shuffle(
                    element.ok_or_else(|| Error::format("codec \"shuffle\" without a sound elementsize"))?,
                )
            }
            other => {
                let text = format!(
                    "codec \"{other}\": bytes, transpose, sharding_indexed, gzip, zlib, zstd, blosc, lz4, crc32c \
                     and shuffle are read"
                );
                return Err(Error::unsupported(text));
            }
        };
        let packs = |step: &Step| !matches!(step, Step::Checksum | Step::Shuffle(_));
        if matches!(step, Step::Shuffle(_)) && !self.steps.is_empty() {
            return Err(Error::unsupported("codec \"shuffle\" behind another codec"));
        }
        if packs(&step) && self.steps.iter().any(packs) {
            return Err(Error::unsupported(format!("codec \"{name}\" over another compressor")));
        }
        self.steps.push(step);
        Ok(())
    }

    /// Whether stored bytes are the decoded ones.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The most bytes that a chunk of this many decoded bytes is stored in.
    pub(super) fn most_bytes(&self, decoded: usize) -> usize {
        decoded.saturating_mul(2).saturating_add(1 << 16)
    }

    /// The stored bytes of this many decoded ones, where no codec compresses.
    pub(super) fn fixed_bytes(&self, decoded: usize) -> Option<usize> {
        self.steps.iter().try_fold(decoded, |len, step| match step {
            Step::Checksum => len.checked_add(CHECKSUM_BYTES),
            Step::Shuffle(_) => Some(len),
            _ => None,
        })
    }

    /// The bytes that the codec of this number was given when the chunk was written.
    fn bytes_before(&self, number: usize, decoded: usize) -> usize {
        let sums = self.steps.iter().take(number).filter(|step| **step == Step::Checksum).count();
        decoded.saturating_add(sums * CHECKSUM_BYTES)
    }

    /// Undoes all codecs of the stored bytes: every byte of `into`, which has the decoded size.
    ///
    /// # Errors
    /// `Format` where the bytes are damaged or decode to another size.
    pub(super) fn decode(&self, stored: &[u8], work: &mut Work, into: &mut [u8]) -> Result<()> {
        let Work { between, after, codecs, .. } = work;
        let decoded = into.len();
        // One codec at most makes bytes of another length.
        let mut after = Some(after);
        let mut bytes = stored;
        for (number, step) in self.steps.iter().enumerate().rev() {
            match *step {
                Step::Checksum => bytes = checked(bytes)?,
                Step::Shuffle(element) => {
                    expect(bytes.len(), decoded)?;
                    return unshuffle(bytes, element, into);
                }
                packed if number == 0 => return packed.unpack(bytes, (codecs, between), into),
                packed => {
                    let after = after.take().ok_or_else(|| Error::internal("two compressors in a row"))?;
                    let unpacked = grown(after, self.bytes_before(number, decoded))?;
                    packed.unpack(bytes, (codecs, between), unpacked)?;
                    bytes = unpacked;
                }
            }
        }
        expect(bytes.len(), decoded)?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

impl Step {
    /// Undoes a codec that compresses: every byte of `into`.
    fn unpack(
        self,
        bytes: &[u8],
        (codecs, between): (&mut Codecs, &mut Vec<u8>),
        into: &mut [u8],
    ) -> Result<()> {
        match self {
            Step::Gzip => codecs.gzip(bytes, into),
            Step::Zlib => codecs.zlib(bytes, into),
            Step::Zstd => codecs.zstd(bytes, &[], into),
            Step::Blosc => Chunk::parse(bytes)?.decode(bytes, codecs, between, into),
            Step::Lz4 => {
                let (size, packed) =
                    bytes.split_first_chunk::<4>().ok_or_else(|| Error::format("truncated LZ4 data"))?;
                expect(u32::from_le_bytes(*size) as usize, into.len())?;
                codecs.lz4(packed, into)
            }
            Step::Checksum | Step::Shuffle(_) => Err(Error::internal("a codec that does not compress")),
        }
    }
}

fn expect(found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::format(format!("{found} bytes, expected {wanted}")))
}

/// The bytes before their checksum, which is checked.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let short = || Error::format("too short for its crc32c checksum");
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(short)?;
    if crc32c::crc32c(bytes) != u32::from_le_bytes(*sum) {
        return Err(Error::format("its crc32c checksum differs"));
    }
    Ok(bytes)
}
