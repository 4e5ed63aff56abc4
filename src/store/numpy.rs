//! NumPy's names of dtypes and its usual order of axes, which several formats have taken over.

use crate::error::{Error, Result};
use crate::store::ChannelPlace;
use crate::voxel::DType;

/// The dtype of a name such as `<f4` or `|b1`, and whether its bytes are in the other order; nothing where
/// it is no number.
pub(super) fn numpy_dtype(descr: &str) -> Option<(DType, bool)> {
    let (order, name) = match descr.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, descr.get(1..).unwrap_or_default()),
        _ => ('=', descr),
    };
    let dtype = match name {
        "b1" | "?" => DType::Bool,
        "u1" => DType::U8,
        "i1" => DType::I8,
        "u2" => DType::U16,
        "i2" => DType::I16,
        "u4" => DType::U32,
        "i4" => DType::I32,
        "u8" => DType::U64,
        "i8" => DType::I64,
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        _ => return None,
    };
    let other = if cfg!(target_endian = "little") { '>' } else { '<' };
    Some((dtype, order == other && dtype.byte_len() > 1))
}

/// How to say which of several arrays of a file is meant.
pub(super) const NAME_IT: &str = "name one: inner of add_file, or \"dataset\" in a manifest";

/// How to say where an array's channel axis is.
const SAY_WHERE: &str = "say which: channel of add_file, or \"channel\" in a manifest";

/// Where an array keeps its channel axis: as said, or before the spatial axes where it has four.
///
/// # Errors
/// `Argument` where five and more axes need a word; `Unsupported` for an array without voxels.
pub(super) fn channel_place(said: ChannelPlace, extents: &[usize]) -> Result<ChannelPlace> {
    let place = match (said, extents.len()) {
        (ChannelPlace::Unsaid, 0..=3) => ChannelPlace::None,
        (ChannelPlace::Unsaid, 4) => ChannelPlace::First,
        (ChannelPlace::Unsaid, axes) => {
            let text = format!("an array of {axes} axes may have its channel axis first, last or not at all");
            return Err(Error::argument(text).with_advice(SAY_WHERE));
        }
        (said, _) => said,
    };
    if extents.contains(&0) {
        return Err(Error::unsupported(format!("an empty array of shape {extents:?}")));
    }
    Ok(place)
}
