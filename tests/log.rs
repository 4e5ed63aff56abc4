//! A loader that waits for nobody but its caller says so, once and without keeping anybody from anything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::log::{Delivery, Listener, LogLevel, set_listener};
use voxfeed::plan::{EpochOptions, Whole};

mod in_memory;

#[test]
fn a_caller_who_holds_all_batches_is_told_and_goes_on_when_one_is_let_go() {
    let dataset = in_memory::dataset(&vec![vec![2, 3, 4]; 8], |subject, k| (subject * 100 + k) as f32);
    let plan = in_memory::plan(dataset, Arc::new(Whole), EpochOptions::default()).unwrap();
    let options = LoaderOptions { held_limit: Duration::from_millis(10), ..LoaderOptions::default() };
    let loader = Arc::new(Loader::new(Arc::clone(plan.sampler()), options).unwrap());
    let (said, heard) = channel();
    let own = Arc::clone(&loader);
    // It looks at the loader, which has a lock: the one who waits must not have it now.
    let hear = Box::new(move |level, line: &str| {
        said.send((level, line.to_owned(), own.stats().unwrap().held)).unwrap();
    });
    set_listener(Some(Listener { least: LogLevel::Info, delivery: Delivery::Direct, hear })).unwrap();
    loader.start(0).unwrap();
    let mut held: Vec<Next> = (0..3).map(|_| loader.next(None).unwrap()).collect();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| loader.next(None).unwrap());
        let (level, line, count) = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!((level, count), (LogLevel::Warning, 3));
        assert_eq!(line, "all 3 slots are held: release batches or raise prefetch");
        held.pop();
        assert!(matches!(waiting.join().unwrap(), Next::Batch(_)));
    });
    assert!(heard.try_recv().is_err());
    set_listener(None).unwrap();
}
