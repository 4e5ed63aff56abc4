//! What Blosc does to a block before it is packed, undone.

/// Undoes the bit shuffle of elements of this many bytes: bit `b` of all elements came first, eight to a byte.
pub(super) fn unshuffle_bits(element: usize, from: &[u8], into: &mut [u8]) {
    let all = from.len().min(into.len()) / element.max(1);
    let count = all - all % 8;
    let bytes = count * element;
    if let (Some(tail), Some(rest)) = (into.get_mut(bytes..), from.get(bytes..)) {
        let len = rest.len().min(tail.len());
        if let (Some(tail), Some(rest)) = (tail.get_mut(..len), rest.get(..len)) {
            tail.copy_from_slice(rest);
        }
    }
    let row = count / 8;
    if row == 0 {
        return;
    }
    let rows = from.get(..bytes).unwrap_or_default();
    for (byte, planes) in rows.chunks_exact(row * 8).enumerate() {
        let groups = into.get_mut(..bytes).unwrap_or_default().chunks_exact_mut(8 * element);
        for (group, into) in groups.enumerate() {
            let mut bits = [0u8; 8];
            for (slot, plane) in bits.iter_mut().zip(planes.chunks_exact(row)) {
                *slot = plane.get(group).copied().unwrap_or_default();
            }
            let turned = transposed(u64::from_le_bytes(bits)).to_le_bytes();
            for (place, value) in into.iter_mut().skip(byte).step_by(element).zip(turned) {
                *place = value;
            }
        }
    }
}

/// The transpose of 8 x 8 bits: bit `c` of byte `r` becomes bit `r` of byte `c`.
fn transposed(mut bits: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)]
    {
        let change = (bits ^ (bits >> shift)) & mask;
        bits ^= change ^ (change << shift);
    }
    bits
}

/// Undoes the delta against a chunk's first block, or, in that block itself, against the element before.
pub(super) fn undo_delta(element: usize, reference: Option<&[u8]>, block: &mut [u8]) {
    let step = match element {
        1 | 2 | 4 | 8 => element,
        other if other.is_multiple_of(8) => 8,
        _ => 1,
    };
    let whole = block.len() - block.len() % step;
    let Some(block) = block.get_mut(..whole) else { return };
    match reference {
        Some(reference) => block.iter_mut().zip(reference).for_each(|(value, before)| *value ^= before),
        None => {
            let mut before = [0u8; 8];
            for element in block.chunks_exact_mut(step) {
                element.iter_mut().zip(&before).for_each(|(value, before)| *value ^= before);
                before.iter_mut().zip(element).for_each(|(before, value)| *before = *value);
            }
        }
    }
}

/// Undoes the running difference of each byte plane, which the plug-in filter ByteDelta makes.
pub(super) fn undo_byte_delta(element: usize, block: &mut [u8]) {
    let plane = block.len() / element.max(1);
    if plane == 0 {
        return;
    }
    for plane in block.chunks_exact_mut(plane).take(element) {
        let mut sum = 0u8;
        for value in plane {
            sum = sum.wrapping_add(*value);
            *value = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index * 167 + index / 7) as u8).collect()
    }

    #[test]
    fn unshuffling_bits_undoes_their_shuffle() {
        for element in [1, 2, 3, 4, 8] {
            for len in [0, 5, 8, 64, 1000, 4099] {
                let plain = numbers(len);
                let count = len / element / 8 * 8;
                let mut shuffled = plain.clone();
                shuffled[..count * element].fill(0);
                for index in 0..count {
                    for bit in 0..element * 8 {
                        let set = plain[index * element + bit / 8] >> (bit % 8) & 1;
                        shuffled[bit * (count / 8) + index / 8] |= set << (index % 8);
                    }
                }
                let mut found = vec![0u8; len];
                unshuffle_bits(element, &shuffled, &mut found);
                assert_eq!(found, plain, "{element} {len}");
            }
        }
    }
}
