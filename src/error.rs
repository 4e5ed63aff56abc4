//! One error type: what went wrong, where, and who must act.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::Display;
use std::path::Path;

/// The result of every fallible operation in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Who must act, one variant for each error status of the C boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused: a missing file, a full disk, a permission.
    Io,
    /// Memory could not be had.
    Memory,
    /// A GPU or its driver failed.
    Device,
    /// There is no GPU, no driver, or none that can be used.
    NoDevice,
    /// The file breaks its own format: truncated, bad magic, impossible header.
    Format,
    /// A sound file or a sound request that this build cannot serve, named.
    Unsupported,
    /// A value of the caller's that makes no sense.
    Argument,
    /// An index or region outside, or a number that does not fit the dtype.
    Range,
    /// No such file, dataset, category, entry or subject.
    NotFound,
    /// A handle that is stale, foreign or NULL.
    Handle,
    /// The caller's buffer is too small.
    Buffer,
    /// A call that is out of order.
    State,
    /// The object was made before a fork and is used in the child.
    Forked,
    /// A budget is too small.
    Limit,
    /// A fault of voxfeed itself.
    Internal,
}

/// What went wrong: a kind, one line of text, and the cause where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
    details: Box<Details>,
}

/// The parts of an error that a program may want apart from its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The operating system's error number, 0 where none.
    pub os_error: i32,
    /// The CUDA driver's result code, 0 where none.
    pub device_error: i32,
    /// The file that the error is about, empty where none.
    pub path: String,
    /// The number of the sample that failed, where one did.
    pub sample: Option<u64>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of kind `", stringify!($kind), "` with this one line of text.")]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// An error of this kind with one line of text, lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, details: Box::default() }
    }

    constructors! {
        memory => Memory, device => Device, no_device => NoDevice, format => Format,
        unsupported => Unsupported, argument => Argument, range => Range, not_found => NotFound,
        handle => Handle, buffer => Buffer, state => State, forked => Forked, limit => Limit,
        internal => Internal,
    }

    /// An error of the operating system about a file; a missing file is `NotFound`.
    pub fn io(path: &Path, cause: std::io::Error) -> Self {
        let kind = match cause.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::OutOfMemory => ErrorKind::Memory,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, format!("{}: {cause}", path.display()));
        error.details.os_error = cause.raw_os_error().unwrap_or(0);
        error.details.path = path.display().to_string();
        error.source = Some(Box::new(cause));
        error
    }

    /// The error about a panic that was caught: ours, whatever the caller did.
    pub fn panicked(place: impl Display, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
        Self::internal(format!("voxfeed panicked {place}: {text}"))
    }

    /// The same error with its place in front: `place: message`.
    #[must_use]
    pub fn at(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same error about this file, whose name comes in front and into the details.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if self.details.path.is_empty() {
            self.details.path = path.display().to_string();
            self = self.at(path.display());
        }
        self
    }

    /// The same error with what to do about it behind.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Display) -> Self {
        self.message = format!("{}; {advice}", self.message);
        self
    }

    /// The same error about this sample.
    #[must_use]
    pub fn of_sample(mut self, sample: u64) -> Self {
        self.details.sample = Some(sample);
        self
    }

    /// The same error with the driver's result code.
    #[must_use]
    pub fn with_device_error(mut self, code: i32) -> Self {
        self.details.device_error = code;
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        if let Some(system) = (&cause as &dyn StdError).downcast_ref::<std::io::Error>() {
            self.details.os_error = system.raw_os_error().unwrap_or(0);
        }
        self.source = Some(Box::new(cause));
        self
    }

    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text: one line, lower case, what and where, expected and found.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Error numbers, file and sample, apart from the text.
    pub fn details(&self) -> &Details {
        &self.details
    }
}
