//! `x ** y` by the formulas of fdlibm as V8 has them. One of V8's differs from the original, and decides the last place
//! of many whole powers: `10 ** -5` is 0.000009999999999999999 in both.

const LN_2: f64 = 6.931_471_805_599_452_862_27e-01;
const LN_2_HIGH: f64 = 6.931_471_824_645_996_093_75e-01;
const LN_2_LOW: f64 = -1.904_654_299_957_768_045_25e-09;
/// 2 / (3 ln 2), and the same in two parts.
const CP: f64 = 9.617_966_939_259_755_543_29e-01;
const CP_HIGH: f64 = 9.617_967_009_544_372_558_59e-01;
const CP_LOW: f64 = -7.028_461_650_952_758_265_16e-09;
const INVERSE_LN_2: f64 = 1.442_695_040_888_963_387_00e+00;
const INVERSE_LN_2_HIGH: f64 = 1.442_695_021_629_333_496_09e+00;
const INVERSE_LN_2_LOW: f64 = 1.925_962_991_126_617_468_87e-08;
/// The polynomial for the logarithm around 1 or 1.5.
const L: [f64; 6] = [
    5.999_999_999_999_946_487_25e-01,
    4.285_714_285_785_501_842_52e-01,
    3.333_333_298_183_774_329_18e-01,
    2.727_281_238_085_340_064_89e-01,
    2.306_607_457_755_617_540_67e-01,
    2.069_750_178_003_384_177_84e-01,
];
/// The polynomial for the exponential.
const P: [f64; 5] = [
    1.666_666_666_666_660_190_37e-01,
    -2.777_777_777_701_559_338_42e-03,
    6.613_756_321_437_934_361_17e-05,
    -1.653_390_220_546_525_153_90e-06,
    4.138_136_797_057_238_460_39e-08,
];
/// The base is compared with 1 or with 1.5, whose binary logarithm comes in two parts.
const AROUND: [(f64, f64, f64); 2] = [(1.0, 0.0, 0.0), (1.5, 5.849_624_872_207_641_601_56e-01, 1.350_039_202_129_748_971_28e-08)];

/// The double without the lower half of its bits.
fn short(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xFFFF_FFFF_0000_0000)
}

fn high(x: f64) -> i32 {
    (x.to_bits() >> 32) as i32
}

fn with_high(x: f64, high: i32) -> f64 {
    f64::from_bits(x.to_bits() & 0xFFFF_FFFF | (high as u32 as u64) << 32)
}

/// `x ** y`.
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    // The standard differs from C in these two.
    if y.is_nan() || (x.abs() == 1.0 && y.is_infinite()) {
        return f64::NAN;
    }
    let is_whole = libm::trunc(y) == y;
    let is_special = x == 0.0 || x.abs() == 1.0 || !x.is_finite() || y == 0.0 || y.abs() == 1.0 || y == 2.0 || y.is_infinite();
    if is_special || (y == 0.5 && x > 0.0) || (x < 0.0 && !is_whole) {
        return libm::pow(x, y);
    }
    let (first, rest) = if y.abs() > 2_147_483_648.0 { log2_near_one(x.abs()) } else { log2(x.abs()) };
    let part = short(y);
    let low = (y - part) * first + y * rest;
    let top = part * first;
    // What overflows, vanishes or loses bits is decided by the library's own comparisons.
    let exponent = low + top;
    if !(exponent < 1023.0 && exponent > -1021.0) {
        return libm::pow(x, y);
    }
    let size = exp2(top, low, exponent);
    let is_odd = x < 0.0 && y.abs() < 9_007_199_254_740_992.0 && y as i64 & 1 == 1;
    if is_odd { -size } else { size }
}

/// The binary logarithm in two parts, for a base so near to one that its power is ordinary although the exponent is huge.
fn log2_near_one(x: f64) -> (f64, f64) {
    let t = x - 1.0;
    let w = (t * t) * (0.5 - t * (0.333_333_333_333_333_333 - t * 0.25));
    let u = INVERSE_LN_2_HIGH * t;
    let v = t * INVERSE_LN_2_LOW - w * INVERSE_LN_2;
    let first = short(u + v);
    (first, v - (first - u))
}

/// The binary logarithm in two parts, the first with half of the bits.
fn log2(x: f64) -> (f64, f64) {
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 9_007_199_254_740_992.0, -53) } else { (x, 0) };
    let mantissa = high(x) & 0xF_FFFF;
    let mut n = shift + (high(x) >> 20) - 1023;
    let mut top = mantissa | 0x3FF0_0000;
    let around = if mantissa <= 0x3_988E {
        0
    } else if mantissa < 0xB_B67A {
        1
    } else {
        n += 1;
        top -= 0x10_0000;
        0
    };
    let (middle, log_high, log_low) = AROUND[around];
    let x = with_high(x, top);
    // s is (x - middle) / (x + middle), in two parts.
    let u = x - middle;
    let v = 1.0 / (x + middle);
    let s = u * v;
    let s_high = short(s);
    let sum_high = with_high(0.0, ((top >> 1) | 0x2000_0000) + 0x8_0000 + ((around as i32) << 18));
    let sum_low = x - (sum_high - middle);
    let s_low = v * ((u - s_high * sum_high) - s_high * sum_low);
    let square = s * s;
    let mut r = square * square * (L[0] + square * (L[1] + square * (L[2] + square * (L[3] + square * (L[4] + square * L[5])))));
    r += s_low * (s_high + s);
    let square = s_high * s_high;
    let t_high = short(3.0 + square + r);
    let t_low = r - ((t_high - 3.0) - square);
    let u = s_high * t_high;
    let v = s_low * t_high + t_low * s;
    let p_high = short(u + v);
    let p_low = v - (p_high - u);
    let z_high = CP_HIGH * p_high;
    let z_low = CP_LOW * p_high + p_low * CP + log_low;
    let t = n as f64;
    let first = short(((z_high + z_low) + log_high) + t);
    (first, z_low - (((first - t) - log_high) - z_high))
}

/// Two to the power of `top + low`, which is `exponent`.
fn exp2(mut top: f64, low: f64, exponent: f64) -> f64 {
    let bits = high(exponent);
    let size = bits & 0x7FFF_FFFF;
    let mut n = 0;
    if size > 0x3FE0_0000 {
        // The nearest whole number, taken off.
        let rounded = bits.wrapping_add(0x10_0000 >> ((size >> 20) - 1023 + 1));
        let k = ((rounded & 0x7FFF_FFFF) >> 20) - 1023;
        top -= with_high(0.0, rounded & !(0xF_FFFF >> k));
        n = ((rounded & 0xF_FFFF) | 0x10_0000) >> (20 - k);
        if bits < 0 {
            n = -n;
        }
    }
    let t = short(low + top);
    let u = t * LN_2_HIGH;
    let v = (low - (t - top)) * LN_2 + t * LN_2_LOW;
    let z = u + v;
    let w = v - (z - u);
    let t = z * z;
    let t1 = z - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    // Here the original has `(z * t1) / (t1 - 2.0) - (w + z * w)`.
    let r = (z * t1) / ((t1 - 2.0) - (w + z * w));
    let z = 1.0 - (r - z);
    with_high(z, high(z) + (n << 20))
}
