//! Memory that a caller lends, and what the driver knows of it.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::sys::cuda::driver::Address;
use crate::sys::cuda::{Context, Current, StreamHandle};

/// The number that stands for the device that the driver knows the memory on.
const ANY: i32 = -1;

/// What the driver is asked for of an address: the kind of memory, whether it is managed, the device's number.
const ATTRIBUTES: [i32; 3] = [2, 8, 9];

/// The kinds of memory, as the driver writes them; 0 where it does not know the address.
const UNKNOWN: u32 = 0;
const DEVICE: u32 = 2;

/// Memory of a device that a caller lends for a call.
#[derive(Debug, Clone, Copy)]
pub struct LentMemory {
    ordinal: i32,
    address: Address,
    len: usize,
}

impl LentMemory {
    /// The memory of a device at this address; with -1 of the device that the driver knows it on.
    ///
    /// # Safety
    /// That many bytes are there, and stay until work is past that is given to streams during the call.
    pub unsafe fn new(ordinal: i32, address: *const c_void, len: usize) -> Self {
        Self { ordinal, address: address.addr() as Address, len }
    }

    /// The same memory, on a device that the driver agrees to, for a stream's work on it.
    ///
    /// A kernel that reads what its device does not reach takes all of the process's CUDA with it.
    ///
    /// # Errors
    /// `NoDevice` where there is no such device; `Argument` where the memory is another's or not known to the
    /// driver, or the stream is of another device; `State` where the stream is being captured into a graph;
    /// `Device`.
    pub fn found(self, stream: Option<StreamHandle>) -> Result<Self> {
        let said = if self.ordinal == ANY { Context::any()? } else { Context::of(self.ordinal)? };
        let context = match self.place(&said.enter()?)? {
            Some(ordinal) if self.ordinal == ANY => Context::of(ordinal)?,
            Some(ordinal) if ordinal != self.ordinal => {
                return Err(Error::argument(format!(
                    "the memory at {:#x} is said to be CUDA device {}'s, and is device {ordinal}'s",
                    self.address, self.ordinal
                )));
            }
            _ => said,
        };
        if let Some(stream) = stream {
            let current = context.enter()?;
            let own = Context::of_stream(&current, stream)?;
            if !std::ptr::eq(own, context) {
                return Err(Error::argument(format!(
                    "the stream is CUDA device {}'s, and the memory device {}'s",
                    own.ordinal(),
                    context.ordinal()
                )));
            }
            stream.check_not_captured(&current)?;
        }
        Ok(Self { ordinal: context.ordinal(), ..self })
    }

    /// The number of the only device that the memory lies on; none where every device reaches it: managed
    /// memory and pinned memory of the host.
    fn place(self, current: &Current) -> Result<Option<i32>> {
        if self.len == 0 {
            return Ok(None);
        }
        let driver = current.context().driver;
        // The driver writes one byte of whether it is managed.
        let (mut asked, mut kind, mut is_managed, mut ordinal) = (ATTRIBUTES, UNKNOWN, 0u32, ANY);
        let mut places: [*mut c_void; 3] =
            [(&raw mut kind).cast(), (&raw mut is_managed).cast(), (&raw mut ordinal).cast()];
        let count = ATTRIBUTES.len() as u32;
        // SAFETY: so many attributes are asked for, and each place is ours and has room for its own.
        let code = unsafe {
            (driver.cuPointerGetAttributes)(count, asked.as_mut_ptr(), places.as_mut_ptr(), self.address)
        };
        driver.check("cuPointerGetAttributes", code)?;
        match kind {
            UNKNOWN => Err(Error::argument(format!(
                "the memory at {:#x} is said to be a CUDA device's, and the driver does not know it",
                self.address
            ))),
            DEVICE if is_managed == 0 => Ok(Some(ordinal)),
            _ => Ok(None),
        }
    }

    /// The device's number.
    pub fn gpu(self) -> i32 {
        self.ordinal
    }

    /// The number of bytes.
    pub fn byte_len(self) -> usize {
        self.len
    }

    pub(super) fn address(self) -> Address {
        self.address
    }
}
