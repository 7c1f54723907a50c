//! Amounts with units, as Go programs read them: bytes, times, numbers, truth values.

use std::time::Duration;

/// `true`, `yes`, `on`, `1` and their opposites.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// `512`, `512m`, `1.5gb`, `64 KiB`, `1Gi`: in bytes, each unit 1024 times the one below.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1;
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix(['b', 'i'])).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
    let scale: u64 = 1 << shift;
    to_integer(number * to_float(scale))
}

#[expect(clippy::cast_precision_loss, reason = "a power of two below 2^53 has a float of its own")]
fn to_float(scale: u64) -> f64 {
    scale as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is looked at before")]
fn to_integer(number: f64) -> Option<u64> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    (0.0..TOO_LARGE).contains(&number).then_some(number as u64)
}

/// `1m30s`, `1.5h`, `500ms`, `2d`, `1w`, `0`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters =
            after.find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        let amount = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(unit)?,
            Err(_) => to_integer(number.parse::<f64>().ok()? * to_float(unit))?,
        };
        nanoseconds = nanoseconds.checked_add(amount)?;
        rest = after.trim_start();
    }
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("1b", Some(1)),
            ("64k", Some(65_536)),
            ("64K", Some(65_536)),
            ("1kb", Some(1024)),
            ("512m", Some(536_870_912)),
            ("512M", Some(536_870_912)),
            ("512MB", Some(536_870_912)),
            ("1g", Some(1 << 30)),
            ("1.5gb", Some(1_610_612_736)),
            ("1 GiB", Some(1 << 30)),
            ("0.5g", Some(1 << 29)),
            ("2t", Some(2 << 40)),
            ("1gi", Some(1 << 30)),
            ("512Mi", Some(1 << 29)),
            ("1gib2", None),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1.2.3g", None),
            ("99999999999999p", None),
        ] {
            assert_eq!(bytes(text), expect, "{text:?}");
        }
    }

    #[test]
    fn times() {
        for (text, expect) in [
            ("90s", Some(90_000)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("2d", Some(172_800_000)),
            ("1h5m30s20ms", Some(3_930_020)),
            ("90", None),
            ("", None),
            ("s", None),
            ("1x", None),
            ("-1s", None),
            ("1..5s", None),
        ] {
            assert_eq!(duration(text), expect.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn truths() {
        for text in ["true", "True", "yes", "ON", "1", "y"] {
            assert_eq!(boolean(text), Some(true), "{text:?}");
        }
        for text in ["false", "No", "off", "0"] {
            assert_eq!(boolean(text), Some(false), "{text:?}");
        }
        assert_eq!(boolean(""), None);
        assert_eq!(boolean("maybe"), None);
    }
}
