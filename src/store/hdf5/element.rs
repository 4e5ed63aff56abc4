//! What one element of a stored dataset is, and how its bytes can be read.

use hdf5::datatype::ByteOrder;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5::{Datatype, H5Type};

use crate::error::{Error, Result};
use crate::sys::is_standard_big_endian;
use crate::voxel::DType;

/// The stored element type of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// The dtype that it is read as.
    pub dtype: DType,
    /// Whether its bytes are in the other order; nothing where only the library can read them.
    pub swapped: Option<bool>,
}

impl Element {
    /// The element of a datatype.
    ///
    /// # Errors
    /// `Unsupported`, naming it, where it is no number.
    pub(super) fn of(stored: &Datatype) -> Result<Self> {
        let described = stored.to_descriptor();
        let Ok(descriptor) = described else {
            let bytes = stored.size();
            return Err(Error::unsupported(format!("elements of {bytes} bytes of no known number type")));
        };
        let big = stored.byte_order() == ByteOrder::BigEndian;
        let foreign_order = big == cfg!(target_endian = "little");
        match descriptor {
            TypeDescriptor::Integer(size) => Ok(Self::standard(stored, integer(size, true))),
            TypeDescriptor::Unsigned(size) => Ok(Self::standard(stored, integer(size, false))),
            TypeDescriptor::Float(FloatSize::U2) if !stored.is::<half::f16>() => {
                // Big-endian halves and bfloat16 look alike from here; f32 holds the values of both.
                Ok(Self { dtype: DType::F32, swapped: None })
            }
            TypeDescriptor::Float(FloatSize::U2) => Ok(Self::standard(stored, DType::F16)),
            TypeDescriptor::Float(FloatSize::U4) => Ok(Self::standard(stored, DType::F32)),
            TypeDescriptor::Float(FloatSize::U8) => Ok(Self::standard(stored, DType::F64)),
            TypeDescriptor::Boolean => Ok(Self { dtype: DType::Bool, swapped: Some(false) }),
            TypeDescriptor::Enum(kind) => {
                let dtype = integer(kind.size, kind.signed);
                let swapped = foreign_order && dtype.byte_len() > 1;
                Ok(Self { dtype, swapped: Some(swapped) })
            }
            other => Err(Error::unsupported(format!("elements of type {}, not numbers", name(&other)))),
        }
    }

    /// The element of a number type, which may have odd precision or padding.
    fn standard(stored: &Datatype, dtype: DType) -> Self {
        let native = match dtype {
            DType::I8 | DType::Bool => stored.is::<i8>(),
            DType::U8 => stored.is::<u8>(),
            DType::I16 => stored.is::<i16>(),
            DType::U16 => stored.is::<u16>(),
            DType::I32 => stored.is::<i32>(),
            DType::U32 => stored.is::<u32>(),
            DType::I64 => stored.is::<i64>(),
            DType::U64 => stored.is::<u64>(),
            DType::F16 => stored.is::<half::f16>(),
            DType::F32 => stored.is::<f32>(),
            DType::F64 => stored.is::<f64>(),
        };
        let swapped = if native {
            Some(false)
        } else if cfg!(target_endian = "little") && is_standard_big_endian(stored, dtype) {
            Some(dtype.byte_len() > 1)
        } else {
            None
        };
        Self { dtype, swapped }
    }
}

fn integer(size: IntSize, signed: bool) -> DType {
    match (size, signed) {
        (IntSize::U1, true) => DType::I8,
        (IntSize::U2, true) => DType::I16,
        (IntSize::U4, true) => DType::I32,
        (IntSize::U8, true) => DType::I64,
        (IntSize::U1, false) => DType::U8,
        (IntSize::U2, false) => DType::U16,
        (IntSize::U4, false) => DType::U32,
        (IntSize::U8, false) => DType::U64,
    }
}

/// What a type that is no number is called.
fn name(descriptor: &TypeDescriptor) -> String {
    match descriptor {
        TypeDescriptor::Compound(kind) => {
            let fields: Vec<_> = kind.fields.iter().map(|field| field.name.as_str()).collect();
            let is_complex = matches!(fields.as_slice(), ["r", "i"] | ["real", "imag"]);
            if is_complex { "complex".to_owned() } else { format!("compound ({})", fields.join(", ")) }
        }
        TypeDescriptor::VarLenArray(_) => "variable-length array".to_owned(),
        TypeDescriptor::FixedArray(..) => "array".to_owned(),
        TypeDescriptor::Reference(_) => "reference".to_owned(),
        TypeDescriptor::FixedAscii(_)
        | TypeDescriptor::FixedUnicode(_)
        | TypeDescriptor::VarLenAscii
        | TypeDescriptor::VarLenUnicode => "string".to_owned(),
        other => other.to_string(),
    }
}

/// Calls a generic function with the Rust type that holds a dtype's stored numbers.
///
/// Booleans are their bytes, so that a byte other than 0 and 1 is a value and no broken `bool`.
macro_rules! with_stored_type {
    ($dtype:expr, $call:ident($($argument:expr),*)) => {
        match $dtype {
            DType::Bool | DType::I8 => $call::<i8>($($argument),*),
            DType::U8 => $call::<u8>($($argument),*),
            DType::I16 => $call::<i16>($($argument),*),
            DType::U16 => $call::<u16>($($argument),*),
            DType::I32 => $call::<i32>($($argument),*),
            DType::U32 => $call::<u32>($($argument),*),
            DType::I64 => $call::<i64>($($argument),*),
            DType::U64 => $call::<u64>($($argument),*),
            DType::F16 => $call::<half::f16>($($argument),*),
            DType::F32 => $call::<f32>($($argument),*),
            DType::F64 => $call::<f64>($($argument),*),
        }
    };
}
pub(super) use with_stored_type;

/// A number that lies in a file as it lies in memory.
pub(super) trait StoredNumber: H5Type + bytemuck::Pod {}
impl<T: H5Type + bytemuck::Pod> StoredNumber for T {}
