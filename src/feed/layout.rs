//! What a row of a batch looks like: its categories, their channels and dtypes, and its extents.

use crate::device::{Gpu, Kernels, Location};
use crate::error::{Error, Result};
use crate::feed::passing::Passed;
use crate::feed::{Cast, CategoryOptions, Consumer, LoaderOptions, Ragged, ThinAxis};
use crate::log::{LogLevel, tell};
use crate::plan::{Plan, Sample, Sampler};
use crate::store::{Dataset, Entry, Extraction, Reader};
use crate::sys::{Conversion, Stores, convert, largest_cache};
use crate::transform::Program;
use crate::voxel::{DType, MAX_AXES, Padding, Region, Shape};

/// One category as every row has it.
#[derive(Debug)]
pub(super) struct CategoryLayout {
    pub(super) name: String,
    pub(super) channels: usize,
    pub(super) program: Program,
    /// What a GPU makes of a row in place of the program; none where the program does it on the host.
    pub(super) conversion: Option<Conversion>,
    pub(super) extraction: Extraction,
    pub(super) squeeze_channel: bool,
    /// The entries of every subject.
    pub(super) entries: Vec<Vec<Entry>>,
}

/// What the rows of all batches have in common.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) categories: Vec<CategoryLayout>,
    thin_axis: ThinAxis,
    /// The spatial extents of every row; none where each batch of one sample has its own.
    fixed: Option<Vec<usize>>,
    /// The most voxels that a row has.
    voxels: usize,
}

impl Layout {
    /// Works out the rows, and checks that every subject can fill them.
    pub(super) fn new(plan: &Plan, options: &LoaderOptions) -> Result<Self> {
        let sampler = plan.sampler();
        let dataset = sampler.dataset();
        let first = dataset.subject(0)?;
        let mut wanted = options.categories.clone();
        if wanted.is_empty() {
            wanted = first.categories().iter().map(|known| CategoryOptions::named(&known.name)).collect();
        }
        for (place, category) in wanted.iter().enumerate() {
            if wanted.iter().take(place).any(|other| other.name == category.name) {
                return Err(Error::argument(format!("category \"{}\" is asked for twice", category.name)));
            }
        }
        if let Some(stray) =
            options.chain.categories().find(|name| wanted.iter().all(|one| one.name != *name))
        {
            let known: Vec<_> = wanted.iter().map(|one| one.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Error::argument(format!(
                "the transform names category \"{stray}\", which the batches do not have: they have {known}"
            )));
        }
        let categories = wanted.iter().map(|one| CategoryLayout::new(dataset, one, options));
        let categories = categories.collect::<Result<_>>()?;
        let (fixed, voxels) = extents(sampler, options)?;
        Ok(Self { categories, thin_axis: options.thin_axis, fixed, voxels })
    }

    /// Notes that a subject, or a part of it, is wanted again after all others.
    pub(super) fn pass(&self, &Passed { subject, axis, from, to }: &Passed) {
        let mut reader = Reader::default();
        for category in &self.categories {
            reader.pass(category.entries_of(subject), axis, (from, to));
        }
    }

    /// Chooses how rows are written, given the bytes of all batches.
    ///
    /// What a device copies away needs no place in the processor's caches; nor does what finds none there, as other
    /// batches are written before it is read.
    pub(super) fn choose_stores(&mut self, options: &LoaderOptions, all_bytes: usize) {
        let past_caches = past_caches(options, all_bytes, largest_cache());
        for category in &mut self.categories {
            // Steps that follow read the row again at once.
            let is_last = category.program.is_empty() || category.conversion.is_some();
            let stores = if past_caches && is_last { Stores::Streaming } else { Stores::Cached };
            category.extraction.stores = stores;
        }
    }

    /// The bytes of a row in each category, as batches have it.
    pub(super) fn row_bytes(&self) -> Result<Vec<usize>> {
        self.row_bytes_in(|category| category.program.dtype())
    }

    /// The bytes of a row in each category, as it is written on the host.
    pub(super) fn host_row_bytes(&self) -> Result<Vec<usize>> {
        self.row_bytes_in(CategoryLayout::host_dtype)
    }

    fn row_bytes_in(&self, dtype: impl Fn(&CategoryLayout) -> DType) -> Result<Vec<usize>> {
        let bytes = |category: &CategoryLayout| {
            let voxel = dtype(category).byte_len();
            self.voxels.checked_mul(category.channels).and_then(|count| count.checked_mul(voxel))
        };
        let all: Option<Vec<usize>> = self.categories.iter().map(bytes).collect();
        all.ok_or_else(|| Error::range("a row has more bytes than memory counts"))
    }

    /// The bytes of a row's statistics in each category; none where the GPU asks for none.
    pub(super) fn statistics_bytes(&self) -> impl Iterator<Item = Option<usize>> {
        let needed = |one: &CategoryLayout| one.conversion.as_ref().is_some_and(Conversion::needs_statistics);
        self.categories.iter().map(move |one| needed(one).then_some(one.channels * size_of::<[f32; 2]>()))
    }

    /// The region that fills the row of a sample, and the row's spatial extents.
    pub(super) fn row(&self, sampler: &Sampler, sample: &Sample) -> Result<(Region, Vec<usize>)> {
        let shape = match &self.fixed {
            None => sampler.row_shape(sample)?,
            Some(fixed) => {
                let mut extents = fixed.clone();
                if let Some(axis) = sample.thin
                    && extents.len() < sample.region.shape().ndim()
                {
                    extents.insert(axis.min(extents.len()), 1);
                }
                Shape::new(&extents)?
            }
        };
        let region = Region::new(sample.region.offset(), shape)?;
        Ok((region, visible(&shape, sample.thin, self.thin_axis)))
    }
}

impl CategoryLayout {
    /// The entries of a subject; none where there is no such subject.
    pub(super) fn entries_of(&self, subject: usize) -> &[Entry] {
        self.entries.get(subject).map_or(&[], Vec::as_slice)
    }

    /// The dtype of rows on the host.
    pub(super) fn host_dtype(&self) -> DType {
        if self.conversion.is_some() { self.extraction.dtype } else { self.program.dtype() }
    }

    fn new(dataset: &Dataset, wanted: &CategoryOptions, options: &LoaderOptions) -> Result<Self> {
        let mut entries = Vec::with_capacity(dataset.subjects().len());
        let mut stored: Option<DType> = None;
        let mut is_scaled = false;
        let mut channels: Option<(usize, &str)> = None;
        for subject in dataset.subjects() {
            let mut category = subject.category(&wanted.name)?.clone();
            if let Some(names) = &wanted.entries {
                let name = |error: Error| error.at(format!("subject \"{}\"", subject.id()));
                category = category.select(names).map_err(name)?;
            }
            let own = category.channels();
            match channels {
                Some((expected, first)) if expected != own => {
                    return Err(Error::argument(format!(
                        "category \"{}\": subject \"{}\" has {own} channels, but \"{first}\" has {expected}: name the entries \
                         that all subjects have",
                        wanted.name,
                        subject.id()
                    )));
                }
                _ => channels = Some((own, subject.id())),
            }
            let own = category.value_dtype()?;
            stored = Some(stored.map_or(own, |known| known.promote(own)));
            is_scaled |= category.entries.iter().any(|entry| entry.header().scale.is_some());
            entries.push(category.entries);
        }
        let (Some(stored), Some((channels, _))) = (stored, channels) else {
            return Err(Error::argument("the dataset has no subject"));
        };
        let dtype = wanted.dtype.unwrap_or(stored);
        if channels == 0 {
            return Err(Error::argument(format!("category \"{}\" has no entry", wanted.name)));
        }
        if wanted.squeeze_channel && channels != 1 {
            let text = format!("category \"{}\" has {channels} channels, so none is left out", wanted.name);
            return Err(Error::argument(text));
        }
        let program = Program::new(&options.chain, &wanted.name, (dtype, wanted.fit), channels)?;
        let conversion = conversion(&program, (stored, is_scaled), (wanted, options))?;
        let (gathered, fit) = program.gathered();
        let dtype = if conversion.is_some() { stored } else { gathered };
        let extraction = Extraction {
            padding: wanted.padding,
            pad_value: wanted.pad_value,
            dtype,
            fit,
            stores: Stores::Cached,
        };
        Ok(Self {
            name: wanted.name.clone(),
            channels,
            program,
            conversion,
            extraction,
            squeeze_channel: wanted.squeeze_channel,
            entries,
        })
    }
}

/// Whether batches of so many bytes in all are written past caches that hold so many.
fn past_caches(options: &LoaderOptions, all_bytes: usize, cache_bytes: usize) -> bool {
    let copied_away = options.consumer == Consumer::Device || matches!(options.location, Location::Gpu(_));
    // Whoever reads the batches has voxels of his own.
    copied_away || all_bytes > cache_bytes / 2
}

/// What a GPU is to make of a category's stored voxels; none where the host does it.
fn conversion(
    program: &Program,
    (stored, is_scaled): (DType, bool),
    (wanted, options): (&CategoryOptions, &LoaderOptions),
) -> Result<Option<Conversion>> {
    let is_as_stored = program.is_empty() && stored == program.dtype();
    let Location::Gpu(gpu) = options.location else { return Ok(None) };
    if options.cast == Cast::Host || is_as_stored {
        return Ok(None);
    }
    // Padding is written before the GPU sees the row, so its value must be one of the stored dtype's.
    let pads = wanted.padding != Padding::Constant || has_exactly(stored, wanted.pad_value);
    // The host scales into the dtype at hand with one rounding: by way of the stored one there would be two.
    let rounds_once = !is_scaled || program.gathered().0 == stored;
    let conversion = if pads && rounds_once { program.conversion(stored, None) } else { None };
    let on_host = |why: &str| {
        let (name, dtype) = (&wanted.name, program.dtype());
        tell(LogLevel::Info, || {
            format!(
                "category \"{name}\": the host makes {dtype} of {stored}, and copies that to the GPU, {why}"
            )
        });
    };
    match (options.cast, conversion) {
        (Cast::Device, None) => Err(Error::unsupported(format!(
            "category \"{}\": a GPU does not make {} of {stored} with these steps: use VXF_CAST_AUTO, which \
             leaves such categories to the host",
            wanted.name,
            program.dtype()
        ))),
        (Cast::Auto, Some(_)) if stored.byte_len() >= program.dtype().byte_len() => Ok(None),
        // A driver without a compiler copies all the same.
        (Cast::Auto, Some(_)) if !Kernels::are_compiled(&Gpu::open(gpu)?.enter()?)? => {
            on_host("for which the driver compiles no kernels: VXF_CAST_DEVICE tells why");
            Ok(None)
        }
        (Cast::Auto, None) => {
            on_host("which does not make it with these steps");
            Ok(None)
        }
        (_, conversion) => Ok(conversion),
    }
}

/// Whether a number is one of a dtype's own.
fn has_exactly(dtype: DType, number: f64) -> bool {
    let (mut made, mut back) = ([0u8; 8], [0u8; 8]);
    let made = made.get_mut(..dtype.byte_len()).unwrap_or_default();
    convert(&number.to_ne_bytes(), DType::F64, made, dtype)
        && convert(made, dtype, &mut back, DType::F64)
        && f64::from_ne_bytes(back) == number
}

/// The extents that a batch shows of a row's shape.
fn visible(shape: &Shape, thin: Option<usize>, rule: ThinAxis) -> Vec<usize> {
    let mut extents = shape.extents().to_vec();
    if let (Some(axis), ThinAxis::Drop) = (thin, rule)
        && axis < extents.len()
        && extents.len() > 1
    {
        extents.remove(axis);
    }
    extents
}

/// The extents of every row, none where they differ; and the most voxels of a row.
fn extents(sampler: &Sampler, options: &LoaderOptions) -> Result<(Option<Vec<usize>>, usize)> {
    let shapes = sampler.row_shapes()?;
    let mut most = [0usize; MAX_AXES];
    let mut voxels = 0;
    let mut first: Option<(Vec<usize>, usize)> = None;
    let mut other: Option<(Vec<usize>, usize)> = None;
    let mut cut = shapes.iter().filter_map(|(_, thin, _)| *thin);
    let several_axes = cut.next().is_some_and(|first| cut.any(|axis| axis != first));
    for (shape, thin, subject) in shapes {
        let seen = visible(&shape, thin, options.thin_axis);
        voxels = voxels.max(Shape::new(&seen)?.voxels()?);
        for (slot, &extent) in most.iter_mut().zip(&seen) {
            *slot = extent.max(*slot);
        }
        match &first {
            None => first = Some((seen, subject)),
            Some((known, _)) if *known != seen => other = other.or(Some((seen, subject))),
            Some(_) => {}
        }
    }
    let Some((known, subject)) = first else {
        return Err(Error::argument("no sample has a shape"));
    };
    let Some((unequal, another)) = other else { return Ok((Some(known), voxels)) };
    if options.ragged == Ragged::Pad {
        if options.thin_axis == ThinAxis::Keep && several_axes {
            let text = "slices along several axes, each with its axis kept, have no shape in common that padding \
                        fills: ask for thin_axis = drop, or for one axis";
            return Err(Error::argument(text));
        }
        let fixed = most.get(..known.len()).unwrap_or_default().to_vec();
        let voxels = Shape::new(&fixed)?.voxels()?;
        return Ok((Some(fixed), voxels));
    }
    if options.epoch.batch_size == 1 {
        return Ok((None, voxels));
    }
    let dataset = sampler.dataset();
    let (here, there) = (dataset.subject(subject)?.id(), dataset.subject(another)?.id());
    Err(Error::argument(format!(
        "samples have different shapes: {known:?} of subject \"{here}\", {unequal:?} of \"{there}\"; ask for \
         ragged = pad, for a batch size of 1, or for patches or slices of one shape"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_the_caches_do_not_hold_are_written_past_them() {
        let mut options = LoaderOptions::default();
        assert!(!past_caches(&options, 16 << 20, 32 << 20));
        assert!(past_caches(&options, (16 << 20) + 1, 32 << 20));
        options.consumer = Consumer::Device;
        assert!(past_caches(&options, 1, 32 << 20));
    }
}
