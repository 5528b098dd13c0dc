//! Exact decimal expansions, which `toFixed`, `toPrecision` and `toExponential` round: the shortest digits would not do.

/// Decimal digits of a double's integer part, at most.
const INTEGER_DIGITS: usize = 309;
/// Digits behind the point that any caller may look at: 324 zeros, 101 digits, and one more limb.
const FRACTION_DIGITS: usize = 450;
/// 32-bit limbs that hold any double's integer part, or its fraction.
const LIMBS: usize = 36;
/// Decimal digits that are taken out at a time.
const GROUP: usize = 9;
const BASE: u64 = 1_000_000_000;

/// The digits of a finite number that is not negative, most significant first, and where the point is.
#[derive(Debug)]
pub struct Decimal {
    digits: [u8; INTEGER_DIGITS + FRACTION_DIGITS + 2 * GROUP],
    /// How many digits there are.
    len: usize,
    /// How many digits stand before the point.
    pub point: usize,
}

#[optimize(size)]
fn split(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let (exponent, mantissa) = ((bits >> 52) as i32 & 0x7FF, bits & ((1 << 52) - 1));
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

/// Puts `value << shift` into limbs, least significant first.
#[optimize(size)]
fn place(limbs: &mut [u32; LIMBS], value: u64, shift: usize) {
    let wide = (value as u128) << (shift % 32);
    for part in 0..3 {
        if let Some(limb) = limbs.get_mut(shift / 32 + part) {
            *limb = (wide >> (32 * part)) as u32;
        }
    }
}

impl Decimal {
    /// No digits yet.
    #[optimize(size)]
    pub fn empty() -> Self {
        Self { digits: [0; INTEGER_DIGITS + FRACTION_DIGITS + 2 * GROUP], len: 0, point: 0 }
    }

    /// Expands `x` to at least `fraction` digits behind the point.
    #[inline(never)]
    #[optimize(size)]
    pub fn new(x: f64, fraction: usize) -> Self {
        let mut decimal = Self::empty();
        let (mantissa, exponent) = split(x);
        if exponent >= 0 {
            decimal.integer(mantissa, exponent as usize);
        } else if exponent > -64 {
            decimal.integer(mantissa >> -exponent, 0);
        }
        decimal.point = decimal.len;
        if exponent < 0 {
            decimal.fraction(mantissa, -exponent as usize, fraction.min(FRACTION_DIGITS));
        }
        decimal
    }

    /// Appends a digit.
    #[optimize(size)]
    pub fn push(&mut self, digit: u8) {
        if let Some(place) = self.digits.get_mut(self.len) {
            *place = digit;
            self.len += 1;
        }
    }

    /// The digits of a group of nine, with its leading zeros or without them.
    #[optimize(size)]
    fn push_group(&mut self, mut group: u32, with_zeros: bool) {
        let mut digits = [0; GROUP];
        for digit in digits.iter_mut().rev() {
            *digit = (group % 10) as u8;
            group /= 10;
        }
        for digit in digits {
            if with_zeros || digit != 0 || self.len != 0 {
                self.push(digit);
            }
        }
    }

    #[optimize(size)]
    fn integer(&mut self, mantissa: u64, shift: usize) {
        let mut limbs = [0; LIMBS];
        place(&mut limbs, mantissa, shift);
        let mut groups = [0; LIMBS];
        let mut n = 0;
        let mut top = LIMBS;
        loop {
            while top > 0 && limbs[top - 1] == 0 {
                top -= 1;
            }
            if top == 0 {
                break;
            }
            let mut rest = 0;
            for limb in limbs[..top].iter_mut().rev() {
                let value = rest << 32 | *limb as u64;
                *limb = (value / BASE) as u32;
                rest = value % BASE;
            }
            groups[n] = rest as u32;
            n += 1;
        }
        for group in groups[..n].iter().rev() {
            self.push_group(*group, false);
        }
    }

    /// The digits of `mantissa / 2^scale` behind the point.
    #[optimize(size)]
    fn fraction(&mut self, mantissa: u64, scale: usize, wanted: usize) {
        let value = if scale < 64 { mantissa & ((1 << scale) - 1) } else { mantissa };
        // The fraction is held as an integer over 2^(32 * top), so that the carry out of the top limb is the digits.
        let top = scale.div_ceil(32);
        let mut limbs = [0; LIMBS];
        place(&mut limbs, value, top * 32 - scale);
        let mut made = 0;
        let mut bottom = 0;
        while made < wanted {
            while bottom < top && limbs[bottom] == 0 {
                bottom += 1;
            }
            if bottom == top {
                break;
            }
            let mut carry = 0;
            for limb in &mut limbs[bottom..top] {
                let value = *limb as u64 * BASE + carry;
                *limb = value as u32;
                carry = value >> 32;
            }
            self.push_group(carry as u32, true);
            made += GROUP;
        }
    }

    /// The digit at `index`, counted from the first; zeros without end behind the last.
    #[optimize(size)]
    pub fn digit(&self, index: usize) -> u8 {
        if index < self.len { self.digits[index] } else { 0 }
    }

    /// The index of the first digit that is not zero; none for zero.
    #[optimize(size)]
    pub fn first(&self) -> Option<usize> {
        self.digits[..self.len].iter().position(|digit| *digit != 0)
    }

    /// Keeps the first `keep` digits, rounded half up; a carry out of the first digit puts a 1 before it.
    #[optimize(size)]
    pub fn round(&mut self, keep: usize) {
        let up = self.digit(keep) >= 5;
        while self.len < keep {
            self.push(0);
        }
        self.len = keep;
        if !up {
            return;
        }
        let mut index = keep;
        while index > 0 {
            index -= 1;
            if self.digits[index] < 9 {
                self.digits[index] += 1;
                return;
            }
            self.digits[index] = 0;
        }
        self.digits.copy_within(0..self.len, 1);
        self.digits[0] = 1;
        self.len += 1;
        self.point += 1;
    }
}
