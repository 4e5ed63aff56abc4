//! The C functions that the bench calls, each handle freed when its owner goes.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::{null, null_mut};

use voxfeed::capi::assembler::{
    vxf_assembler, vxf_assembler_add, vxf_assembler_free, vxf_assembler_new, vxf_assembler_next_complete,
    vxf_assembler_options, vxf_assembler_options_init, vxf_assembler_take, vxf_blend, vxf_completeness,
};
use voxfeed::capi::batch::{
    vxf_batch, vxf_batch_len, vxf_batch_release, vxf_batch_samples, vxf_batch_tensor,
};
use voxfeed::capi::dataset::{vxf_dataset, vxf_dataset_free, vxf_dataset_open};
use voxfeed::capi::dataset_cache::vxf_dataset_preload;
use voxfeed::capi::dataset_options::{vxf_dataset_options, vxf_dataset_options_init};
use voxfeed::capi::library::vxf_last_error_message;
use voxfeed::capi::loader::{
    vxf_loader, vxf_loader_free, vxf_loader_new, vxf_loader_next, vxf_loader_options_init, vxf_loader_start,
};
use voxfeed::capi::loader_options::{vxf_category, vxf_fit, vxf_loader_options, vxf_padding};
use voxfeed::capi::sampler::{
    vxf_sampler, vxf_sampler_free, vxf_sampler_new, vxf_sampler_options, vxf_sampler_options_init,
};
use voxfeed::capi::status::vxf_status;
use voxfeed::capi::tensor::{vxf_device, vxf_dtype, vxf_sample, vxf_tensor};

use crate::data::Place;

fn checked(status: vxf_status) -> Result<vxf_status, String> {
    let message = unsafe { CStr::from_ptr(vxf_last_error_message()) };
    if status.0 < 0 { Err(message.to_string_lossy().into_owned()) } else { Ok(status) }
}

/// Stops the bench where a call failed.
fn done(status: vxf_status) -> vxf_status {
    checked(status).unwrap_or_else(|message| panic!("{message}"))
}

pub(crate) struct Dataset(*mut vxf_dataset);

impl Drop for Dataset {
    fn drop(&mut self) {
        unsafe { vxf_dataset_free(self.0) };
    }
}

impl Dataset {
    /// Decodes all that has to be decoded.
    pub(crate) fn preload(&self) {
        done(unsafe { vxf_dataset_preload(self.0, 0, None, null_mut()) });
    }
}

/// Opens a dataset with so many bytes for decoded voxels, 0 for the default.
pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Dataset, String> {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let mut dataset = null_mut();
    unsafe {
        let mut options: vxf_dataset_options = std::mem::zeroed();
        checked(vxf_dataset_options_init(&mut options, size_of_val(&options)))?;
        options.cache_bytes = cache_bytes;
        checked(vxf_dataset_open(path.as_ptr(), &options, &mut dataset))?;
    }
    Ok(Dataset(dataset))
}

pub(crate) struct Loader(*mut vxf_loader);

impl Drop for Loader {
    fn drop(&mut self) {
        unsafe { vxf_loader_free(self.0) };
    }
}

impl Loader {
    /// A started loader of f32 images and u8 labels.
    pub(crate) fn start(
        dataset: &Dataset,
        sampling: impl FnOnce(&mut vxf_sampler_options),
        loading: impl FnOnce(&mut vxf_loader_options),
    ) -> Self {
        let mut sampler: *mut vxf_sampler = null_mut();
        let mut loader = null_mut();
        let categories = [category(c"images", vxf_dtype::F32), category(c"labels", vxf_dtype::U8)];
        unsafe {
            let mut options: vxf_sampler_options = std::mem::zeroed();
            done(vxf_sampler_options_init(&mut options, size_of_val(&options)));
            sampling(&mut options);
            done(vxf_sampler_new(dataset.0, &options, &mut sampler));
            let mut options: vxf_loader_options = std::mem::zeroed();
            done(vxf_loader_options_init(&mut options, size_of_val(&options)));
            (options.categories, options.category_count) = (categories.as_ptr(), 2);
            loading(&mut options);
            done(vxf_loader_new(sampler, &options, &mut loader));
            vxf_sampler_free(sampler);
            done(vxf_loader_start(loader, 0));
        }
        Self(loader)
    }

    /// The next batch; nothing where the epoch has ended.
    pub(crate) fn next(&self) -> Option<Batch> {
        let mut batch = null_mut();
        let status = done(unsafe { vxf_loader_next(self.0, -1, &mut batch) });
        (status == vxf_status::OK).then_some(Batch(batch))
    }
}

fn category(name: &CStr, dtype: vxf_dtype) -> vxf_category {
    vxf_category {
        name: name.as_ptr(),
        entries: null(),
        entry_count: 0,
        dtype,
        padding: vxf_padding::ZERO,
        pad_value: 0.0,
        fit: vxf_fit::EXACT,
        squeeze_channel: 0,
        reserved: [0; 4],
    }
}

pub(crate) struct Batch(*mut vxf_batch);

impl Drop for Batch {
    fn drop(&mut self) {
        unsafe { vxf_batch_release(self.0) };
    }
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        done(unsafe { vxf_batch_len(self.0, &mut len) });
        len as usize
    }

    fn tensor(&self, name: &CStr) -> vxf_tensor {
        let mut tensor: vxf_tensor = unsafe { std::mem::zeroed() };
        tensor.struct_size = size_of_val(&tensor) as u32;
        done(unsafe { vxf_batch_tensor(self.0, name.as_ptr(), &mut tensor) });
        tensor
    }

    /// The regions that the rows are of.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut samples: Vec<vxf_sample> = vec![unsafe { std::mem::zeroed() }; self.len()];
        done(unsafe { vxf_batch_samples(self.0, samples.as_mut_ptr(), samples.len() as u64) });
        let three = |values: &[i64]| [values[0], values[1], values[2]].map(|value| value as usize);
        let place = |sample: &vxf_sample| Place {
            subject: sample.subject as usize,
            corner: three(&sample.offset),
            extents: three(&sample.shape),
        };
        samples.iter().map(place).collect()
    }

    pub(crate) fn images(&self) -> &[f32] {
        let tensor = self.tensor(c"images");
        assert_eq!(tensor.dtype, vxf_dtype::F32);
        unsafe { std::slice::from_raw_parts(tensor.data.cast(), elements(&tensor)) }
    }

    pub(crate) fn labels(&self) -> &[u8] {
        let tensor = self.tensor(c"labels");
        assert_eq!(tensor.dtype, vxf_dtype::U8);
        unsafe { std::slice::from_raw_parts(tensor.data.cast(), elements(&tensor)) }
    }
}

fn elements(tensor: &vxf_tensor) -> usize {
    tensor.shape[..tensor.ndim as usize].iter().product::<i64>() as usize
}

pub(crate) struct Assembler(*mut vxf_assembler);

impl Drop for Assembler {
    fn drop(&mut self) {
        unsafe { vxf_assembler_free(self.0) };
    }
}

impl Assembler {
    /// An assembler of means.
    pub(crate) fn new(loader: &Loader) -> Self {
        let mut assembler = null_mut();
        unsafe {
            let mut options: vxf_assembler_options = std::mem::zeroed();
            done(vxf_assembler_options_init(&mut options, size_of_val(&options)));
            options.blend = vxf_blend::MEAN;
            done(vxf_assembler_new(loader.0, &options, &mut assembler));
        }
        Self(assembler)
    }

    /// Adds a batch's own images as the prediction.
    pub(crate) fn add(&self, batch: &Batch) {
        let prediction = batch.tensor(c"images");
        done(unsafe { vxf_assembler_add(self.0, batch.0, &prediction) });
    }

    /// Takes a subject that has become complete, if one has, into the caller's memory.
    pub(crate) fn take(&self, extents: &[usize], into: &mut [f32]) -> Option<usize> {
        let mut subject = 0;
        if done(unsafe { vxf_assembler_next_complete(self.0, &mut subject) }) != vxf_status::OK {
            return None;
        }
        assert_eq!(extents.iter().product::<usize>(), into.len());
        let mut tensor: vxf_tensor = unsafe { std::mem::zeroed() };
        tensor.struct_size = size_of_val(&tensor) as u32;
        (tensor.dtype, tensor.device) = (vxf_dtype::F32, vxf_device::CPU);
        (tensor.data, tensor.ndim) = (into.as_mut_ptr().cast(), extents.len() as i64);
        tensor.shape.iter_mut().zip(extents).for_each(|(slot, &extent)| *slot = extent as i64);
        done(unsafe { vxf_assembler_take(self.0, subject, vxf_completeness::COMPLETE, &tensor) });
        Some(subject as usize)
    }
}
