//! The LZF decoder: what h5py's own filter writes.
//!
//! A stream is a row of commands. A byte below 32 says how many literal bytes follow, less one. Any other
//! one repeats bytes of the output: its upper three bits are the length less two, with 7 meaning that one
//! more byte adds to it; its lower five bits and the next byte are the distance back, less one.
//!
//! No crate: those that exist compress as well, and take their lengths on trust or allocate their output.

use crate::error::{Error, Result};

/// No stream grows by more than this factor: three bytes repeat 264.
pub(super) const MOST_GROWTH: u64 = 88;

/// Decodes a stream that fills `into`.
///
/// # Errors
/// `Format` where it is damaged or gives another number of bytes.
pub(super) fn decode(stream: &[u8], into: &mut [u8]) -> Result<()> {
    let (mut rest, mut done) = (stream, 0);
    while let [command, more @ ..] = rest {
        let (command, more) = (usize::from(*command), more);
        if command < 32 {
            let (literal, more) = more.split_at_checked(command + 1).ok_or_else(too_early)?;
            let place = into.get_mut(done..done + literal.len()).ok_or_else(too_much)?;
            place.copy_from_slice(literal);
            done += literal.len();
            rest = more;
            continue;
        }
        let (length, more) = match (command >> 5, more) {
            (7, [length, more @ ..]) => (9 + usize::from(*length), more),
            (7, []) => return Err(too_early()),
            (length, more) => (length + 2, more),
        };
        let [low, more @ ..] = more else { return Err(too_early()) };
        let distance = (command & 31) << 8 | usize::from(*low);
        let Some(from) = done.checked_sub(distance + 1) else {
            return Err(Error::format("damaged LZF data: it repeats bytes from before its beginning"));
        };
        repeat(into.get_mut(from..done + length).ok_or_else(too_much)?, distance + 1);
        done += length;
        rest = more;
    }
    if done == into.len() {
        return Ok(());
    }
    Err(Error::format(format!("LZF data of {done} bytes, expected {}", into.len())))
}

/// Fills the bytes after the first `distance` with those that lie so far before each.
fn repeat(bytes: &mut [u8], distance: usize) {
    let mut known = distance;
    while known < bytes.len() {
        // Whole periods are known, so twice as many after each round.
        let more = known.min(bytes.len() - known);
        bytes.copy_within(..more, known);
        known += more;
    }
}

fn too_early() -> Error {
    Error::format("truncated LZF data")
}

fn too_much() -> Error {
    Error::format("LZF data of more bytes than its chunk has")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stream made of literals and repeats that are asked for, and the bytes that it stands for.
    fn stream(commands: &[(Vec<u8>, usize, usize)]) -> (Vec<u8>, Vec<u8>) {
        let (mut stream, mut plain) = (Vec::new(), Vec::new());
        for (literal, distance, length) in commands {
            stream.push(literal.len() as u8 - 1);
            stream.extend(literal);
            plain.extend(literal);
            let distance = (distance % plain.len()).min(8191);
            let high = (distance >> 8) as u8;
            if *length < 9 {
                stream.push(((length - 2) as u8) << 5 | high);
            } else {
                stream.extend([7 << 5 | high, (length - 9) as u8]);
            }
            stream.push(distance as u8);
            for _ in 0..*length {
                plain.push(plain[plain.len() - 1 - distance]);
            }
        }
        (stream, plain)
    }

    fn commands() -> impl Strategy<Value = Vec<(Vec<u8>, usize, usize)>> {
        let command = (prop::collection::vec(any::<u8>(), 1..33), any::<usize>(), 3usize..265);
        prop::collection::vec(command, 0..60)
    }

    proptest! {
        #[test]
        fn literals_and_repeats_are_what_they_stand_for(commands in commands()) {
            let (stream, plain) = stream(&commands);
            let mut into = vec![0; plain.len()];
            decode(&stream, &mut into).unwrap();
            prop_assert_eq!(&into, &plain);
            into.push(0);
            prop_assert!(decode(&stream, &mut into).is_err());
            into.truncate(plain.len().saturating_sub(1));
            prop_assert!(plain.is_empty() || decode(&stream, &mut into).is_err());
        }

        #[test]
        fn garbage_is_decoded_or_refused(garbage in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..2000) {
            let _ = decode(&garbage, &mut vec![0; len]);
        }
    }

    #[test]
    fn nothing_grows_more_than_it_is_said_to() {
        let (stream, plain) = stream(&vec![(vec![5], 0, 264); 500]);
        assert!(plain.len() as u64 <= stream.len() as u64 * MOST_GROWTH);
    }
}
