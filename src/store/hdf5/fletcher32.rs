//! The checksum that HDF5 writes behind a chunk.

use crate::error::{Error, Result};

/// The bytes of the checksum.
pub(super) const LEN: usize = 4;

/// The most sums of 16-bit words that 32 bits hold.
const MOST_WORDS: usize = 360;

/// The bytes before the checksum at the end, after a check that they give it.
///
/// # Errors
/// `Format` where they do not, or there is none.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let Some((data, stored)) = bytes.split_last_chunk::<LEN>() else {
        return Err(Error::format(format!(
            "{} stored bytes do not hold a Fletcher-32 checksum",
            bytes.len()
        )));
    };
    let (stored, found) = (u32::from_le_bytes(*stored), fletcher32(data));
    // Libraries before 1.6.3 swapped the bytes of both halves on little-endian machines.
    let [a, b, c, d] = found.to_le_bytes();
    if stored == found || stored == u32::from_le_bytes([b, a, d, c]) {
        return Ok(data);
    }
    Err(Error::format(format!(
        "its Fletcher-32 checksum is {found:08x}, {stored:08x} is stored: damaged data"
    )))
}

/// The sums of big-endian 16-bit words and of those sums, modulo 65535; an odd last byte is a high one.
///
/// Source: Fletcher's checksum as HDF5's file format has it, which begins with zeros.
fn fletcher32(data: &[u8]) -> u32 {
    let (words, odd) = data.as_chunks::<2>();
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut sum, mut sums) = (0u32, 0u32);
    for words in words.chunks(MOST_WORDS) {
        for word in words {
            sum += u32::from(u16::from_be_bytes(*word));
            sums += sum;
        }
        (sum, sums) = (fold(sum), fold(sums));
    }
    if let [last] = odd {
        sum += u32::from(*last) << 8;
        sums += sum;
        (sum, sums) = (fold(sum), fold(sums));
    }
    fold(sums) << 16 | fold(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, with remainders at every step; 0 and 65535 are the same residue.
    fn residues(data: &[u8]) -> (u64, u64) {
        let (mut sum, mut sums) = (0u64, 0u64);
        for word in data.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            sum = (sum + (u64::from(word[0]) << 8) + u64::from(low)) % 65535;
            sums = (sums + sum) % 65535;
        }
        (sum, sums)
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_definition(data in prop::collection::vec(any::<u8>(), 0..3000)) {
            let found = fletcher32(&data);
            let found = (u64::from(found & 0xffff) % 65535, u64::from(found >> 16) % 65535);
            prop_assert_eq!(found, residues(&data));
        }

        #[test]
        fn a_flipped_bit_is_noticed(mut data in prop::collection::vec(any::<u8>(), 1..600), at: u16, bit in 0..8u8) {
            let sum = fletcher32(&data).to_le_bytes();
            data.extend(sum);
            prop_assert!(checked(&data).is_ok());
            let at = at as usize % data.len();
            data[at] ^= 1u8 << bit;
            prop_assert!(checked(&data).is_err());
        }
    }

    #[test]
    fn sums_of_the_largest_words_do_not_overflow() {
        let data = vec![0xff; 2 * MOST_WORDS * 3 + 1];
        let (sum, sums) = residues(&data);
        let found = fletcher32(&data);
        assert_eq!((u64::from(found & 0xffff) % 65535, u64::from(found >> 16) % 65535), (sum, sums));
    }

    #[test]
    fn the_old_order_of_bytes_is_known_and_too_few_are_refused() {
        let mut data = b"abcdefgh".to_vec();
        let [a, b, c, d] = fletcher32(&data).to_le_bytes();
        data.extend([b, a, d, c]);
        assert_eq!(checked(&data).unwrap(), b"abcdefgh");
        assert!(checked(&data[..3]).is_err());
    }
}
