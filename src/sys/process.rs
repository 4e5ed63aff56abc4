//! This process: its number, to notice a fork, and its cores.

/// The process that an object was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// The process that asks.
    pub fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether the process that asks is another one: a child after a fork.
    pub fn is_another(self) -> bool {
        self != Self::current()
    }
}

/// The cores that this process may use, at least 1.
pub fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
