//! BloscLZ: literals and matches, a descendant of FastLZ.
//!
//! Source: c-blosc2, `blosc/blosclz.c`.

/// The farthest match that a short distance reaches.
const SHORT_DISTANCE: usize = 8191;

/// Decodes a stream that fills `into`; nothing where it is damaged or of another length.
pub(super) fn decode(packed: &[u8], into: &mut [u8]) -> Option<()> {
    let mut input = packed.iter();
    let mut next = || input.next().copied().map(usize::from);
    let mut written = 0;
    // The first control byte is a literal's, its upper bits a mark of the format.
    let mut control = next()? & 31;
    loop {
        if control < 32 {
            for _ in 0..=control {
                *into.get_mut(written)? = next()? as u8;
                written += 1;
            }
        } else {
            let mut length = (control >> 5) - 1;
            if length == 6 {
                loop {
                    let more = next()?;
                    length += more;
                    if more != 255 {
                        break;
                    }
                }
            }
            let (high, low) = (control & 31, next()?);
            let mut distance = (high << 8) + low;
            if low == 255 && high == 31 {
                distance = (next()? << 8) + next()? + SHORT_DISTANCE;
            }
            copy(into, written, distance + 1, length + 3)?;
            written += length + 3;
        }
        match next() {
            Some(byte) => control = byte,
            None => return (written == into.len()).then_some(()),
        }
    }
}

/// Repeats `length` bytes from `distance` back, which may reach into what is being written.
fn copy(into: &mut [u8], written: usize, distance: usize, length: usize) -> Option<()> {
    let from = written.checked_sub(distance)?;
    let end = written.checked_add(length)?;
    if end > into.len() {
        return None;
    }
    if distance >= length {
        into.copy_within(from..from + length, written);
        return Some(());
    }
    if distance == 1 {
        let value = *into.get(from)?;
        into.get_mut(written..end)?.fill(value);
        return Some(());
    }
    // What has been repeated can be repeated as well: the copies double.
    let (mut at, mut step) = (written, distance);
    while at < end {
        let len = step.min(end - at);
        into.copy_within(from..from + len, at);
        at += len;
        step += len;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_matches_and_runs_are_decoded() {
        // Three literals; a match of 6 at distance 3; a run of 9 + 20 of the last byte.
        let packed = [2, b'a', b'b', b'c', 0b1000_0000, 2, 0b1110_0000, 20, 0];
        let mut into = [0u8; 3 + 6 + 29];
        decode(&packed, &mut into).unwrap();
        assert_eq!(&into[..9], b"abcabcabc");
        assert!(into[9..].iter().all(|&byte| byte == b'c'));
    }

    #[test]
    fn damaged_streams_are_refused() {
        let mut into = [0u8; 16];
        for packed in [&[][..], &[31], &[0, 1, 0b0010_0000, 9], &[0, 1, 0b1110_0000, 255, 255, 3, 0], &[0, 1]]
        {
            assert!(decode(packed, &mut into).is_none(), "{packed:?}");
        }
    }
}
