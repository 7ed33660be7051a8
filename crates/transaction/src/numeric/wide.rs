//! Unsigned integers of 384 bits: enough for 10^38 × 10^38 × 10^37, the largest intermediate of `Numeric`.

use std::cmp::Ordering;

const LIMBS: usize = 6;

/// Little-endian limbs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide([u64; LIMBS]);

impl From<u128> for Wide {
    fn from(number: u128) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[0] = low(number);
        limbs[1] = high(number);
        Self(limbs)
    }
}

fn low(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits")
}

fn high(number: u128) -> u64 {
    u64::try_from(number >> 64).expect("a u128 shifted by 64 fits a u64")
}

impl Wide {
    pub(super) fn product(a: u128, b: u128) -> Self {
        let mut upper = Self::from(a).times(high(b));
        upper.0.rotate_right(1);
        Self::from(a).times(low(b)).plus(upper)
    }

    pub(super) fn times_ten(mut self, power: u32) -> Self {
        let mut left = power;
        while left > 0 {
            let step = left.min(19);
            self = self.times(10_u64.pow(step));
            left -= step;
        }
        self
    }

    fn times(mut self, factor: u64) -> Self {
        let mut carry = 0_u128;
        for limb in &mut self.0 {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = low(product);
            carry = u128::from(high(product));
        }
        debug_assert_eq!(carry, 0, "intermediates stay below 10^113");
        self
    }

    fn plus(mut self, other: Self) -> Self {
        let mut carry = 0_u128;
        for (limb, added) in self.0.iter_mut().zip(other.0) {
            let sum = u128::from(*limb) + u128::from(added) + carry;
            *limb = low(sum);
            carry = u128::from(high(sum));
        }
        self
    }

    fn minus(mut self, other: Self) -> Self {
        let mut borrow = false;
        for (limb, removed) in self.0.iter_mut().zip(other.0) {
            let (first, under) = limb.overflowing_sub(removed);
            let (second, under_again) = first.overflowing_sub(u64::from(borrow));
            *limb = second;
            borrow = under || under_again;
        }
        self
    }

    /// Twice the number, plus one if `bit`.
    fn doubled(mut self, bit: bool) -> Self {
        let mut carry = u64::from(bit);
        for limb in &mut self.0 {
            let next = *limb >> 63;
            *limb = *limb << 1 | carry;
            carry = next;
        }
        self
    }

    fn bit(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }

    /// The quotient rounded half to even, if it fits; the divisor is not zero.
    pub(super) fn divide_half_even(self, divisor: Self) -> Option<u128> {
        let mut quotient = Self([0; LIMBS]);
        let mut rest = Self([0; LIMBS]);
        for index in (0..64 * LIMBS).rev() {
            rest = rest.doubled(self.bit(index));
            let fits = rest.compare(&divisor).is_ge();
            if fits {
                rest = rest.minus(divisor);
            }
            quotient = quotient.doubled(fits);
        }
        if quotient.0[2..].iter().any(|limb| *limb != 0) {
            return None;
        }
        let whole = u128::from(quotient.0[1]) << 64 | u128::from(quotient.0[0]);
        match rest.doubled(false).compare(&divisor) {
            Ordering::Less => Some(whole),
            Ordering::Equal => whole.checked_add(whole & 1),
            Ordering::Greater => whole.checked_add(1),
        }
    }
}
