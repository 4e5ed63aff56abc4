//! Python's capsules, by the interpreter that this process runs, if it runs one.
//!
//! A capsule's destructor may be called while an exception is on its way, when no Python code can run; these
//! two functions of the interpreter can.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// The interpreter's functions.
#[derive(Debug, Clone, Copy)]
struct Functions {
    is_valid: unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int,
    pointer: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void,
}

impl Functions {
    fn get() -> Option<Self> {
        static FOUND: OnceLock<Option<Functions>> = OnceLock::new();
        *FOUND.get_or_init(Self::find)
    }

    #[cfg(unix)]
    fn find() -> Option<Self> {
        let process = libloading::os::unix::Library::this();
        // SAFETY: the function of this name has this type since Python 2.7.
        let is_valid = unsafe { process.get(b"PyCapsule_IsValid\0") }.ok()?;
        // SAFETY: as above.
        let pointer = unsafe { process.get(b"PyCapsule_GetPointer\0") }.ok()?;
        Some(Self { is_valid: *is_valid, pointer: *pointer })
    }

    #[cfg(not(unix))]
    fn find() -> Option<Self> {
        None
    }
}

/// What a capsule of this name holds; none where it has another name, or no interpreter runs here.
///
/// # Safety
/// The pointer is NULL or that of a living Python object, and the calling thread may call the interpreter.
pub unsafe fn capsule_content(capsule: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    if capsule.is_null() {
        return None;
    }
    let functions = Functions::get()?;
    // SAFETY: by this function's contract; the interpreter asks the object itself whether it is a capsule.
    let valid = unsafe { (functions.is_valid)(capsule, name.as_ptr()) };
    if valid == 0 {
        return None;
    }
    // SAFETY: the interpreter has just said that it is a capsule of this name.
    let content = unsafe { (functions.pointer)(capsule, name.as_ptr()) };
    (!content.is_null()).then_some(content)
}
