//! What an unquoted scalar is, and how docker compose prints it.
//!
//! The rules are those of yaml.v3, the library that docker compose reads with: the core schema of YAML 1.2, with
//! octal numbers as in `0777` and without `yes` and `no`. A number is printed as Go prints it: `0x10` becomes `16`,
//! `1.50` becomes `1.5`.

use super::node::{Kind, Scalar, Value};

/// From this exponent on a float is printed with it.
const EXPONENT_MAX: i32 = 6;
/// Below this exponent a float is printed with it.
const EXPONENT_MIN: i32 = -4;

/// The value of an unquoted scalar.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return scalar("true", Kind::Bool),
        "false" | "False" | "FALSE" => return scalar("false", Kind::Bool),
        ".nan" | ".NaN" | ".NAN" => return scalar("NaN", Kind::Float),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return scalar("+Inf", Kind::Float),
        "-.inf" | "-.Inf" | "-.INF" => return scalar("-Inf", Kind::Float),
        _ => {}
    }
    number(text).unwrap_or_else(|| scalar(text, Kind::Text))
}

fn scalar(text: impl Into<String>, kind: Kind) -> Value {
    Value::Scalar(Scalar { text: text.into(), kind })
}

fn number(text: &str) -> Option<Value> {
    let first = text.chars().next()?;
    if !(first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return None;
    }
    let plain = if first == '.' { text.to_owned() } else { text.replace('_', "") };
    if let Some(value) = integer(&plain) {
        return Some(scalar(value.to_string(), Kind::Int));
    }
    if !is_float(&plain) {
        return None;
    }
    plain.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| scalar(float(value), Kind::Float))
}

/// An integer in the notations of Go: decimal, `0x`, `0o`, `0b`, and octal behind a zero.
pub fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.as_str(), 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let mantissa_is = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_is && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// A float as Go's `%v` prints it.
pub fn float(value: f64) -> String {
    let shortest = format!("{value:e}");
    let Some((mantissa, exponent)) = shortest.split_once('e') else { return shortest };
    let Ok(exponent) = exponent.parse::<i32>() else { return shortest };
    if (EXPONENT_MIN..EXPONENT_MAX).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str, kind: Option<Kind>) {
        match (resolve(text), kind) {
            (Value::Null, None) => {}
            (Value::Scalar(found), Some(kind)) => {
                assert_eq!((found.text.as_str(), found.kind), (expect, kind), "{text:?}");
            }
            (found, _) => panic!("{text:?} gave {found:?}"),
        }
    }

    #[test]
    fn unquoted() {
        for text in ["", "~", "null", "NULL"] {
            check(text, "", None);
        }
        for text in [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "22:22",
            "1:2:3",
            "0x",
            "1e",
            "-",
            "+",
            ".",
            "1.2.3",
            "08a",
            "2024-01-01",
            "0o9",
        ] {
            check(text, text, Some(Kind::Text));
        }
        for (text, expect) in [
            ("5", "5"),
            ("-5", "-5"),
            ("+5", "5"),
            ("012", "10"),
            ("0777", "511"),
            ("0o17", "15"),
            ("0x10", "16"),
            ("0b11", "3"),
            ("1_000", "1000"),
            ("18446744073709551615", "18446744073709551615"),
            ("0", "0"),
        ] {
            check(text, expect, Some(Kind::Int));
        }
        for (text, expect) in [
            ("5432.0", "5432"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("1.", "1"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("08", "8"),
            ("1e21", "1e+21"),
            ("100000.0", "100000"),
            ("1234567.0", "1.234567e+06"),
            ("0123456789", "1.23456789e+08"),
            ("1e20", "1e+20"),
            ("1e-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("1.5e-7", "1.5e-07"),
            (".inf", "+Inf"),
            ("3.10", "3.1"),
        ] {
            check(text, expect, Some(Kind::Float));
        }
        check("True", "true", Some(Kind::Bool));
        check("FALSE", "false", Some(Kind::Bool));
    }
}
