//! What is measured: a task on a format, with what may be kept decoded.

use crate::data::{Data, Format};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Patches,
    Slices,
    Assembly,
}

impl Task {
    pub(crate) const ALL: [Self; 3] = [Self::Patches, Self::Slices, Self::Assembly];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Patches => "T1",
            Self::Slices => "T2",
            Self::Assembly => "T3",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|task| task.name() == name);
        found.ok_or_else(|| format!("there is no task '{name}': there are T1, T2 and T3"))
    }
}

/// What is kept of decoded voxels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There is nothing to decode.
    Plain,
    /// The same, in batches that only a device will read.
    Device,
    /// Nothing from one epoch to the next; what neighbouring samples share is decoded once.
    Cold,
    /// Half of everything, from one epoch to the next.
    Half,
    /// Everything, and it is there when the clock starts.
    Cached,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Device, Self::Cold, Self::Half, Self::Cached];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| {
            format!("there is no state '{name}': there are plain, device, cold, half and cached")
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Device => "device",
            Self::Cold => "cold",
            Self::Half => "half",
            Self::Cached => "cached",
        }
    }

    /// The states in which a task is measured on formats of a kind.
    pub(crate) fn of(kind: &str, task: Task) -> &'static [Self] {
        match (kind, task) {
            ("raw", Task::Patches) => &[Self::Plain, Self::Device],
            ("raw", _) => &[Self::Plain],
            (_, Task::Assembly) => &[Self::Cached],
            (_, Task::Slices) => &[Self::Cold, Self::Half, Self::Cached],
            _ => &[Self::Cold, Self::Cached],
        }
    }
}

pub(crate) struct Case<'a> {
    pub(crate) format: &'a Format,
    pub(crate) task: Task,
    pub(crate) state: State,
}

impl Case<'_> {
    /// The bytes that may be kept decoded; 0 is the library's default.
    pub(crate) fn cache_bytes(&self, data: &Data) -> u64 {
        let whole = self.format.kind == "whole";
        // The voxels and, where a file is kept as it is inflated, its headers.
        let subject = data.subject_bytes() + (1 << 16);
        match (self.state, self.task) {
            (State::Plain | State::Device | State::Cached, _) => 2 * data.subjects as u64 * subject,
            (State::Half, _) => data.subjects as u64 * subject / 2,
            // Three subjects are more than the threads work on, and fewer than there are.
            (State::Cold, _) if whole => 3 * subject,
            // Random patches share nothing worth keeping.
            (State::Cold, Task::Patches) => 1,
            // Three layers of chunks: the ones that the slices of the batches under way lie in.
            (State::Cold, _) => {
                let layer = subject * self.format.chunk[0] as u64 / data.volume[0] as u64;
                (3 * layer).min(3 * subject)
            }
        }
    }

    /// Whether patches come subject by subject, some of each, so that a whole stream is decoded for several.
    pub(crate) fn by_subject(&self) -> bool {
        self.format.kind == "whole" && self.state == State::Cold && self.task == Task::Patches
    }
}

/// The patches of a subject where a stream is decoded whole for them.
pub(crate) const PATCHES_OF_A_STREAM: usize = 8;
