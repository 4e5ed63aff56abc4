//! vxf_dataset_options: how the volumes of a dataset are read.

#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::path::PathBuf;

use crate::capi::dataset::unknown;
use crate::capi::guard::guard_done;
use crate::capi::handle::{Sized32, check_room, init_sized, path, read_sized_or_default, text_or_null};
use crate::capi::status::vxf_status;
use crate::error::{Error, Result};
use crate::store::{DEFAULT_CACHE_BYTES, GeometryCheck, IndexPlace, Io, OpenOptions, SeekUse};
use crate::voxel::Orientation;

/// How stored bytes are brought up.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_io(pub i32);

impl vxf_io {
    /// Through file maps on local file systems, by positional reads on network ones.
    pub const AUTO: vxf_io = vxf_io(0);
    /// By positional reads: slower, safe against files that shrink during a copy.
    pub const POSITIONAL: vxf_io = vxf_io(1);
    /// Through file maps.
    pub const MAP: vxf_io = vxf_io(2);
}

/// How strictly the volumes of a subject must lie on one grid.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_geometry(pub i32);

impl vxf_geometry {
    /// Equal shapes, and corners within a hundredth of a voxel.
    pub const STRICT: vxf_geometry = vxf_geometry(0);
    /// Equal shapes; the affines may differ.
    pub const SHAPE: vxf_geometry = vxf_geometry(1);
}

/// Which deflated volumes (.nii.gz, deflated .npz) are inflated slab by slab, and not whole.
///
/// That takes an index, which the first read of a volume makes in one pass through its file. Then a slice costs
/// 1 to 4 MiB of inflating, and memory is bounded by cache_bytes however large the volumes are, but for the
/// index itself: some 16 KiB for each of these slabs.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_seek_index(pub i32);

impl vxf_seek_index {
    /// Those that are larger than cache_bytes.
    pub const AUTO: vxf_seek_index = vxf_seek_index(0);
    /// None: one that is larger than cache_bytes is inflated whole, into memory of its size, for every read.
    pub const NEVER: vxf_seek_index = vxf_seek_index(1);
    /// All but .npz arrays in Fortran order: for slices here and there, and for patches in random order from
    /// more volumes than cache_bytes hold together.
    pub const ALWAYS: vxf_seek_index = vxf_seek_index(2);
}

/// Where the index of a volume is kept.
///
/// In a file, it serves every later process until the volume's file changes; its name is the volume's with
/// the ending .vxfindex, in an index_folder with a number in between that tells volumes of one name apart. A
/// file that is stale or damaged is made anew; one that cannot be written is no error, as voxels do not depend
/// on it: the index is then kept in memory.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_index_place(pub i32);

impl vxf_index_place {
    /// In a file of index_folder where that is given, else in memory.
    pub const AUTO: vxf_index_place = vxf_index_place(0);
    /// In a file beside the volume's.
    pub const BESIDE: vxf_index_place = vxf_index_place(1);
}

/// How a dataset is opened. Set it up with vxf_dataset_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_dataset_options {
    /// sizeof(vxf_dataset_options), set by the init function.
    pub struct_size: u32,
    /// How stored bytes are brought up.
    pub io: vxf_io,
    /// How strictly the volumes of a subject must lie on one grid.
    pub geometry: vxf_geometry,
    /// Room, 0.
    pub reserved: i32,
    /// The bytes of decoded chunks (HDF5, .b2nd, Zarr) and volumes (.nii.gz, deflated .npz) that are kept; 0 is 2 GiB.
    /// Of what comes in order, epoch after epoch, a part stays where not all fits: as much as is not needed for the
    /// batches under way and ahead.
    pub cache_bytes: u64,
    /// The orientation to see all volumes in, as three letters, fastest axis first: "RAS", "LPS"; NULL as
    /// stored.
    pub orient: *const c_char,
    /// Which deflated volumes are inflated slab by slab.
    pub seek_index: vxf_seek_index,
    /// Where the index of such a volume is kept.
    pub index_place: vxf_index_place,
    /// The folder, which must exist, for files of indexes; NULL for none.
    pub index_folder: *const c_char,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_dataset_options {
    const NAME: &'static str = "vxf_dataset_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            io: vxf_io::AUTO,
            geometry: vxf_geometry::STRICT,
            reserved: 0,
            cache_bytes: 0,
            orient: std::ptr::null(),
            seek_index: vxf_seek_index::AUTO,
            index_place: vxf_index_place::AUTO,
            index_folder: std::ptr::null(),
        }
    }
}

impl vxf_dataset_options {
    pub(super) fn parse(pointer: *const Self) -> Result<OpenOptions> {
        let given = read_sized_or_default(pointer)?;
        let io = match given.io {
            vxf_io::AUTO => Io::Auto,
            vxf_io::POSITIONAL => Io::Positional,
            vxf_io::MAP => Io::Map,
            other => return Err(unknown("io", other.0)),
        };
        let geometry = match given.geometry {
            vxf_geometry::STRICT => GeometryCheck::Strict,
            vxf_geometry::SHAPE => GeometryCheck::Shape,
            other => return Err(unknown("geometry", other.0)),
        };
        check_room("vxf_dataset_options", &[u64::from(given.reserved != 0)])?;
        let cache_bytes = if given.cache_bytes == 0 { DEFAULT_CACHE_BYTES } else { given.cache_bytes };
        let orient = text_or_null(given.orient, "orient")?.map(Orientation::parse).transpose()?;
        let seek_index = match given.seek_index {
            vxf_seek_index::AUTO => SeekUse::Auto,
            vxf_seek_index::NEVER => SeekUse::Never,
            vxf_seek_index::ALWAYS => SeekUse::Always,
            other => return Err(unknown("seek_index", other.0)),
        };
        let index_place = match (given.index_place, index_folder(given.index_folder)?) {
            (vxf_index_place::AUTO, None) => IndexPlace::Memory,
            (vxf_index_place::AUTO, Some(folder)) => IndexPlace::Folder(folder),
            (vxf_index_place::BESIDE, None) => IndexPlace::Beside,
            (vxf_index_place::BESIDE, Some(_)) => {
                return Err(Error::argument("an index_folder is given, but the index_place is not in it"));
            }
            (other, _) => return Err(unknown("index_place", other.0)),
        };
        Ok(OpenOptions { io, geometry, orient, cache_bytes, seek_index, index_place })
    }
}

/// The folder of indexes, where one is given.
fn index_folder(pointer: *const c_char) -> Result<Option<PathBuf>> {
    if pointer.is_null() {
        return Ok(None);
    }
    let folder = path(pointer)?;
    match folder.is_dir() {
        true => Ok(Some(folder.to_owned())),
        false => Err(Error::not_found("index_folder is no folder that exists").in_file(folder)),
    }
}

/// Writes the defaults into options of struct_size bytes.
///
/// Errors: ERR_ARGUMENT where options is NULL or struct_size too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_options_init(
    options: *mut vxf_dataset_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}
