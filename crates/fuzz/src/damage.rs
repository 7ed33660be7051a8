//! Damaging bytes by a seed.

/// Numbers from a seed (SplitMix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a bound; 0 if the bound is.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a length fits");
        usize::try_from(self.next() % bound).expect("it is below a length")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Some bytes of a valid input changed, left out, repeated or taken from elsewhere; now and then all of them random.
pub(crate) fn damaged(valid: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    if numbers.below(16) == 0 {
        let length = numbers.below(512);
        return (0..length).map(|_| numbers.byte()).collect();
    }
    let mut bytes = valid.to_vec();
    for _ in 0..=numbers.below(6) {
        let (at, length) = (numbers.below(bytes.len()), numbers.below(24));
        let end = (at + length).min(bytes.len());
        match numbers.below(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let repeated = bytes[at..end].repeat(1 + numbers.below(40));
                drop(bytes.splice(at..at, repeated));
            }
            3 => {
                let other = numbers.below(valid.len());
                let taken = valid[other..(other + length).min(valid.len())].to_vec();
                drop(bytes.splice(at..end, taken));
            }
            // Lengths and tags are where readers trust too much.
            4 => bytes[at..end].fill([0, 1, 0x7f, 0x80, 0xff][numbers.below(5)]),
            _ if at < bytes.len() => bytes[at] = numbers.byte(),
            _ => bytes.push(numbers.byte()),
        }
    }
    bytes
}
