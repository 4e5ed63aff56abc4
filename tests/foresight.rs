//! Samples ahead are announced to their volumes, once each and before they are read, and only for a while
//! where nothing comes from a disk.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::{Arc, Mutex};

use voxfeed::error::Result;
use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::plan::{EpochOptions, Order};
use voxfeed::store::{
    Dataset, Entry, GeometryCheck, Header, OpenOptions, Scratch, Subject, TakeBlock, Volume, Window,
};
use voxfeed::voxel::Region;

mod in_memory;

/// What a loader did to a volume, in order.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    Announced(Region),
    Read(Region),
}

#[derive(Debug)]
struct Listening {
    volume: Arc<dyn Volume>,
    events: Mutex<Vec<Event>>,
}

impl Volume for Listening {
    fn header(&self) -> &Header {
        self.volume.header()
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        self.events.lock().unwrap().push(Event::Read(window.region));
        self.volume.blocks(window, scratch, take)
    }

    fn will_need(&self, window: &Window) {
        self.events.lock().unwrap().push(Event::Announced(window.region));
    }
}

/// What one thread does to a volume of this many slices in these epochs, shuffled.
fn events(slices: usize, epochs: u64) -> Vec<Event> {
    let stored = in_memory::dataset(&[vec![slices, 6, 7]], |_, voxel| voxel as f32);
    let volume = Arc::clone(stored.subjects()[0].categories()[0].entries[0].volume());
    let listening = Arc::new(Listening { volume, events: Mutex::default() });
    let mut subject = Subject::new("s");
    subject.add("images", Entry::new("T1", listening.clone()), GeometryCheck::Strict).unwrap();
    let mut dataset = Dataset::new(OpenOptions::default());
    dataset.add_subject(subject).unwrap();
    let epoch = EpochOptions { batch_size: 3, order: Order::Shuffled, seed: 5, ..EpochOptions::default() };
    let plan = in_memory::plan(Arc::new(dataset), Arc::new(voxfeed::plan::Slices::new(&[0]).unwrap()), epoch)
        .unwrap();
    let options = LoaderOptions { epoch, threads: 1, ..LoaderOptions::default() };
    let loader = Loader::new(Arc::clone(plan.sampler()), options).unwrap();
    for number in 0..epochs {
        loader.start(number).unwrap();
        while let Next::Batch(_) = loader.next(None).unwrap() {}
    }
    loader.close(None).unwrap();
    listening.events.lock().unwrap().clone()
}

#[test]
fn what_is_announced_is_what_is_read_next_once_and_before() {
    let events = events(20, 2);
    let (mut announced, mut read) = (Vec::new(), Vec::new());
    for (time, event) in events.iter().enumerate() {
        match event {
            Event::Announced(region) => announced.push((time, region)),
            Event::Read(region) => read.push((time, region)),
        }
    }
    assert_eq!((read.len(), announced.len()), (40, 38), "all but the first of each epoch are announced");
    let later = read.iter().enumerate().filter(|(number, _)| number % 20 != 0).map(|(_, event)| event);
    for ((told, first), (seen, second)) in announced.iter().zip(later) {
        assert_eq!(first, second);
        assert!(told < seen);
    }
}

#[test]
fn announcements_end_where_nothing_comes_from_a_disk() {
    let events = events(1000, 1);
    let announced = events.iter().filter(|event| matches!(event, Event::Announced(_))).count();
    assert!((64..=600).contains(&announced), "{announced}");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Read(_))).count(), 1000);
}
