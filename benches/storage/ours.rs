//! The library at the three tasks.

use std::time::Instant;

use voxfeed::capi::loader_options::{vxf_consumer, vxf_order};
use voxfeed::capi::sampler::{vxf_border, vxf_sampler_kind, vxf_sampler_options};

use crate::arguments::Options;
use crate::calls::{self, Assembler, Batch, Dataset, Loader};
use crate::cases::{Case, PATCHES_OF_A_STREAM, State, Task};
use crate::data::{Data, Place};

/// The patches of a subject in an epoch of T1, where nothing ties them to its stream.
const PATCHES_OF_A_SUBJECT: u64 = 64;
/// The batches before the clock starts: those that are kept ready, and some more.
const WARM_BATCHES: usize = 4;

pub(crate) struct Ours<'a> {
    options: &'a Options,
    data: &'a Data,
    case: &'a Case<'a>,
    dataset: Dataset,
}

impl<'a> Ours<'a> {
    /// Opens the dataset and, where all may be kept, decodes all of it.
    pub(crate) fn open(options: &'a Options, data: &'a Data, case: &'a Case) -> Self {
        let dataset = calls::open(&case.format.open, case.cache_bytes(data)).unwrap();
        if case.state == State::Cached {
            dataset.preload();
        }
        Self { options, data, case, dataset }
    }

    fn rule(&self, rule: &mut vxf_sampler_options) {
        match self.case.task {
            Task::Patches => {
                rule.kind = vxf_sampler_kind::UNIFORM;
                set(&mut rule.patch_shape, self.options.patch);
                let of_stream = self.case.by_subject().then_some(PATCHES_OF_A_STREAM as u64);
                rule.samples_per_subject = of_stream.unwrap_or(PATCHES_OF_A_SUBJECT);
            }
            Task::Slices => rule.kind = vxf_sampler_kind::SLICES,
            Task::Assembly => {
                (rule.kind, rule.border) = (vxf_sampler_kind::GRID, vxf_border::SHIFT);
                set(&mut rule.patch_shape, self.options.patch);
                set(&mut rule.stride, self.options.patch.map(|extent| (extent / 2).max(1)));
            }
        }
    }

    fn start(&self) -> Loader {
        let shuffled = self.case.task == Task::Patches && !self.case.by_subject();
        Loader::start(
            &self.dataset,
            |rule| self.rule(rule),
            |loading| {
                loading.batch_size = self.options.batch as u32;
                loading.threads = self.options.threads as u32;
                if self.case.task == Task::Assembly {
                    // Images alone, which come first.
                    loading.category_count = 1;
                }
                if self.case.state == State::Device {
                    loading.consumer = vxf_consumer::DEVICE;
                }
                loading.order = if shuffled { vxf_order::SHUFFLED } else { vxf_order::SEQUENTIAL };
                loading.endless = 1;
            },
        )
    }

    /// Compares some batches, or a whole volume, with what numpy wrote.
    pub(crate) fn check(&self) {
        let loader = self.start();
        if self.case.task == Task::Assembly {
            return self.check_volume(&loader);
        }
        for _ in 0..2 {
            let batch = next(&loader);
            let places = batch.places();
            assert_eq!(places.len(), self.options.batch);
            for (number, place) in places.iter().enumerate() {
                assert_eq!(place.extents, self.options.extents(self.case.task));
                let voxels: usize = place.extents.iter().product();
                let values = voxels * self.data.channels;
                self.data.check_image(place, &batch.images()[number * values..][..values], |a, b| a == b);
                self.data.check_label(place, &batch.labels()[number * voxels..][..voxels]);
            }
        }
    }

    fn check_volume(&self, loader: &Loader) {
        let mut volume = vec![0f32; self.data.channels * self.data.voxels()];
        let subject = self.assemble(loader, &Assembler::new(loader), &mut volume).0;
        let whole = Place { subject, corner: [0; 3], extents: self.data.volume };
        // A mean of equal values is rounded.
        self.data.check_image(&whole, &volume, |a, b| (a - b).abs() <= 1e-5 * b.abs());
    }

    /// Adds batches until one completes subjects; gives the last of these and the number of samples.
    fn assemble(&self, loader: &Loader, assembler: &Assembler, volume: &mut [f32]) -> (usize, usize) {
        let [depth, height, width] = self.data.volume;
        let mut samples = 0;
        loop {
            let batch = next(loader);
            assembler.add(&batch);
            samples += batch.len();
            let mut taken = None;
            while let Some(subject) = assembler.take(&[self.data.channels, depth, height, width], volume) {
                taken = Some(subject);
            }
            if let Some(subject) = taken {
                return (subject, samples);
            }
        }
    }

    /// Samples per second in a window of at least so many seconds.
    pub(crate) fn measure(&self, seconds: f64) -> f64 {
        let loader = self.start();
        let (mut samples, begun);
        if self.case.task == Task::Assembly {
            let assembler = Assembler::new(&loader);
            let mut volume = vec![0f32; self.data.channels * self.data.voxels()];
            self.assemble(&loader, &assembler, &mut volume);
            (samples, begun) = (0, Instant::now());
            while begun.elapsed().as_secs_f64() < seconds {
                samples += self.assemble(&loader, &assembler, &mut volume).1;
            }
        } else {
            // Slices of a volume come in bursts where it is decoded by layers: whole volumes are counted, and whole
            // epochs where some of them are kept, from the second one on.
            let unit = match (self.case.task, self.case.state) {
                (Task::Slices, State::Half) => self.data.volume[0] * self.data.subjects,
                (Task::Slices, _) => self.data.volume[0],
                _ => self.options.batch,
            };
            let warm = (WARM_BATCHES * self.options.batch).max(unit);
            let mut passed = 0;
            while passed < warm {
                passed += next(&loader).len();
            }
            (samples, begun) = (0, Instant::now());
            let mut goal = unit;
            while samples < goal {
                samples += next(&loader).len();
                if samples >= goal && begun.elapsed().as_secs_f64() < seconds {
                    goal += unit;
                }
            }
        }
        samples as f64 / begun.elapsed().as_secs_f64()
    }
}

fn next(loader: &Loader) -> Batch {
    loader.next().expect("the loader is endless")
}

fn set(slots: &mut [i64], extents: [usize; 3]) {
    slots.iter_mut().zip(extents).for_each(|(slot, extent)| *slot = extent as i64);
}
