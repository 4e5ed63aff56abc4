//! A zlib stream whose plain size is known.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{Error, Result};
use crate::sys::{Framing, Inflated, Inflater};

/// No deflated stream grows by more than this factor.
pub(super) const MOST_GROWTH: u64 = 1032;

/// The decoder that starts fast: it builds smaller tables for every block of a stream, and goes slower
/// through it.
#[derive(Debug, Default)]
pub(super) struct Starter {
    state: Option<Decompress>,
}

/// Inflates a stream that fills `into`; what follows it is left alone.
///
/// # Errors
/// `Format` where it is damaged or gives another number of bytes; `Memory` where there is none for a decoder.
pub(super) fn inflate(
    (starter, inflater): (&mut Starter, &mut Inflater),
    stream: &[u8],
    into: &mut [u8],
) -> Result<()> {
    let len = into.len();
    let found = if starts_matter(stream.len(), len) {
        starter.inflate(stream, into)
    } else {
        inflater.inflate(Framing::Zlib, stream, into)?
    };
    match found {
        Inflated::Whole { written, .. } if written == len => Ok(()),
        Inflated::Whole { written, .. } => {
            Err(Error::format(format!("deflated data of {written} bytes, expected {len}")))
        }
        Inflated::NoRoom => {
            Err(Error::format(format!("deflated data of more than the expected {len} bytes")))
        }
        Inflated::Damaged => Err(Error::format("damaged deflated data")),
    }
}

/// Whether a stream is short and says much with few symbols, so that tables take longer than they.
fn starts_matter(packed: usize, plain: usize) -> bool {
    packed <= 4096 && plain / 3 >= packed
}

impl Starter {
    fn inflate(&mut self, stream: &[u8], into: &mut [u8]) -> Inflated {
        let state = self.state.get_or_insert_with(|| Decompress::new(true));
        state.reset(true);
        let end = state.decompress(stream, into, FlushDecompress::Finish);
        let (read, written) = (state.total_in() as usize, state.total_out() as usize);
        match end {
            Ok(Status::StreamEnd) => Inflated::Whole { read, written },
            Ok(_) if written == into.len() && read < stream.len() => Inflated::NoRoom,
            Ok(_) | Err(_) => Inflated::Damaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(4));
        to.write_all(plain).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn both_decoders_give_the_bytes_and_refuse_what_is_too_much_too_little_or_damaged() {
        let noise = |k: u32| (k.wrapping_mul(2_654_435_761) >> 24) as u8;
        let cases: [Vec<u8>; 4] = [
            Vec::new(),
            (0..700).map(noise).collect(),
            (0..100_000).map(noise).collect(),
            (0..100_000).map(|k| (k / 7000) as u8).collect(),
        ];
        let (mut starter, mut inflater) = (Starter::default(), Inflater::default());
        let started = cases.iter().filter(|plain| starts_matter(packed(plain).len(), plain.len())).count();
        assert!((1..cases.len()).contains(&started), "{started} go to the one decoder");
        for plain in cases {
            let stream = packed(&plain);
            let mut followed = stream.clone();
            followed.extend([7; 9]);
            let mut into = vec![1u8; plain.len()];
            let mut both = (&mut starter, &mut inflater);
            inflate((both.0, both.1), &followed, &mut into).unwrap();
            assert_eq!(into, plain);
            let mut tries = vec![(stream[..stream.len() - 1].to_vec(), plain.len())];
            tries.push((stream.clone(), plain.len() + 1));
            tries.push((Vec::new(), plain.len()));
            let mut wrong = stream.clone();
            *wrong.last_mut().unwrap() ^= 1;
            tries.push((wrong, plain.len()));
            if !plain.is_empty() {
                tries.push((stream.clone(), plain.len() - 1));
            }
            for (stream, len) in tries {
                both = (&mut starter, &mut inflater);
                let error = inflate(both, &stream, &mut vec![0; len]).unwrap_err();
                assert_eq!(error.kind(), crate::error::ErrorKind::Format, "{error}");
            }
        }
    }
}
