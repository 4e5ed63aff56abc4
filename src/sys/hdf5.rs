//! The questions to the HDF5 library that its safe face does not answer, or answers with a copy more.

use std::ptr;
use std::sync::Once;

use hdf5::plist::DatasetCreate;
use hdf5::sync::sync;
use hdf5::{Dataset, Dataspace, Datatype, globals, h5check};
use hdf5_sys::h5d::H5Dread;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_fill_value, H5Pget_filter2, H5Pget_nfilters};
use hdf5_sys::h5pl::{H5PLremove, H5PLsize};
use hdf5_sys::h5t::H5Tequal;

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
    // SAFETY: both ids are of datatypes: one that `stored` keeps, and one of the library's own, which lives as
    // long as the process.
    sync(|| unsafe { H5Tequal(stored.id(), id) } > 0)
}

/// One filter of a dataset, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterStep {
    /// Its registered number.
    pub id: i32,
    /// Its parameters, the first of them where there are very many.
    pub values: Vec<u32>,
}

/// The filters that a dataset's chunks went through when they were written, in that order.
///
/// # Errors
/// Those of the library.
pub fn pipeline(plan: &DatasetCreate) -> hdf5::Result<Vec<FilterStep>> {
    sync(|| {
        // SAFETY: the handle is a creation plan, alive for the call.
        let count = unsafe { H5Pget_nfilters(plan.id()) };
        h5check(count)?;
        let step = |number: u32| {
            let mut values = [0u32; 16];
            let mut len = values.len();
            let (mut flags, none) = (0, ptr::null_mut());
            let (len_at, values_at) = (&raw mut len, values.as_mut_ptr());
            // SAFETY: the library writes one flag word, at most `len` values and the number of all; no name
            // and no configuration are asked for.
            let id = unsafe {
                H5Pget_filter2(plan.id(), number, &raw mut flags, len_at, values_at, 0, none, ptr::null_mut())
            };
            h5check(id)?;
            Ok(FilterStep { id, values: values.into_iter().take(len).collect() })
        };
        (0..count.unsigned_abs()).map(step).collect()
    })
}

/// The fill value of a dataset of at most 8 bytes an element, in its stored form; zeros where none is set.
///
/// # Errors
/// Those of the library.
pub fn stored_fill_value(plan: &DatasetCreate, stored: &Datatype) -> hdf5::Result<[u8; 8]> {
    let mut value = [0u8; 8];
    if stored.size() > value.len() {
        return Err(hdf5::Error::from("a fill value of more than 8 bytes"));
    }
    sync(|| {
        // SAFETY: both handles live during the call, which writes one element of the stored type, and that
        // has room.
        h5check(unsafe { H5Pget_fill_value(plan.id(), stored.id(), value.as_mut_ptr().cast()) })
    })?;
    Ok(value)
}

/// Reads the selected elements of a dataset into `into`, as elements of a type of plain numbers.
///
/// What the library leaves out, as it does for chunks that were never written where fill values are not to
/// be written, keeps what `into` held.
///
/// # Errors
/// Those of the library, and where `into` has not the size of the selection.
pub fn read_selection(
    dataset: &Dataset,
    selected: &Dataspace,
    element: &Datatype,
    into: &mut [u8],
) -> hdf5::Result<()> {
    let count = selected.selection_size();
    if count.checked_mul(element.size()) != Some(into.len()) {
        return Err(hdf5::Error::from("the dataset has changed its shape"));
    }
    let memory = Dataspace::try_new(count)?;
    let (dataset, element, memory, selected) = (dataset.id(), element.id(), memory.id(), selected.id());
    let into = into.as_mut_ptr().cast();
    // SAFETY: the handles live during the call, which writes `count` elements of `element`'s size: all of
    // `into`, and no more.
    sync(|| h5check(unsafe { H5Dread(dataset, element, memory, selected, H5P_DEFAULT, into) })).map(drop)
}

/// Makes the library forget the folder that it was built to look for filter plugins in, where the
/// environment names no other.
///
/// That folder was the build's own: on another machine whoever can write there would run code here.
pub fn forget_built_in_plugins() {
    static ONCE: Once = Once::new();
    if std::env::var_os("HDF5_PLUGIN_PATH").is_some() {
        return;
    }
    ONCE.call_once(|| {
        sync(|| {
            let mut count = 0;
            // SAFETY: the call writes one number.
            if unsafe { H5PLsize(&raw mut count) } < 0 {
                return;
            }
            for _ in 0..count {
                // SAFETY: the call takes a number, and refuses one that is too large.
                unsafe { H5PLremove(0) };
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5::H5Type;
    use hdf5_sys::h5i::hid_t;

    /// Whether the type of this number in big-endian order, and it alone, is known as the dtype's.
    fn check<T: H5Type>(dtype: DType, big: hid_t) {
        let folder = tempfile::tempdir().unwrap();
        let file = hdf5::File::create(folder.path().join("a.h5")).unwrap();
        let native = Datatype::from_type::<T>().unwrap();
        assert!(!is_standard_big_endian(&native, dtype) || native.size() == 1, "{dtype}");
        // SAFETY: a copy of one of the library's own types is ours to keep.
        let copied = unsafe { hdf5_sys::h5t::H5Tcopy(big) };
        // SAFETY: the copy is a datatype of ours, which nobody else gives back.
        let copied = unsafe { hdf5::from_id::<Datatype>(copied) }.unwrap();
        let data = file.new_dataset_builder().empty_as(copied).shape(3).create("data").unwrap();
        assert!(is_standard_big_endian(&data.dtype().unwrap(), dtype), "{dtype}");
    }

    #[test]
    fn big_endian_numbers_are_known_and_native_ones_are_not() {
        check::<i16>(DType::I16, *globals::H5T_STD_I16BE);
        check::<u32>(DType::U32, *globals::H5T_STD_U32BE);
        check::<f32>(DType::F32, *globals::H5T_IEEE_F32BE);
        check::<f64>(DType::F64, *globals::H5T_IEEE_F64BE);
    }
}
