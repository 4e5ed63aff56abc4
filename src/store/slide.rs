//! Whole-slide images, read by OpenSlide: a level as a volume of two axes and three channels.
//!
//! The voxels are RGB as OpenSlide's Python face gives them with the alpha left out: where the scanner saw
//! nothing, they are black. A region is asked for at the place of level 0 that is nearest to its first pixel;
//! where a level's downsample is no whole number, OpenSlide interpolates from there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::store::{
    Block, Bytes, ChannelPlace, Choice, Context, Files, Header, Origin, Scratch, TakeBlock, Volume, Window,
};
use crate::sys::{OpenSlide, SlideLevel, unpremultiply};
use crate::voxel::{Affine, DType, ItkGeometry, MAX_AXES, Shape};

/// The endings of slides, by which they are told where their content is a maker's own.
const ENDINGS: [&str; 8] = [".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide"];
/// The endings that other images have, too: only OpenSlide can tell these apart.
const SHARED_ENDINGS: [&str; 3] = [".tif", ".tiff", ".dcm"];
/// How TIFF and BigTIFF begin, in both byte orders.
const TIFF_HEADS: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
/// The most slides that are kept open; each has a cache of decoded tiles, 32 MiB where OpenSlide is left alone.
const MOST_OPEN: usize = 16;
const CHANNELS: usize = 3;
const PIXEL_BYTES: usize = size_of::<u32>();

/// Whether a file is to be read as a slide: its name or its content says so.
pub(super) fn knows(path: &Path, head: &[u8]) -> bool {
    let named = ends_in(path, &ENDINGS) || ends_in(path, &SHARED_ENDINGS);
    !head.is_empty() && (named || TIFF_HEADS.iter().any(|tiff| head.starts_with(tiff)))
}

/// Whether a file among others is a slide.
pub(super) fn is_slide(path: &Path) -> bool {
    ends_in(path, &ENDINGS) || (ends_in(path, &SHARED_ENDINGS) && OpenSlide::knows(path))
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Opens a level of the slide, the largest where none is named.
pub(super) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let in_file = |error: Error| error.in_file(path);
    if !matches!(choice.channel, ChannelPlace::Unsaid | ChannelPlace::Last) {
        let text = "the channels' place is given by the format, leave it unsaid";
        return Err(in_file(Error::argument(text)));
    }
    let slide = context.files.slides.get(path)?;
    let levels = slide.levels()?;
    let (number, level) = find(&levels, choice.inner.as_deref()).map_err(in_file)?;
    let shape = Shape::new(&[level.height, level.width]).map_err(in_file)?;
    let header = Header {
        shape,
        channels: CHANNELS,
        dtype: DType::U8,
        scale: None,
        affine: affine(&slide, level),
        origin: Origin {
            path: path.to_owned(),
            inner: choice.inner.clone().unwrap_or_default(),
            format: "slide",
        },
    };
    header.byte_len().map_err(|error| in_file(Error::format(error.message())))?;
    Ok(Arc::new(Slide {
        header,
        level: number,
        downsample: level.downsample,
        files: Arc::clone(&context.files),
    }))
}

/// The level of this number.
fn find(levels: &[SlideLevel], wanted: Option<&str>) -> Result<(i32, SlideLevel)> {
    let number = wanted.map_or(Ok(0), str::parse::<i32>);
    let level = number.as_ref().ok().and_then(|&number| levels.get(usize::try_from(number).ok()?));
    if let (Ok(number), Some(level)) = (&number, level) {
        return Ok((*number, *level));
    }
    let known = levels.iter().enumerate();
    let known: Vec<_> =
        known.map(|(number, level)| format!("{number} ({} x {})", level.height, level.width)).collect();
    let wanted = wanted.unwrap_or_default();
    Err(Error::not_found(format!("no level \"{wanted}\": there are {}", known.join(", "))))
}

/// The spacing of a level's pixels, where the slide says that of its largest: x to the left, y to the back,
/// which is how two axes without a direction are understood elsewhere.
fn affine(slide: &OpenSlide, level: SlideLevel) -> Option<Affine> {
    let microns = |name| slide.property(name)?.trim().parse::<f64>().ok().filter(|&step| step > 0.0);
    let step = |name| microns(name).map(|microns| microns * level.downsample / 1000.0);
    let spacing_mm = [step("openslide.mpp-x")?, step("openslide.mpp-y")?, 1.0];
    let direction = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    Some(Affine::from_itk(&ItkGeometry { origin: [0.0; 3], spacing_mm, direction })).filter(Affine::is_finite)
}

/// One level of a slide.
#[derive(Debug)]
struct Slide {
    header: Header,
    level: i32,
    downsample: f64,
    files: Arc<Files>,
}

impl Volume for Slide {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let (shape, offset) = (window.region.shape(), window.region.offset());
        let width = shape.extent(1);
        let place = |axis: usize| {
            let first = offset.get(axis).copied().unwrap_or_default();
            (first as f64 * self.downsample).round() as i64
        };
        // Room to begin at a whole pixel, wherever the scratch lies.
        let bytes = shape.byte_len(1, PIXEL_BYTES)?;
        let padded =
            bytes.checked_add(PIXEL_BYTES).ok_or_else(|| Error::memory("a block's size overflows"))?;
        let (_, pixels, _) = bytemuck::pod_align_to_mut::<u8, u32>(scratch.bytes(padded)?);
        let pixels = pixels.get_mut(..bytes / PIXEL_BYTES).unwrap_or_default();
        let path = &self.header.origin.path;
        let at = (place(1), place(0));
        let slide = self.files.slides.get(path)?;
        if slide.read(self.level, at, width, pixels).is_err() {
            // A slide that has failed once gives nothing any more, also to those whose region is sound: what
            // becomes of this region must not depend on what others read, so it is read by itself.
            self.files.slides.forget(path, &slide);
            OpenSlide::open(path)?.read(self.level, at, width, pixels)?;
        }
        unpremultiply(pixels);
        let (red, step) = if cfg!(target_endian = "little") { (2, -1) } else { (1, 1) };
        let mut strides = [0isize; MAX_AXES + 1];
        let wanted = [step, (width * PIXEL_BYTES) as isize, PIXEL_BYTES as isize];
        strides.iter_mut().zip(wanted).for_each(|(slot, stride)| *slot = stride);
        let first = usize::saturating_add_signed(red, step * window.channel as isize);
        let bytes = Bytes::Borrowed(bytemuck::cast_slice(pixels));
        take(window, &Block { bytes, first, strides, swapped: false })
    }
}

/// Open slides, the least recently used of which gives way.
#[derive(Debug, Default)]
pub(super) struct OpenSlides {
    open: Mutex<Vec<Place>>,
}

/// A slide's place: empty until somebody has opened it there.
type Place = (PathBuf, Arc<Mutex<Option<Arc<OpenSlide>>>>);

impl OpenSlides {
    /// The open slide, opened now or kept from before.
    fn get(&self, path: &Path) -> Result<Arc<OpenSlide>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|(known, _)| known == path);
        let place = known.map_or_else(|| (path.to_owned(), Arc::default()), |known| open.remove(known));
        if open.len() >= MOST_OPEN {
            open.remove(0);
        }
        let slide = Arc::clone(&place.1);
        open.push(place);
        drop(open);
        // Opening takes a while, during which others may want other slides.
        let mut slide = slide.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slide.as_ref() {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(OpenSlide::open(path)?);
        *slide = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Lets a slide go, where it has not been replaced yet; it is closed when nobody reads it any more.
    fn forget(&self, path: &Path, failed: &Arc<OpenSlide>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = open.iter().find(|(known, _)| known == path).map(|(_, place)| Arc::clone(place));
        drop(open);
        if let Some(place) = place {
            let mut slide = place.lock().unwrap_or_else(PoisonError::into_inner);
            slide.take_if(|known| Arc::ptr_eq(known, failed));
        }
    }
}
