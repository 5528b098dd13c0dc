//! The functions of `Math` whose last digit differs between `libm` and V8, by the formulas of fdlibm that V8 has.

use crate::logarithm::{log, log1p};

/// Beyond it `exp` overflows and the function does not yet.
const LOG_MAX: f64 = 709.7822265625;
/// Beyond it the function overflows.
const OVERFLOW: f64 = 710.475_860_073_943_9;
/// From here on the smaller of two exponentials does not count.
const LARGE: f64 = 22.0;
/// Below it the function is its argument: 2^-28.
const TINY: f64 = 3.725290298461914e-9;

/// `e` to the power of `x`; V8 sets the one value that its formula would get wrong.
pub(crate) fn exp(x: f64) -> f64 {
    if x == 1.0 { core::f64::consts::E } else { libm::exp(x) }
}

/// The angle of a point. Where `y` is more than 2^60 times `x`, no other place is looked at.
pub(crate) fn atan2(y: f64, x: f64) -> f64 {
    let high = |x: f64| (x.to_bits() >> 32 & 0x7FFF_FFFF) as i32;
    let is_ordinary = x != 0.0 && y != 0.0 && x.is_finite() && y.is_finite();
    if is_ordinary && (high(y) - high(x)) >> 20 > 60 {
        return libm::copysign(core::f64::consts::FRAC_PI_2, y);
    }
    libm::atan2(y, x)
}

/// From here on one is nothing beside the argument's square: 2^28.
const VAST: f64 = 268_435_456.0;

pub(crate) fn asinh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || !x.is_finite() {
        return x;
    }
    let answer = if size > VAST {
        log(size) + core::f64::consts::LN_2
    } else if size > 2.0 {
        log(2.0 * size + 1.0 / (libm::sqrt(x * x + 1.0) + size))
    } else {
        let square = x * x;
        log1p(size + square / (1.0 + libm::sqrt(1.0 + square)))
    };
    libm::copysign(answer, x)
}

pub(crate) fn acosh(x: f64) -> f64 {
    if !(x >= 1.0) {
        f64::NAN
    } else if x >= VAST {
        log(x) + core::f64::consts::LN_2
    } else if x > 2.0 {
        log(2.0 * x - 1.0 / (x + libm::sqrt(x * x - 1.0)))
    } else {
        let t = x - 1.0;
        log1p(t + libm::sqrt(2.0 * t + t * t))
    }
}

pub(crate) fn atanh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    if size > 1.0 {
        return f64::NAN;
    }
    let double = size + size;
    let answer = if size < 0.5 { double + double * size / (1.0 - size) } else { double / (1.0 - size) };
    libm::copysign(0.5 * log1p(answer), x)
}

/// The cube root: a guess from the exponent, a polynomial to 23 bits, one Newton step.
pub(crate) fn cbrt(x: f64) -> f64 {
    const NORMAL: u32 = 715_094_163;
    const SUBNORMAL: u32 = 696_219_795;
    const P: [f64; 5] = [
        1.875_951_824_271_770_096_43,
        -1.884_979_795_433_771_698_75,
        1.621_429_720_105_354_466_140,
        -0.758_397_934_778_766_047_437,
        0.145_996_192_886_612_446_982,
    ];
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let size = x.abs();
    let high = |x: f64| (x.to_bits() >> 32) as u32;
    let guess = if size < f64::MIN_POSITIVE { high(size * 18_014_398_509_481_984.0) / 3 + SUBNORMAL } else { high(size) / 3 + NORMAL };
    let mut t = libm::copysign(f64::from_bits((guess as u64) << 32), x);
    let r = (t * t) * (t / x);
    t *= (P[0] + r * (P[1] + r * P[2])) + ((r * r) * r) * (P[3] + r * P[4]);
    t = f64::from_bits((t.to_bits() + 0x8000_0000) & 0xFFFF_FFFF_C000_0000);
    let r = x / (t * t);
    t + t * ((r - t) / ((t + t) + r))
}

/// `factor * exp(x)` where `exp(x)` alone would overflow.
fn halves(factor: f64, x: f64) -> f64 {
    let root = exp(0.5 * x);
    factor * root * root
}

pub(crate) fn sinh(x: f64) -> f64 {
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    let size = x.abs();
    if size < LARGE {
        if size < TINY {
            return x;
        }
        let t = libm::expm1(size);
        return if size < 1.0 { half * (2.0 * t - t * t / (t + 1.0)) } else { half * (t + t / (t + 1.0)) };
    }
    if size < LOG_MAX {
        half * exp(size)
    } else if size <= OVERFLOW {
        halves(half, size)
    } else {
        x * 1e307
    }
}

pub(crate) fn cosh(x: f64) -> f64 {
    let size = x.abs();
    // Compared by its upper half, like fdlibm does.
    let high = (size.to_bits() >> 32) as u32;
    if high < 0x3FD6_2E43 {
        let t = libm::expm1(size);
        let w = 1.0 + t;
        return if high < 0x3C80_0000 { w } else { 1.0 + (t * t) / (w + w) };
    }
    if size < LARGE {
        let t = exp(size);
        0.5 * t + 0.5 / t
    } else if size < LOG_MAX {
        0.5 * exp(size)
    } else if size <= OVERFLOW {
        halves(0.5, size)
    } else {
        size * 1e307
    }
}

pub(crate) fn tanh(x: f64) -> f64 {
    let size = x.abs();
    if size < TINY || x.is_nan() {
        return x;
    }
    let answer = if size >= LARGE {
        1.0
    } else if size >= 1.0 {
        1.0 - 2.0 / (libm::expm1(2.0 * size) + 2.0)
    } else {
        let t = libm::expm1(-2.0 * size);
        -t / (t + 2.0)
    };
    libm::copysign(answer, x)
}
