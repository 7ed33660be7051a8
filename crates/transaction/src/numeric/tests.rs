use super::*;
use proptest::prelude::*;

fn n(text: &str) -> Numeric {
    Numeric::parse_literal(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn texts() {
    for text in ["0.", "-1.", "10000.", "0.0000000000", "-12.345", "0.5", &format!("{}.", "9".repeat(38))] {
        assert_eq!(n(text).to_string(), text);
    }
    for bad in ["", ".", "1", "+1.", "01.", ".5", "1.e3", "1 .0", "--1.0", &format!("{}.", "1".repeat(39))] {
        assert_eq!(Numeric::parse_literal(bad), None, "{bad}");
    }
    for (text, scale, shown) in
        [("1", 2, "1.00"), ("+001.50", 1, "1.5"), ("-0.000", 0, "0."), ("12.3400", 2, "12.34"), ("-7", 0, "-7.")]
    {
        assert_eq!(Numeric::parse(text, scale).unwrap().to_string(), shown);
    }
    for (bad, scale) in [("1.", 2), (".5", 2), ("1.005", 2), ("1e3", 2), ("", 2), ("-", 2), ("1", 38), ("12", 37)] {
        assert_eq!(Numeric::parse(bad, scale), None, "{bad} {scale}");
    }
    assert_eq!(n("1.500").to_short_text(), "1.5");
    assert_eq!(n("-100.").to_short_text(), "-100.0");
}

#[test]
fn rounding_is_half_to_even() {
    for (number, place, rounded) in [
        ("2.5", 0, "2.0"),
        ("3.5", 0, "4.0"),
        ("-2.5", 0, "-2.0"),
        ("-3.5", 0, "-4.0"),
        ("2.51", 0, "3.00"),
        ("25.0", -1, "20.0"),
        ("35.0", -1, "40.0"),
        ("1.25", 1, "1.20"),
        ("1.25", 2, "1.25"),
        ("0.00", -30, "0.00"),
    ] {
        assert_eq!(n(number).checked_round(place).unwrap().to_string(), rounded, "{number} {place}");
    }
    assert_eq!(n("1.0").checked_round(2), Err(NumericError::Place));
    assert_eq!(n("1.0").checked_round(-37), Err(NumericError::Place));
    assert_eq!(n(&format!("{}.", "9".repeat(38))).checked_round(-1), Err(NumericError::Overflow));
}

#[test]
fn products_and_quotients() {
    for (a, b, scale, product) in [
        ("1.5", "1.5", 1, "2.2"),
        ("-1.5", "0.5", 1, "-0.8"),
        ("0.1", "0.1", 37, &format!("0.01{}", "0".repeat(35))),
        (
            &format!("{}.", "9".repeat(19)),
            &format!("{}.", "9".repeat(19)),
            0,
            "99999999999999999980000000000000000001.",
        ),
    ] {
        assert_eq!(n(a).checked_mul(n(b), scale).unwrap().to_string(), product);
    }
    assert_eq!(n("1.0").checked_div(n("3."), 5).unwrap().to_string(), "0.33333");
    assert_eq!(n("2.").checked_div(n("-3."), 37).unwrap().to_string(), format!("-0.{}7", "6".repeat(36)));
    assert_eq!(n("1.").checked_div(n("0."), 2), Err(NumericError::DivisionByZero));
    assert_eq!(n(&format!("{}.", "9".repeat(38))).checked_mul(n("10."), 0), Err(NumericError::Overflow));
    assert_eq!(n("5.").checked_mul(n("5."), 37), Err(NumericError::Overflow));
}

#[test]
fn casts_and_whole_numbers() {
    assert_eq!(n("1.50").checked_cast(1).unwrap(), n("1.5"));
    assert_eq!(n("1.55").checked_cast(1), Err(NumericError::Inexact));
    assert_eq!(n("1.").checked_cast(37).unwrap().scale(), 37);
    assert_eq!(n("10.").checked_cast(37), Err(NumericError::Overflow));
    assert_eq!(n("-2.99").to_i64(), Ok(-2));
    assert_eq!(n("9223372036854775808.0").to_i64(), Err(NumericError::Overflow));
    assert_eq!(Numeric::from_i64(i64::MIN, 0).unwrap().to_i64(), Ok(i64::MIN));
    assert_eq!(n("1.23").checked_shift(1).unwrap().to_string(), "12.3");
}

proptest! {
    #[test]
    fn small_arithmetic_agrees_with_i128(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000) {
        let (x, y) = (Numeric::new(a.into(), 3).unwrap(), Numeric::new(b.into(), 3).unwrap());
        prop_assert_eq!(x.checked_add(y).unwrap().unscaled(), i128::from(a + b));
        prop_assert_eq!(x.checked_sub(y).unwrap().unscaled(), i128::from(a - b));
        prop_assert_eq!(x.checked_mul(y, 6).unwrap().unscaled(), i128::from(a) * i128::from(b));
        if b != 0 {
            let q = x.checked_div(y, 0).unwrap().unscaled();
            let error = 2 * (i128::from(a) - q * i128::from(b)).abs();
            prop_assert!(error <= i128::from(b).abs(), "{} / {} = {}", a, b, q);
        }
    }

    #[test]
    fn division_undoes_multiplication(a in -10_i128.pow(18)..10_i128.pow(18), b in 1..10_i128.pow(18)) {
        let (x, y) = (Numeric::new(a, 9).unwrap(), Numeric::new(b, 9).unwrap());
        let product = x.checked_mul(y, 18).unwrap();
        prop_assert_eq!(product.checked_div(y, 9).unwrap(), x);
    }

    #[test]
    fn text_round_trips(unscaled in -10_i128.pow(38) + 1..10_i128.pow(38), scale in 0_u8..=37) {
        let number = Numeric::new(unscaled, scale).unwrap();
        prop_assert_eq!(Numeric::parse_literal(&number.to_string()), Some(number));
        prop_assert_eq!(number.unscaled(), unscaled);
    }
}
