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
    let kind = if date(text).is_some() { Kind::Date } else { Kind::Text };
    number(text).unwrap_or_else(|| scalar(text, kind))
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

/// A date or a time as YAML knows them, in the words of a Go program: `2024-01-01 00:00:00 +0000 UTC`.
pub fn date(text: &str) -> Option<String> {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, Some((text.get(at..at + 1)?, text.get(at + 1..)?))),
        None => (text, None),
    };
    let is_year = |year: &str| year.len() == 4 && year.chars().all(|c| c.is_ascii_digit());
    let (year, rest) = day.split_once('-').filter(|(year, _)| is_year(year))?;
    let (month, day) = rest.split_once('-')?;
    let [month, day] = [month, day].map(|part| two_digits(part, 99));
    let day = jiff::civil::Date::new(year.parse().ok()?, month?, day?).ok()?;
    let Some((between, time)) = time else { return Some(format!("{day} 00:00:00 +0000 UTC")) };
    let (time, zone) = match time.find(['Z', '+', '-']) {
        Some(at) if between != " " => time.split_at_checked(at)?,
        None if between == " " => (time, "Z"),
        Some(_) | None => return None,
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':');
    let mut part = |most| parts.next().and_then(|part| two_digits(part, most));
    let (hour, minute, second) = (part(23)?, part(59)?, part(59)?);
    let fits = parts.next().is_none() && fraction.len() <= 9 && fraction.chars().all(|c| c.is_ascii_digit());
    let zone = zone_name(zone).filter(|_| fits)?;
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{day} {hour:02}:{minute:02}:{second:02}{point}{fraction} {zone}"))
}

/// One digit or two, no more than so many.
fn two_digits(text: &str, most: i8) -> Option<i8> {
    let is_number = matches!(text.len(), 1 | 2) && text.chars().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number <= most)
}

/// `Z` or `+02:00`.
fn zone_name(zone: &str) -> Option<String> {
    if matches!(zone, "Z" | "+00:00" | "-00:00") {
        return Some("+0000 UTC".to_owned());
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':').filter(|_| offset.len() == 5)?;
    two_digits(hours, 23).zip(two_digits(minutes, 59))?;
    let offset = format!("{sign}{hours}{minutes}");
    Some(format!("{offset} {offset}"))
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
            "yes", "no", "on", "off", "y", "22:22", "1:2:3", "0x", "1e", "-", "+", ".", "1.2.3", "08a", "0o9",
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
        check("2024-01-01", "2024-01-01", Some(Kind::Date));
    }

    #[test]
    fn dates() {
        for (text, expect) in [
            ("2024-01-02", "2024-01-02 00:00:00 +0000 UTC"),
            ("2024-1-2", "2024-01-02 00:00:00 +0000 UTC"),
            ("2024-01-02 3:04:05", "2024-01-02 03:04:05 +0000 UTC"),
            ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05 +0000 UTC"),
            ("2024-01-02t03:04:05.1200Z", "2024-01-02 03:04:05.12 +0000 UTC"),
            ("2024-01-02T03:04:05+05:30", "2024-01-02 03:04:05 +0530 +0530"),
        ] {
            assert_eq!(date(text).as_deref(), Some(expect), "{text:?}");
        }
        for text in [
            "2024-13-01",
            "2024-02-30",
            "24-01-01",
            "+024-01-01",
            "2024-01",
            "2024-01-01-x",
            "2024-01-01T03:04:05",
            "2024-01-01 03:04",
            "2024-01-01 24:00:00",
            "2024-01-01 03:04:05 +01:00",
            "2024-01-01T03:04:05+1:00",
            "2024-1-2é",
        ] {
            assert_eq!(date(text), None, "{text:?}");
        }
    }
}
