//! The only place where callers' pointers are followed.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// The C type of a handle, and the object behind it.
pub(super) trait Noun {
    /// What the handle owns.
    type Object: Send + Sync + 'static;
    /// The name in C.
    const NAME: &'static str;
    /// The mark of a living object of this kind.
    const MAGIC: u64;
}

/// An object with the mark that tells it from freed memory and from other objects.
///
/// The mark comes first in every kind, so that it can be looked for in a handle of another kind.
#[repr(C)]
struct Handle<T> {
    magic: AtomicU64,
    poisoned: Arc<AtomicBool>,
    object: T,
}

thread_local! {
    static BORROWED: RefCell<Vec<Arc<AtomicBool>>> = const { RefCell::new(Vec::new()) };
}

/// The objects that the current exported function has borrowed, to be marked if it panics.
pub(super) struct Poison {
    from: usize,
}

impl Poison {
    /// Watches the objects that are borrowed from now on.
    pub(super) fn watch() -> Self {
        // A thread that is ending may have lost its list already; it then goes without.
        Self { from: BORROWED.try_with(|flags| flags.borrow().len()).unwrap_or_default() }
    }

    /// Marks them as unusable.
    pub(super) fn poison(&self) {
        let mark = |flags: &RefCell<Vec<Arc<AtomicBool>>>| {
            flags.borrow().iter().skip(self.from).for_each(|flag| flag.store(true, Ordering::Relaxed));
        };
        let _ = BORROWED.try_with(mark);
    }
}

impl Drop for Poison {
    fn drop(&mut self) {
        let _ = BORROWED.try_with(|flags| flags.borrow_mut().truncate(self.from));
    }
}

/// Gives a new handle to the caller.
pub(super) fn give<N: Noun>(object: N::Object, out: *mut *mut N) -> Result<()> {
    check_place(out)?;
    let handle = Handle { magic: AtomicU64::new(N::MAGIC), poisoned: Arc::default(), object };
    let pointer = Box::into_raw(Box::new(handle));
    write(out, pointer.cast()).inspect_err(|_| {
        // SAFETY: the box that was made above and has not been given away.
        drop(unsafe { Box::from_raw(pointer) });
    })
}

/// Borrows the object behind a handle for the length of the current exported function.
pub(super) fn borrow<'a, N: Noun>(pointer: *const N) -> Result<&'a N::Object> {
    let pointer = pointer.cast::<Handle<N::Object>>();
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Error::handle(format!("{} is {pointer:?}", N::NAME)));
    }
    // SAFETY: by the contract of every function the handle lives, and every kind of handle begins with its
    // mark; a freed one is found out below at best.
    let magic = unsafe { &*pointer.cast::<AtomicU64>() };
    if magic.load(Ordering::Acquire) != N::MAGIC {
        return Err(Error::handle(format!("not a living {}: freed already, or another handle", N::NAME)));
    }
    // SAFETY: the mark says that it is a living handle of this kind.
    let handle = unsafe { &*pointer };
    if handle.poisoned.load(Ordering::Relaxed) {
        return Err(Error::state(format!("{} is unusable after an internal error: free it", N::NAME)));
    }
    let _ = BORROWED.try_with(|flags| flags.borrow_mut().push(Arc::clone(&handle.poisoned)));
    Ok(&handle.object)
}

/// Takes a handle back and drops its object; NULL and what is no living handle are left alone.
pub(super) fn free<N: Noun>(pointer: *mut N) {
    let pointer = pointer.cast::<Handle<N::Object>>();
    if pointer.is_null() || !pointer.is_aligned() {
        return;
    }
    // SAFETY: as in `borrow`.
    let magic = unsafe { &*pointer.cast::<AtomicU64>() };
    if magic.compare_exchange(N::MAGIC, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        // SAFETY: made by `give`, and the exchange above lets only one caller come here.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// Drops what was leaked to the caller as a pointer, which comes back once; NULL is left alone.
pub(super) fn reclaim<T>(pointer: *mut T) {
    if pointer.is_null() || !pointer.is_aligned() {
        return;
    }
    // SAFETY: by the contract of what was given out, the pointer is that of our own box, and it comes once.
    drop(unsafe { Box::from_raw(pointer) });
}

/// Checks the place that a result is to be written to, before anything is done for it.
pub(super) fn check_place<T>(out: *mut T) -> Result<()> {
    if out.is_null() || !out.is_aligned() {
        return Err(Error::argument(format!("the place for a result is {out:?}")));
    }
    Ok(())
}

/// Writes a result where the caller wants it.
pub(super) fn write<T>(out: *mut T, value: T) -> Result<()> {
    check_place(out)?;
    // SAFETY: not NULL, aligned, and by the contract valid for one value.
    unsafe { out.write(value) };
    Ok(())
}

/// A text of the caller's that must be there.
pub(super) fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    text_or_null(pointer, what)?.ok_or_else(|| Error::argument(format!("{what} is NULL")))
}

/// A text of the caller's that may be NULL.
pub(super) fn text_or_null<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract a text ends in NUL and lives during the call.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|_| Error::argument(format!("{what} is not UTF-8")))?;
    Ok(Some(text))
}

/// A path of the caller's: UTF-8, or any bytes on Unix.
pub(super) fn path<'a>(pointer: *const c_char) -> Result<&'a std::path::Path> {
    if pointer.is_null() {
        return Err(Error::argument("path is NULL"));
    }
    // SAFETY: by the contract a path ends in NUL and lives during the call.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    if bytes.is_empty() {
        return Err(Error::argument("path is empty"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(std::path::Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    text(pointer, "path").map(std::path::Path::new)
}

/// An array of the caller's; NULL only with a length of 0.
pub(super) fn array<'a, T>(pointer: *const T, len: u64, what: &str) -> Result<&'a [T]> {
    let len = checked_len::<T>(pointer, len, what)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, aligned, of a possible size, and by the contract valid for the call.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// An array of the caller's that is written to; NULL only with a length of 0.
pub(super) fn array_mut<'a, T>(pointer: *mut T, len: u64, what: &str) -> Result<&'a mut [T]> {
    let len = checked_len::<T>(pointer, len, what)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, aligned, of a possible size, and by the contract the caller's alone for the call.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
}

fn checked_len<T>(pointer: *const T, len: u64, what: &str) -> Result<usize> {
    if len == 0 {
        return Ok(0);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Error::argument(format!("{what} is {pointer:?} for {len} elements")));
    }
    let bytes = usize::try_from(len).ok().and_then(|len| len.checked_mul(size_of::<T>()));
    match bytes {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(len as usize),
        _ => Err(Error::argument(format!("{what} has {len} elements, more than memory holds"))),
    }
}

/// A struct that begins with its size, so that it can grow without breaking callers.
///
/// # Safety
/// `repr(C)`, without padding, beginning with the `u32` size; any bytes that a caller puts into a shorter
/// or equal struct of the same layout are a valid value.
pub(super) unsafe trait Sized32: Copy {
    /// The name in C.
    const NAME: &'static str;
    /// The size of the first released version; anything smaller is no such struct.
    const FIRST_BYTES: usize;
    /// Every field at its default, the size being the whole.
    fn initial() -> Self;
}

fn size_field<T: Sized32>(pointer: *const T) -> Result<usize> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Error::argument(format!("{} is {pointer:?}", T::NAME)));
    }
    // SAFETY: not NULL, aligned, and by the contract every such struct begins with its u32 size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if size < T::FIRST_BYTES {
        return Err(Error::argument(format!(
            "{}.struct_size is {size}, expected at least {}: call its init function, or set it to sizeof",
            T::NAME,
            T::FIRST_BYTES
        )));
    }
    check_most::<T>(size)?;
    Ok(size)
}

/// The most bytes that a struct of any version has: what claims more was never set up.
const MOST_BYTES: usize = 4096;

fn check_most<T: Sized32>(size: usize) -> Result<()> {
    if size > MOST_BYTES {
        let text = format!("{}.struct_size is {size}, expected at most {MOST_BYTES}", T::NAME);
        return Err(Error::argument(format!("{text}: call its init function, or set it to sizeof")));
    }
    Ok(())
}

/// Refuses what a caller puts into room that is kept for later versions.
pub(super) fn check_room(name: &str, room: &[u64]) -> Result<()> {
    match room.iter().any(|&value| value != 0) {
        true => Err(Error::unsupported(format!("{name}.reserved is not 0: this version has no use for it"))),
        false => Ok(()),
    }
}

/// Reads a struct of the caller's: what it lacks takes defaults, what it has beyond ours must be zero.
pub(super) fn read_sized<T: Sized32>(pointer: *const T) -> Result<T> {
    let size = size_field(pointer)?;
    let own = size_of::<T>();
    if size > own {
        // SAFETY: by the contract the struct has as many bytes as it says.
        let tail = unsafe { pointer.cast::<u8>().add(own) };
        // SAFETY: as above; bytes have no alignment and no invalid values.
        let tail = unsafe { std::slice::from_raw_parts(tail, size - own) };
        if let Some(place) = tail.iter().position(|&byte| byte != 0) {
            return Err(Error::unsupported(format!(
                "{} has a field at byte {} that this version of voxfeed does not know",
                T::NAME,
                own + place
            )));
        }
    }
    let mut value = T::initial();
    // SAFETY: both are valid for the smaller of the two sizes, do not overlap, and any bytes are a T.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast(), size.min(own)) };
    Ok(value)
}

/// Reads a struct of the caller's, or takes the defaults for NULL.
pub(super) fn read_sized_or_default<T: Sized32>(pointer: *const T) -> Result<T> {
    if pointer.is_null() { Ok(T::initial()) } else { read_sized(pointer) }
}

/// Writes a struct of results: no more bytes than the caller's struct has.
pub(super) fn write_sized<T: Sized32>(pointer: *mut T, value: T) -> Result<()> {
    let size = size_field(pointer)?.min(size_of::<T>());
    // SAFETY: both are valid for the smaller of the two sizes and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), pointer.cast(), size) };
    // SAFETY: the struct begins with its u32 size.
    unsafe { pointer.cast::<u32>().write(size as u32) };
    Ok(())
}

/// Writes the defaults into a struct of the caller's of `size` bytes.
pub(super) fn init_sized<T: Sized32>(pointer: *mut T, size: usize) -> Result<()> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Error::argument(format!("{} is {pointer:?}", T::NAME)));
    }
    if size < T::FIRST_BYTES {
        let expected = T::FIRST_BYTES;
        return Err(Error::argument(format!("{} of {size} bytes, expected at least {expected}", T::NAME)));
    }
    check_most::<T>(size)?;
    let own = size.min(size_of::<T>());
    let value = T::initial();
    // SAFETY: the caller says that the struct has `size` bytes.
    unsafe { std::ptr::write_bytes(pointer.cast::<u8>(), 0, size) };
    // SAFETY: as above, and no more than ours.
    unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), pointer.cast(), own) };
    // SAFETY: the struct begins with its u32 size.
    unsafe { pointer.cast::<u32>().write(size as u32) };
    Ok(())
}

/// Texts that are handed out as pointers and live as long as their owner.
#[derive(Debug, Default)]
pub(super) struct Texts {
    kept: std::sync::Mutex<std::collections::HashMap<String, CString>>,
}

impl Texts {
    /// A pointer to this text, the same for the same text.
    pub(super) fn pointer(&self, text: &str) -> *const c_char {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A CString does not move its bytes when the map grows.
        let text = kept.entry(text.to_owned());
        text.or_insert_with_key(|text| CString::new(text.replace('\0', " ")).unwrap_or_default()).as_ptr()
    }
}
