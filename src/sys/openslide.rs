//! OpenSlide, opened at run time: the library that reads whole-slide images.
//!
//! It is looked up by its name, as the dynamic loader does, when the first slide is opened, so nobody else
//! needs it. Source: `openslide.h` of versions 3.4.1 and 4.0.1.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::OnceLock;

use libloading::Library;

use crate::error::{Error, Result};

/// The names of the library, versions 4 and 3.
const NAMES: [&str; 2] = if cfg!(windows) {
    ["libopenslide-1.dll", "libopenslide-0.dll"]
} else if cfg!(target_os = "macos") {
    ["libopenslide.1.dylib", "libopenslide.0.dylib"]
} else {
    ["libopenslide.so.1", "libopenslide.so.0"]
};

/// The library's own type of an open slide.
type Handle = *mut c_void;

/// The functions that are called; each lives as long as the library, which is never closed.
#[derive(Debug)]
struct Functions {
    detect_vendor: unsafe extern "C" fn(*const c_char) -> *const c_char,
    open: unsafe extern "C" fn(*const c_char) -> Handle,
    close: unsafe extern "C" fn(Handle),
    level_count: unsafe extern "C" fn(Handle) -> i32,
    level_dimensions: unsafe extern "C" fn(Handle, i32, *mut i64, *mut i64),
    level_downsample: unsafe extern "C" fn(Handle, i32) -> f64,
    property_value: unsafe extern "C" fn(Handle, *const c_char) -> *const c_char,
    read_region: unsafe extern "C" fn(Handle, *mut u32, i64, i64, i32, i64, i64),
    error: unsafe extern "C" fn(Handle) -> *const c_char,
    _library: Library,
}

impl Functions {
    /// The library's functions.
    ///
    /// # Errors
    /// `Unsupported`, with the way out, where there is no such library.
    fn get() -> Result<&'static Self> {
        static FOUND: OnceLock<Functions> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found);
        }
        // What is not found now may be there later, so only success is kept.
        let found = Self::find()?;
        Ok(FOUND.get_or_init(|| found))
    }

    fn find() -> Result<Self> {
        let mut reasons = Vec::new();
        for name in NAMES {
            // SAFETY: what runs when this library is loaded is its own set-up, which asks nothing of us.
            match unsafe { Library::new(name) } {
                Ok(library) => return Self::of(library).map_err(|cause| unusable(name, &cause)),
                Err(cause) => reasons.push(cause.to_string().lines().next().unwrap_or_default().to_owned()),
            }
        }
        Err(Error::unsupported(format!(
            "slides are read by OpenSlide, which is not there ({}): install it (apt install libopenslide0), or \
             put the folder of libopenslide.so.1 of the Python package openslide-bin on the loader's path",
            reasons.join("; ")
        )))
    }

    fn of(library: Library) -> std::result::Result<Self, libloading::Error> {
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the function of this name has this type in every version of the library.
                let found = unsafe { library.get($name) };
                *found?
            }};
        }
        Ok(Self {
            detect_vendor: function!(b"openslide_detect_vendor\0"),
            open: function!(b"openslide_open\0"),
            close: function!(b"openslide_close\0"),
            level_count: function!(b"openslide_get_level_count\0"),
            level_dimensions: function!(b"openslide_get_level_dimensions\0"),
            level_downsample: function!(b"openslide_get_level_downsample\0"),
            property_value: function!(b"openslide_get_property_value\0"),
            read_region: function!(b"openslide_read_region\0"),
            error: function!(b"openslide_get_error\0"),
            _library: library,
        })
    }
}

fn unusable(name: &str, cause: &libloading::Error) -> Error {
    Error::unsupported(format!("{name} is no OpenSlide of version 3.4 or later: {cause}"))
}

/// An open slide.
#[derive(Debug)]
pub struct OpenSlide {
    functions: &'static Functions,
    handle: NonNull<c_void>,
    path: PathBuf,
}

/// One of a slide's images, each smaller than the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlideLevel {
    /// The rows.
    pub height: usize,
    /// The pixels of a row.
    pub width: usize,
    /// How many pixels of level 0 lie along one of its pixels.
    pub downsample: f64,
}

// SAFETY: the library's functions may be called for one handle by any threads, but for closing it, and only
// the owner of this value closes it.
unsafe impl Send for OpenSlide {}
// SAFETY: as above.
unsafe impl Sync for OpenSlide {}

impl OpenSlide {
    /// Whether the library is there and knows what the file is.
    pub fn knows(path: &Path) -> bool {
        let (Ok(functions), Ok(name)) = (Functions::get(), c_path(path)) else { return false };
        // SAFETY: the name ends in NUL and outlives the call.
        let vendor = unsafe { (functions.detect_vendor)(name.as_ptr()) };
        !vendor.is_null()
    }

    /// Opens a slide.
    ///
    /// # Errors
    /// `Unsupported` where there is no OpenSlide or it does not know the file; `Format` where it is broken.
    pub fn open(path: &Path) -> Result<Self> {
        let functions = Functions::get().map_err(|error| error.in_file(path))?;
        let name = c_path(path)?;
        // SAFETY: the name ends in NUL and outlives the call.
        let handle = unsafe { (functions.open)(name.as_ptr()) };
        let Some(handle) = NonNull::new(handle) else {
            let text = "OpenSlide does not know this file: it reads tiled TIFF and the makers' own formats";
            return Err(Error::unsupported(text).in_file(path));
        };
        let slide = Self { functions, handle, path: path.to_owned() };
        slide.check()?;
        Ok(slide)
    }

    /// Fails with what the library noted about the slide; after an error, it gives nothing any more.
    fn check(&self) -> Result<()> {
        // SAFETY: the handle is open.
        let text = unsafe { (self.functions.error)(self.handle.as_ptr()) };
        match text_of(text) {
            None => Ok(()),
            Some(text) => Err(Error::format(text.lines().next().unwrap_or_default()).in_file(&self.path)),
        }
    }

    /// Its levels, the largest first.
    ///
    /// # Errors
    /// `Format` where the slide is broken.
    pub fn levels(&self) -> Result<Vec<SlideLevel>> {
        // SAFETY: the handle is open.
        let count = unsafe { (self.functions.level_count)(self.handle.as_ptr()) };
        self.check()?;
        let levels = (0..count).map(|number| {
            let (mut width, mut height) = (-1i64, -1i64);
            let (w, h) = (&raw mut width, &raw mut height);
            // SAFETY: the handle is open, and both numbers outlive the call, which writes them.
            unsafe { (self.functions.level_dimensions)(self.handle.as_ptr(), number, w, h) };
            // SAFETY: the handle is open.
            let downsample = unsafe { (self.functions.level_downsample)(self.handle.as_ptr(), number) };
            self.check()?;
            match (usize::try_from(height), usize::try_from(width)) {
                (Ok(height @ 1..), Ok(width @ 1..)) if downsample.is_finite() && downsample > 0.0 => {
                    Ok(SlideLevel { height, width, downsample })
                }
                _ => {
                    let text = format!("level {number} has {height} x {width} pixels, one for {downsample}");
                    Err(Error::format(text).in_file(&self.path))
                }
            }
        });
        levels.collect()
    }

    /// What the slide says of itself under this name.
    pub fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: the handle is open; the name ends in NUL and outlives the call.
        let text = unsafe { (self.functions.property_value)(self.handle.as_ptr(), name.as_ptr()) };
        text_of(text)
    }

    /// Reads a region of a level: `into` is rows of `width` pixels, premultiplied ARGB.
    ///
    /// `place` is x and y of its first pixel, in pixels of level 0.
    ///
    /// # Errors
    /// `Format` where the slide is broken there; `Argument` where `into` is no number of rows.
    pub fn read(&self, level: i32, place: (i64, i64), width: usize, into: &mut [u32]) -> Result<()> {
        let height = into.len().checked_div(width).unwrap_or(0);
        let (Ok(columns), Ok(rows)) = (i64::try_from(width), i64::try_from(height)) else {
            return Err(Error::argument(format!("a region of {height} x {width} pixels")));
        };
        if height * width != into.len() || into.is_empty() {
            return Err(Error::argument(format!("{} pixels are not rows of {width}", into.len())));
        }
        let (handle, (x, y)) = (self.handle.as_ptr(), place);
        // SAFETY: the handle is open, and `into` has the rows and columns that the call writes.
        unsafe { (self.functions.read_region)(handle, into.as_mut_ptr(), x, y, level, columns, rows) };
        self.check()
    }
}

impl Drop for OpenSlide {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody else has it any more.
        unsafe { (self.functions.close)(self.handle.as_ptr()) };
    }
}

/// Divides the colours of pixels in premultiplied ARGB by their alpha, downwards, as OpenSlide's own Python
/// face does; what is wholly transparent keeps its black.
pub fn unpremultiply(pixels: &mut [u32]) {
    for part in pixels.chunks_mut(64) {
        if part.iter().fold(u32::MAX, |all, pixel| all & pixel) >> 24 == 255 {
            continue;
        }
        for pixel in part {
            let alpha = *pixel >> 24;
            if alpha != 0 && alpha != 255 {
                let divided = |shift: u32| (((*pixel >> shift & 255) * 255 / alpha) & 255) << shift;
                *pixel = (alpha << 24) | divided(16) | divided(8) | divided(0);
            }
        }
    }
}

fn c_path(path: &Path) -> Result<CString> {
    let name = CString::new(path.as_os_str().as_encoded_bytes());
    name.map_err(|_| Error::argument("a file's name with a NUL in it").in_file(path))
}

/// A text of the library's, copied; none where it gives none.
fn text_of(text: *const c_char) -> Option<String> {
    let text = NonNull::new(text.cast_mut())?;
    // SAFETY: texts of the library end in NUL and live until the slide is closed.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    Some(text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn colours_are_divided_by_alpha_downwards() {
        let mut pixels = vec![0xFF01_02FF; 100];
        pixels[70] = 0x803C_0040;
        pixels[71] = 0x0000_0000;
        pixels[99] = 0x0101_0001;
        unpremultiply(&mut pixels);
        assert_eq!((pixels[0], pixels[69]), (0xFF01_02FF, 0xFF01_02FF));
        assert_eq!(pixels[70], 0x8000_0000 | (0x3C * 255 / 128) << 16 | (0x40 * 255 / 128));
        assert_eq!((pixels[71], pixels[99]), (0, 0x01FF_00FF));
    }

    #[test]
    fn a_file_that_is_no_slide_is_unsupported_with_the_library_and_without() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(!OpenSlide::knows(&path));
        let error = OpenSlide::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let absent = Functions::get().is_err();
        let expected = if absent { "apt install libopenslide0" } else { "does not know this file" };
        assert!(error.message().contains(expected) && error.message().contains("Cargo.toml"), "{error}");
    }
}
