//! Counter-based random numbers: a pure function of seed, epoch, position and draw.
//!
//! No state travels between samples, so sample k is the same whatever the threads, and any sample of an
//! epoch can be made again without making those before it.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// One Philox4x32-10 block: four words from a counter of four and a key of two.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    for round in 0..ROUNDS {
        if round > 0 {
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        let left = u64::from(MULTIPLIERS[0]) * u64::from(a);
        let right = u64::from(MULTIPLIERS[1]) * u64::from(c);
        let (left_high, left_low) = halves(left);
        let (right_high, right_low) = halves(right);
        (a, b, c, d) = (right_high ^ b ^ k0, right_low, left_high ^ d ^ k1, left_low);
    }
    [a, b, c, d]
}

/// The high and the low word of 64 bits.
fn halves(wide: u64) -> (u32, u32) {
    ((wide >> 32) as u32, (wide & 0xFFFF_FFFF) as u32)
}

/// What a stream of numbers is for; streams of different purposes never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The order of the samples of an epoch.
    Order,
    /// The place of a sample's region.
    Region,
    /// The augmentation of a sample's voxels.
    Augment,
}

impl Purpose {
    fn tag(self) -> u32 {
        match self {
            Purpose::Order => 1,
            Purpose::Region => 2,
            Purpose::Augment => 3,
        }
    }
}

/// The random numbers of one place: of one sample in one epoch, for one purpose.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    place: [u32; 3],
    draw: u32,
    block: [u32; 4],
    left: usize,
}

impl Stream {
    /// The stream of this position in this epoch under this seed.
    pub fn new(seed: u64, epoch: u64, position: u64, purpose: Purpose) -> Self {
        let (seed_high, seed_low) = halves(seed);
        let (epoch_high, epoch_low) = halves(epoch);
        let (position_high, position_low) = halves(position);
        // The purpose and the upper words, zero in practice, are folded into the key by a block of their own.
        let folded = philox([purpose.tag(), epoch_high, position_high, 0], [seed_low, seed_high]);
        let [k0, k1, salt, _] = folded;
        Self { key: [k0, k1], place: [epoch_low, position_low, salt], draw: 0, block: [0; 4], left: 0 }
    }

    /// The next 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.left == 0 {
            let [epoch, position, salt] = self.place;
            self.block = philox([epoch, position, salt, self.draw], self.key);
            self.draw = self.draw.wrapping_add(1);
            self.left = self.block.len();
        }
        let word = self.block.get(self.block.len() - self.left).copied().unwrap_or_default();
        self.left -= 1;
        word
    }

    /// A number in `0..bound`, each with the same probability; 0 for a bound of 0.
    ///
    /// Source: Lemire, "Fast random integer generation in an interval", 2019 (with rejection, so without bias).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u64::from(self.bits()) << 32 | u64::from(self.bits());
            let product = u128::from(wide) * u128::from(bound);
            if (product & u128::from(u64::MAX)) as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in `0.0..1.0` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        let wide = u64::from(self.bits()) << 32 | u64::from(self.bits());
        (wide >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123 ships for philox4x32, ten rounds.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_of_different_places_differ() {
        let words = |seed, epoch, position, purpose| Stream::new(seed, epoch, position, purpose).bits();
        let base = words(1, 2, 3, Purpose::Region);
        assert_eq!(base, words(1, 2, 3, Purpose::Region));
        assert_ne!(base, words(2, 2, 3, Purpose::Region));
        assert_ne!(base, words(1, 3, 3, Purpose::Region));
        assert_ne!(base, words(1, 2, 4, Purpose::Region));
        assert_ne!(base, words(1, 2, 3 + (1 << 32), Purpose::Region));
        assert_ne!(base, words(1, 2, 3, Purpose::Order));
    }

    #[test]
    fn below_is_uniform_and_inside() {
        let mut stream = Stream::new(7, 0, 0, Purpose::Region);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&stream.unit())));
    }
}
