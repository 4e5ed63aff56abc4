//! One question to the HDF5 library that its safe face does not answer.

use std::mem::ManuallyDrop;

use hdf5::{Datatype, globals};

use crate::voxel::DType;

/// Whether a stored datatype is the standard big-endian form of a dtype.
///
/// There is no answer, and so `false`, for half precision, of which the library names no such form.
pub fn is_standard_big_endian(stored: &Datatype, dtype: DType) -> bool {
    let id = match dtype {
        DType::I8 => *globals::H5T_STD_I8BE,
        DType::U8 => *globals::H5T_STD_U8BE,
        DType::I16 => *globals::H5T_STD_I16BE,
        DType::U16 => *globals::H5T_STD_U16BE,
        DType::I32 => *globals::H5T_STD_I32BE,
        DType::U32 => *globals::H5T_STD_U32BE,
        DType::I64 => *globals::H5T_STD_I64BE,
        DType::U64 => *globals::H5T_STD_U64BE,
        DType::F32 => *globals::H5T_IEEE_F32BE,
        DType::F64 => *globals::H5T_IEEE_F64BE,
        DType::Bool | DType::F16 => return false,
    };
    // SAFETY: the id is one of the library's own, valid for the life of the process; `ManuallyDrop` keeps
    // the handle from giving back a reference that we never took.
    let standard = unsafe { hdf5::from_id::<Datatype>(id) };
    standard.map(ManuallyDrop::new).is_ok_and(|standard| *standard == *stored)
}
