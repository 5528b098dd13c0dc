//! `log`, `log1p` and `log10` by the formulas of fdlibm that V8 has; those of `libm` differ in the last place.

const LN_2_HIGH: f64 = 6.931_471_803_691_238_164_90e-01;
const LN_2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
const TWO_54: f64 = 18_014_398_509_481_984.0;
/// The polynomial for `(log(1 + f) - 2s) / s`, where `s` is `f / (2 + f)`.
const L: [f64; 7] = [
    6.666_666_666_666_735_130e-01,
    3.999_999_999_940_941_908e-01,
    2.857_142_874_366_239_149e-01,
    2.222_219_843_214_978_396e-01,
    1.818_357_216_161_805_012e-01,
    1.531_383_769_920_937_332e-01,
    1.479_819_860_511_658_591e-01,
];

/// The upper half of a double.
fn high(x: f64) -> u32 {
    (x.to_bits() >> 32) as u32
}

/// The double with another upper half.
fn with_high(x: f64, high: u32) -> f64 {
    f64::from_bits(x.to_bits() & 0xFFFF_FFFF | (high as u64) << 32)
}

/// What logarithms of numbers that have none are.
fn without(x: f64) -> Option<f64> {
    if x == 0.0 {
        Some(f64::NEG_INFINITY)
    } else if x < 0.0 || x.is_nan() {
        Some(f64::NAN)
    } else if x == f64::INFINITY {
        Some(x)
    } else {
        None
    }
}

/// The natural logarithm.
pub(crate) fn log(x: f64) -> f64 {
    if let Some(answer) = without(x) {
        return answer;
    }
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * TWO_54, -54) } else { (x, 0) };
    let mantissa = high(x) & 0xF_FFFF;
    // The mantissa is taken from sqrt(1/2) to sqrt(2).
    let half = (mantissa + 0x9_5F64) & 0x10_0000;
    let k = shift + (high(x) >> 20) as i32 - 1023 + (half >> 20) as i32;
    let f = with_high(x, mantissa | (half ^ 0x3FF0_0000)) - 1.0;
    let dk = k as f64;
    if (0xF_FFFF & (2 + mantissa)) < 3 {
        if f == 0.0 {
            return if k == 0 { 0.0 } else { dk * LN_2_HIGH + dk * LN_2_LOW };
        }
        let r = f * f * (0.5 - 0.333_333_333_333_333_33 * f);
        return if k == 0 { f - r } else { dk * LN_2_HIGH - ((r - dk * LN_2_LOW) - f) };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (L[1] + w * (L[3] + w * L[5]));
    let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    let r = odd + even;
    if (mantissa as i32 - 0x6_147A) | (0x6_B851 - mantissa as i32) > 0 {
        let square = 0.5 * f * f;
        return if k == 0 { f - (square - s * (square + r)) } else { dk * LN_2_HIGH - ((square - (s * (square + r) + dk * LN_2_LOW)) - f) };
    }
    if k == 0 { f - s * (f - r) } else { dk * LN_2_HIGH - ((s * (f - r) - dk * LN_2_LOW) - f) }
}

/// The natural logarithm of `1 + x`.
pub(crate) fn log1p(x: f64) -> f64 {
    if let Some(answer) = without(1.0 + x) {
        return answer;
    }
    let size = high(x) & 0x7FFF_FFFF;
    if size < 0x3E20_0000 {
        return if size < 0x3C90_0000 { x } else { x - x * x * 0.5 };
    }
    let signed = high(x) as i32;
    // The argument as it is, where `1 + x` is between sqrt(1/2) and sqrt(2).
    let is_near_one = signed < 0x3FDA_827A && (signed > 0 || signed <= 0xBFD2_BEC4_u32 as i32);
    let (f, k, correction, top) = if is_near_one { (x, 0, 0.0, 1) } else { scaled(x) };
    let dk = k as f64;
    let square = 0.5 * f * f;
    if top == 0 {
        if f == 0.0 {
            return if k == 0 { 0.0 } else { dk * LN_2_HIGH + (correction + dk * LN_2_LOW) };
        }
        let r = square * (1.0 - 0.666_666_666_666_666_66 * f);
        return if k == 0 { f - r } else { dk * LN_2_HIGH - ((r - (dk * LN_2_LOW + correction)) - f) };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * (L[0] + z * (L[1] + z * (L[2] + z * (L[3] + z * (L[4] + z * (L[5] + z * L[6]))))));
    if k == 0 {
        f - (square - s * (square + r))
    } else {
        dk * LN_2_HIGH - ((square - (s * (square + r) + (dk * LN_2_LOW + correction))) - f)
    }
}

/// `1 + x` as `(1 + f) * 2^k`, what the sum lost, and the top bits of `f`.
fn scaled(x: f64) -> (f64, i32, f64, u32) {
    let is_large = x >= 9_007_199_254_740_992.0;
    let sum = if is_large { x } else { 1.0 + x };
    let mut k = (high(sum) >> 20) as i32 - 1023;
    let lost = if is_large {
        0.0
    } else if k > 0 {
        (1.0 - (sum - x)) / sum
    } else {
        (x - (sum - 1.0)) / sum
    };
    let mut top = high(sum) & 0xF_FFFF;
    let sum = if top < 0x6_A09E {
        with_high(sum, top | 0x3FF0_0000)
    } else {
        k += 1;
        let sum = with_high(sum, top | 0x3FE0_0000);
        top = (0x10_0000 - top) >> 2;
        sum
    };
    (sum - 1.0, k, lost, top)
}

/// The logarithm to base 10, from the natural one of the mantissa.
pub(crate) fn log10(x: f64) -> f64 {
    const INVERSE_LN_10: f64 = 4.342_944_819_032_518_166_68e-01;
    const LOG10_2_HIGH: f64 = 3.010_299_956_636_117_713_06e-01;
    const LOG10_2_LOW: f64 = 3.694_239_077_158_930_786_16e-13;
    if let Some(answer) = without(x) {
        return answer;
    }
    if x == 1.0 {
        return 0.0;
    }
    let (bits, shift) = if x < f64::MIN_POSITIVE { ((x * TWO_54).to_bits(), -54) } else { (x.to_bits(), 0) };
    let exponent = shift + (bits >> 52) as i32 - 1023;
    // Below one, the mantissa is taken from 1/2 to 1, so that the two terms do not cancel.
    let is_below_one = (exponent < 0) as i32;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | (0x3FF - is_below_one as u64) << 52);
    let exponent = (exponent + is_below_one) as f64;
    exponent * LOG10_2_LOW + INVERSE_LN_10 * log(mantissa) + exponent * LOG10_2_HIGH
}
