//! What stands around every exported function: errors become statuses, panics become errors.

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use crate::capi::handle::Poison;
use crate::capi::status::vxf_status;
use crate::error::{Details, Error, Result};
use crate::log::printed;

/// The last failure of a thread.
pub(super) struct LastError {
    pub(super) status: vxf_status,
    pub(super) message: CString,
    pub(super) path: CString,
    pub(super) details: Details,
}

thread_local! {
    static LAST: RefCell<LastError> = RefCell::new(LastError {
        status: vxf_status::OK,
        message: CString::default(),
        path: CString::default(),
        details: Details::default(),
    });
    /// Whether this thread is inside an exported function, so that its panics are ours to catch.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of an exported function that returns a status.
pub(super) fn guard(body: impl FnOnce() -> Result<vxf_status>) -> vxf_status {
    match caught(body) {
        Ok(status) => status,
        Err(error) => remember(&error),
    }
}

/// Runs the body of an exported function that is done or fails.
pub(super) fn guard_done(body: impl FnOnce() -> Result<()>) -> vxf_status {
    guard(|| body().map(|()| vxf_status::OK))
}

/// Runs the body of an exported function that cannot tell of a failure.
pub(super) fn guard_silent(body: impl FnOnce()) {
    let run = || {
        body();
        Ok(vxf_status::OK)
    };
    // A free function has no way to fail; what it caught is in the last error all the same.
    let _ = guard(run);
}

fn caught(body: impl FnOnce() -> Result<vxf_status>) -> Result<vxf_status> {
    install_hook();
    let outer = INSIDE.replace(true);
    let watch = Poison::watch();
    let outcome = catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(outer);
    match outcome {
        Ok(result) => result,
        Err(payload) => {
            watch.poison();
            let place = PANIC.try_with(|place| place.take()).unwrap_or_default();
            Err(Error::panicked(format!("at {place}"), payload.as_ref()))
        }
    }
}

/// Whether a panic of this thread is caught by us: in an exported function, or on a thread of our own.
fn is_ours() -> bool {
    INSIDE.get() || std::thread::current().name().is_some_and(|name| name.starts_with("voxfeed-"))
}

/// Notes the place of a panic that we catch instead of printing it; others print as before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Read here, where the host is calling, and not later on a thread of ours.
        let _ = printed();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if is_ours() {
                let place =
                    info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
                let _ = PANIC.try_with(|noted| noted.replace(place));
            } else {
                before(info);
            }
        }));
    });
}

/// Keeps an error as this thread's last, and gives its status.
fn remember(error: &Error) -> vxf_status {
    let status = vxf_status::from(error.kind());
    let line = |text: &str| CString::new(text.replace(['\0', '\n', '\r'], " ")).unwrap_or_default();
    let known = LastError {
        status,
        message: line(error.message()),
        path: line(&error.details().path),
        details: error.details().clone(),
    };
    // A thread that is ending may have no place for it any more: a destructor that releases a batch then.
    let _ = LAST.try_with(|last| last.replace(known));
    status
}

/// Looks at this thread's last error; there is none on a thread that is ending.
pub(super) fn with_last<T>(look: impl FnOnce(&LastError) -> T) -> Option<T> {
    LAST.try_with(|last| look(&last.borrow())).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::*;
    use crate::capi::handle::{borrow, free, give};
    use crate::capi::transform::vxf_transform;

    fn last_message() -> String {
        with_last(|last| last.message.to_string_lossy().into_owned()).unwrap_or_default()
    }

    #[test]
    fn a_panic_becomes_a_status_and_leaves_its_object_unusable_but_free() {
        let (mut hit, mut spared) = (std::ptr::null_mut::<vxf_transform>(), std::ptr::null_mut());
        assert_eq!(guard_done(|| give(Arc::default(), &raw mut hit)), vxf_status::OK);
        assert_eq!(guard_done(|| give(Arc::default(), &raw mut spared)), vxf_status::OK);
        let look = |handle: *mut vxf_transform| guard_done(|| borrow(handle).map(|_| ()));
        assert_eq!(look(spared), vxf_status::OK);
        let status = guard(|| {
            borrow(hit)?;
            let nested = guard(|| Err(Error::argument("nested")));
            assert_eq!(nested, vxf_status::ERR_ARGUMENT);
            panic!("the reactor is {}", "hot")
        });
        assert_eq!(status, vxf_status::ERR_INTERNAL);
        let message = last_message();
        assert!(message.contains("the reactor is hot") && message.contains("guard.rs"), "{message}");
        assert_eq!(look(hit), vxf_status::ERR_STATE);
        assert_eq!(look(spared), vxf_status::OK);
        guard_silent(|| free(hit));
        guard_silent(|| free(spared));
        assert_eq!(look(std::ptr::null_mut()), vxf_status::ERR_HANDLE);
    }

    #[test]
    fn a_caught_panic_prints_nothing() {
        const INNER: &str = "VOXFEED_TEST_PANICS";
        if std::env::var_os(INNER).is_some() {
            assert_eq!(guard(|| panic!("in a call")), vxf_status::ERR_INTERNAL);
            let worker = std::thread::Builder::new().name("voxfeed-7".to_owned());
            assert!(worker.spawn(|| panic!("in a thread of ours")).unwrap().join().is_err());
            return;
        }
        let name = "capi::guard::tests::a_caught_panic_prints_nothing";
        let mut inner = Command::new(std::env::current_exe().unwrap());
        let output = inner.args(["--exact", name, "--nocapture"]).env(INNER, "1").output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}
