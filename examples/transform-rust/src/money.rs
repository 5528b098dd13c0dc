//! Exact decimals, a configuration, and a function that can fail.

use azora_guest::prelude::*;

/// An amount with cents.
pub type Amount = Decimal<18, 2>;

/// A tax.
#[derive(Config)]
pub struct Tax {
    /// Rate as a decimal number in a string, for example `"0.19"`.
    pub rate: String,
}

/// The amount with tax on it, rounded to cents half away from zero. Fails where that is more than 18 digits.
#[map]
pub fn gross(net: Amount, #[config] tax: &Tax) -> Result<Amount, Failure> {
    let rate: Decimal<9, 6> = tax.rate.parse()?;
    let gross = net.checked_mul(rate).and_then(|tax| net.checked_add(tax));
    gross.ok_or_else(|| Failure::overflow(format!("{net} with tax does not fit 18 digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_rounded_once() {
        let tax = Tax { rate: "0.19".into() };
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        assert_eq!(gross(amount("10.50"), &tax), Ok(amount("12.50")));
        assert_eq!(gross(amount("-0.03"), &tax), Ok(amount("-0.04")));
        assert!(gross(amount("9999999999999999.99"), &tax).is_err());
        assert!(gross(amount("1.00"), &Tax { rate: "much".into() }).is_err());
    }
}
