//! The log: lines about what is no error, and would otherwise happen in silence.
//!
//! Nobody listens by default, and nothing is printed. A host sets one listener for the whole process, which is
//! told at once, on whichever thread has something to say, or when it asks. Besides, `VXF_LOG` prints lines.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Error, Result};

/// The most lines that wait to be asked for.
const MOST_WAITING: usize = 256;

/// How much a line matters; what matters most comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Something is lost, and no call could return an error for it.
    Error,
    /// It goes on, but not as the caller would want it to.
    Warning,
    /// What the library has decided by itself.
    Info,
}

/// When a listener is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// At once, on any thread, several threads at a time.
    Direct,
    /// When [`process_events`] is called, on the thread that calls it.
    Queued,
}

/// Takes one line, on any thread.
pub type Hear = dyn Fn(LogLevel, &str) + Send + Sync;

/// Who is told, of what and when.
pub struct Listener {
    /// The level that matters least of those that are told.
    pub least: LogLevel,
    /// When it is told.
    pub delivery: Delivery,
    /// Takes one line, without its end.
    pub hear: Box<Hear>,
}

/// A listener, and the process whose threads it hears.
struct Known {
    listener: Listener,
    process: u32,
}

struct State {
    known: Option<Arc<Known>>,
    waiting: VecDeque<(LogLevel, String)>,
    dropped: u64,
}

struct Log {
    state: Mutex<State>,
    /// Who changes the listener waits here for calls of the one before to end.
    heard: Condvar,
}

/// One call of a listener, from before it to behind it.
struct Call<'a> {
    log: &'a Log,
    known: Option<Arc<Known>>,
}

thread_local! {
    /// Whether this thread is inside a listener.
    static HEARING: Cell<bool> = const { Cell::new(false) };
}

static LOG: Log = Log::new();

impl Log {
    const fn new() -> Self {
        let state = State { known: None, waiting: VecDeque::new(), dropped: 0 };
        Self { state: Mutex::new(state), heard: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, level: LogLevel) -> bool {
        !HEARING.get() && self.lock().known.as_ref().is_some_and(|known| level <= known.listener.least)
    }

    fn tell(&self, level: LogLevel, line: String) {
        // A listener that makes the library speak is not told of that: there would be no end.
        if HEARING.get() {
            return;
        }
        let mut state = self.lock();
        let Some(known) = state.known.clone().filter(|known| level <= known.listener.least) else { return };
        if known.listener.delivery == Delivery::Direct {
            drop(state);
            self.call(known, level, &line);
            return;
        }
        if state.waiting.len() >= MOST_WAITING {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back((level, line));
    }

    /// Calls a listener, without the lock: it may take its time, and change nothing here.
    fn call(&self, known: Arc<Known>, level: LogLevel, line: &str) {
        let call = Call { log: self, known: Some(known) };
        HEARING.set(true);
        if let Some(known) = &call.known {
            (known.listener.hear)(level, line);
        }
    }

    fn set(&self, listener: Option<Listener>) -> Result<()> {
        refuse_inside("the log cannot be set")?;
        let process = std::process::id();
        let mut state = self.lock();
        let new = listener.map(|listener| Arc::new(Known { listener, process }));
        let old = std::mem::replace(&mut state.known, new);
        state.waiting.clear();
        state.dropped = 0;
        // What ran on another thread when this process was forked off does not end here.
        if let Some(old) = old.filter(|old| old.process == process) {
            // Nobody can get hold of it any more; who has, lets go of it under the lock.
            while Arc::strong_count(&old) > 1 {
                state = self.heard.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Ok(())
    }

    fn process_events(&self) -> Result<()> {
        refuse_inside("lines cannot be asked for")?;
        let mut state = self.lock();
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            state.waiting.push_front((LogLevel::Warning, said_of(dropped)));
        }
        // No more than were waiting, so that it ends whatever other threads do.
        for _ in 0..state.waiting.len() {
            let (Some(known), Some((level, line))) = (state.known.clone(), state.waiting.pop_front()) else {
                break;
            };
            drop(state);
            self.call(known, level, &line);
            state = self.lock();
        }
        Ok(())
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        HEARING.set(false);
        let state = self.log.lock();
        self.known = None;
        drop(state);
        self.log.heard.notify_all();
    }
}

fn refuse_inside(what: &str) -> Result<()> {
    if HEARING.get() {
        return Err(Error::state(format!("{what} inside its own callback: do it after that")));
    }
    Ok(())
}

fn said_of(dropped: u64) -> String {
    format!("{dropped} older lines were dropped: at most {MOST_WAITING} wait for vxf_process_events()")
}

/// Sets who is told, in place of who was, whose calls have ended when this returns; lines that wait are gone.
///
/// # Errors
/// `State` inside a listener, where this would wait for itself.
pub fn set_listener(listener: Option<Listener>) -> Result<()> {
    LOG.set(listener)
}

/// Tells a queued listener the lines that wait, on this thread.
///
/// # Errors
/// `State` inside a listener.
pub fn process_events() -> Result<()> {
    LOG.process_events()
}

/// Tells a line, which is only made where somebody is told: lower case, one line, without a full stop.
///
/// A listener may be called here, so it is no place to hold a lock that others wait for.
pub fn tell(level: LogLevel, line: impl FnOnce() -> String) {
    let prints = printed().is_some_and(|least| level <= least);
    if !prints && !LOG.wants(level) {
        return;
    }
    let line = line().replace(['\0', '\n', '\r'], " ");
    if prints {
        print(level, &line);
    }
    LOG.tell(level, line);
}

/// The least level of lines that are printed to the standard error, by the variable `VXF_LOG`; read once.
///
/// Asked for by the first call into the library too: there, the host is less likely to be changing variables.
pub fn printed() -> Option<LogLevel> {
    static LEAST: OnceLock<Option<LogLevel>> = OnceLock::new();
    *LEAST.get_or_init(|| {
        let word = std::env::var_os("VXF_LOG")?;
        parse(&word.to_string_lossy()).unwrap_or_else(|| {
            print(
                LogLevel::Warning,
                &format!("VXF_LOG is {word:?}, expected error, warn, info or off: warn it is"),
            );
            Some(LogLevel::Warning)
        })
    })
}

/// The level of a word; nothing for one that is none.
fn parse(word: &str) -> Option<Option<LogLevel>> {
    Some(match word {
        "" | "off" => None,
        "error" => Some(LogLevel::Error),
        "warn" | "warning" => Some(LogLevel::Warning),
        "info" => Some(LogLevel::Info),
        _ => return None,
    })
}

fn print(level: LogLevel, line: &str) {
    let word = match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Info => "info",
    };
    // Where the standard error is closed there is nobody to tell.
    let _ = std::io::stderr().write_all(format!("voxfeed: {word}: {line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::error::ErrorKind;

    type Heard = Arc<Mutex<Vec<(LogLevel, String)>>>;

    fn listener(delivery: Delivery, least: LogLevel) -> (Listener, Heard) {
        let heard = Heard::default();
        let own = Arc::clone(&heard);
        let hear = Box::new(move |level, line: &str| own.lock().unwrap().push((level, line.to_owned())));
        (Listener { least, delivery, hear }, heard)
    }

    fn lines(heard: &Heard) -> Vec<String> {
        heard.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    #[test]
    fn a_direct_listener_hears_at_once_what_matters_enough() {
        let (log, (direct, heard)) = (Log::new(), listener(Delivery::Direct, LogLevel::Warning));
        log.tell(LogLevel::Error, "before".to_owned());
        log.set(Some(direct)).unwrap();
        for level in [LogLevel::Info, LogLevel::Warning, LogLevel::Error] {
            log.tell(level, format!("{level:?}"));
        }
        assert_eq!(lines(&heard), ["Warning", "Error"]);
        assert!(log.wants(LogLevel::Warning) && !log.wants(LogLevel::Info));
        log.set(None).unwrap();
        log.tell(LogLevel::Error, "behind".to_owned());
        assert_eq!(lines(&heard).len(), 2);
        assert!(!log.wants(LogLevel::Error));
    }

    #[test]
    fn a_queued_listener_hears_when_it_asks_and_of_what_was_dropped() {
        let (log, (queued, heard)) = (Log::new(), listener(Delivery::Queued, LogLevel::Info));
        log.set(Some(queued)).unwrap();
        log.process_events().unwrap();
        for number in 0..MOST_WAITING + 3 {
            log.tell(LogLevel::Info, number.to_string());
        }
        assert!(lines(&heard).is_empty());
        log.process_events().unwrap();
        let told = lines(&heard);
        assert_eq!(told.len(), MOST_WAITING + 1);
        assert!(told[0].starts_with("3 older lines"), "{told:?}");
        assert_eq!(told[1..], (3..MOST_WAITING + 3).map(|number| number.to_string()).collect::<Vec<_>>());
        log.tell(LogLevel::Info, "again".to_owned());
        log.process_events().unwrap();
        assert_eq!(lines(&heard).last().unwrap(), "again");
        assert_eq!(lines(&heard).len(), MOST_WAITING + 2);
    }

    #[test]
    fn lines_of_the_listener_before_are_not_for_the_next_one() {
        let log = Log::new();
        let ((first, _), (second, heard)) =
            (listener(Delivery::Queued, LogLevel::Info), listener(Delivery::Queued, LogLevel::Info));
        log.set(Some(first)).unwrap();
        log.tell(LogLevel::Info, "for the first".to_owned());
        log.set(Some(second)).unwrap();
        log.process_events().unwrap();
        assert!(lines(&heard).is_empty());
    }

    #[test]
    fn a_listener_can_neither_change_nor_ask_the_log_and_does_not_hear_itself() {
        for delivery in [Delivery::Direct, Delivery::Queued] {
            static LOG: Log = Log::new();
            let (kinds, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
            let (own, counted) = (Arc::clone(&kinds), Arc::clone(&count));
            let hear = Box::new(move |_: LogLevel, _: &str| {
                own.lock().unwrap().push(LOG.set(None).unwrap_err().kind());
                own.lock().unwrap().push(LOG.process_events().unwrap_err().kind());
                LOG.tell(LogLevel::Error, "from inside".to_owned());
                *counted.lock().unwrap() += 1;
            });
            LOG.set(Some(Listener { least: LogLevel::Info, delivery, hear })).unwrap();
            LOG.tell(LogLevel::Info, "once".to_owned());
            LOG.process_events().unwrap();
            LOG.process_events().unwrap();
            assert_eq!((*kinds.lock().unwrap()).as_slice(), [ErrorKind::State, ErrorKind::State]);
            assert_eq!(*count.lock().unwrap(), 1);
            LOG.set(None).unwrap();
        }
    }

    #[test]
    fn a_change_waits_until_the_listener_before_has_been_left() {
        let (log, inside, let_go) = (Log::new(), Barrier::new(2), Barrier::new(2));
        let (inside, let_go) = (Arc::new(inside), Arc::new(let_go));
        let left = Arc::new(AtomicBool::new(false));
        let own = (Arc::clone(&inside), Arc::clone(&let_go), Arc::clone(&left));
        let hear = Box::new(move |_: LogLevel, _: &str| {
            own.0.wait();
            own.1.wait();
            own.2.store(true, Ordering::SeqCst);
        });
        log.set(Some(Listener { least: LogLevel::Info, delivery: Delivery::Direct, hear })).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| log.tell(LogLevel::Info, "slow".to_owned()));
            inside.wait();
            let change = scope.spawn(|| {
                log.set(None).unwrap();
                left.load(Ordering::SeqCst)
            });
            let_go.wait();
            assert!(change.join().unwrap(), "the listener was let go of while it was called");
        });
    }

    #[test]
    fn the_words_of_the_variable_are_levels() {
        assert_eq!(parse(""), Some(None));
        assert_eq!(parse("off"), Some(None));
        assert_eq!(parse("warn"), Some(Some(LogLevel::Warning)));
        assert_eq!(parse("warning"), parse("warn"));
        assert_eq!(parse("info"), Some(Some(LogLevel::Info)));
        assert_eq!(parse("loud"), None);
    }
}
