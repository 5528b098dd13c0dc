//! `Math`, as far as WebAssembly has no instruction for it, `%` and the conversion to 32-bit integers.

use crate::{fdlibm, logarithm, power};

/// Whole numbers up to here are exact in both forms.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Exports `Math` functions of one argument.
macro_rules! unary {
    ($($export:ident = $function:path, $name:literal;)*) => {$(
        #[doc = concat!("`Math.", $name, "(x)`.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $export(x: f64) -> f64 {
            $function(x)
        }
    )*};
}

unary! {
    math_sin = libm::sin, "sin";
    math_cos = libm::cos, "cos";
    math_tan = libm::tan, "tan";
    math_asin = libm::asin, "asin";
    math_acos = libm::acos, "acos";
    math_atan = libm::atan, "atan";
    math_sinh = fdlibm::sinh, "sinh";
    math_cosh = fdlibm::cosh, "cosh";
    math_tanh = fdlibm::tanh, "tanh";
    math_asinh = fdlibm::asinh, "asinh";
    math_acosh = fdlibm::acosh, "acosh";
    math_atanh = fdlibm::atanh, "atanh";
    math_exp = fdlibm::exp, "exp";
    math_expm1 = libm::expm1, "expm1";
    math_log = logarithm::log, "log";
    math_log1p = logarithm::log1p, "log1p";
    math_log2 = libm::log2, "log2";
    math_log10 = logarithm::log10, "log10";
    math_cbrt = fdlibm::cbrt, "cbrt";
}

/// `Math.atan2(y, x)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_atan2(y: f64, x: f64) -> f64 {
    fdlibm::atan2(y, x)
}

/// `Math.pow(x, y)` and `x ** y`.
#[unsafe(no_mangle)]
pub extern "C" fn math_pow(x: f64, y: f64) -> f64 {
    power::pow(x, y)
}

/// `Math.hypot(x, y)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_hypot(x: f64, y: f64) -> f64 {
    let (x, y) = (x.abs(), y.abs());
    if x == f64::INFINITY || y == f64::INFINITY {
        return f64::INFINITY;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let largest = x.max(y);
    if largest == 0.0 {
        return 0.0;
    }
    // Summed with compensation, like V8 does for any number of arguments.
    let (mut sum, mut compensation) = (0.0, 0.0);
    for part in [x / largest, y / largest] {
        let summand = part * part - compensation;
        let next = sum + summand;
        compensation = (next - sum) - summand;
        sum = next;
    }
    libm::sqrt(sum) * largest
}

/// `Math.round(x)`: half goes up, and what rounds to zero from below is -0.
#[unsafe(no_mangle)]
pub extern "C" fn math_round(x: f64) -> f64 {
    let below = libm::floor(x);
    let rounded = if x - below >= 0.5 { below + 1.0 } else { below };
    libm::copysign(rounded, x)
}

/// `Math.sign(x)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// `Math.fround(x)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_fround(x: f64) -> f64 {
    x as f32 as f64
}

/// `Math.clz32(x)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_clz32(x: f64) -> f64 {
    f64_to_int32(x).leading_zeros() as f64
}

/// `Math.imul(x, y)`.
#[unsafe(no_mangle)]
pub extern "C" fn math_imul(x: f64, y: f64) -> f64 {
    f64_to_int32(x).wrapping_mul(f64_to_int32(y)) as f64
}

/// `x % y`.
#[unsafe(no_mangle)]
pub extern "C" fn f64_rem(x: f64, y: f64) -> f64 {
    if x.abs() < EXACT_MAX && y.abs() < EXACT_MAX {
        let (whole, divisor) = (x as i64, y as i64);
        if divisor != 0 && whole as f64 == x && divisor as f64 == y {
            // The result has the sign of the dividend, even where it is zero.
            return libm::copysign((whole % divisor) as f64, x);
        }
    }
    remainder(x, y)
}

/// The remainder of numbers that are not both small and whole: exact, by division of the mantissas.
#[inline(never)]
fn remainder(x: f64, y: f64) -> f64 {
    let (size, divisor) = (x.abs(), y.abs());
    if !(size < f64::INFINITY) || divisor == 0.0 || divisor.is_nan() {
        return f64::NAN;
    }
    if size < divisor {
        return x;
    }
    let ((mut rest, mut exponent), (mut by, mut by_exponent)) = (split(size), split(divisor));
    by_exponent += by.trailing_zeros() as i32;
    by >>= by.trailing_zeros();
    if exponent < by_exponent {
        // The divisor is not greater, so it still fits when it is written with the smaller exponent.
        rest %= by << (by_exponent - exponent);
    } else {
        rest %= by;
        while exponent > by_exponent && rest != 0 {
            let step = (exponent - by_exponent).min(by.leading_zeros() as i32);
            rest = (rest << step) % by;
            exponent -= step;
        }
        exponent = by_exponent;
    }
    libm::copysign(libm::scalbn(rest as f64, exponent), x)
}

/// A finite number above zero as a whole number times a power of two.
fn split(x: f64) -> (u64, i32) {
    let (exponent, mantissa) = ((x.to_bits() >> 52) as i32, x.to_bits() & ((1 << 52) - 1));
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

/// `x | 0`: the whole part modulo 2^32, as a signed number.
#[unsafe(no_mangle)]
pub extern "C" fn f64_to_int32(x: f64) -> i32 {
    let whole = x as i64;
    if whole != i64::MAX && whole != i64::MIN {
        return whole as i32;
    }
    wrapped(x)
}

/// The same for numbers beyond 64 bits: the low bits of the mantissa, shifted to their place.
#[cold]
#[inline(never)]
fn wrapped(x: f64) -> i32 {
    let bits = x.to_bits();
    let shift = (bits >> 52 & 0x7FF) as i32 - 1075;
    if !(0..32).contains(&shift) {
        return 0;
    }
    let low = ((bits & ((1 << 52) - 1) | 1 << 52) << shift) as i32;
    if x < 0.0 { low.wrapping_neg() } else { low }
}
