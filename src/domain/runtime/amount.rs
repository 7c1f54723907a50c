//! Amounts of memory and of processor time, as people write them.

use std::fmt;

use crate::domain::name::InvalidName;

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

/// Processor time in hundredths of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus(u32);

/// The letters after a number, and the power of two that each stands for.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl Memory {
    /// Below this no program starts.
    pub const MIN: u64 = 4 << 20;
    /// More than any machine has; the arithmetic of others stays safe.
    pub const MAX: u64 = 1 << 50;

    /// Takes bytes, or a number with K, M, G or T behind it (each 1024 times the one before).
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            InvalidName::new("size", text, "write it as 512M or 2G, or in bytes; at least 4M, at most 1024T")
        };
        let bytes = bytes(text).filter(|bytes| (Self::MIN..=Self::MAX).contains(bytes));
        bytes.map(Self).ok_or_else(refused)
    }

    /// As bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.0))
    }
}

/// Bytes from a number, with K, M, G or T behind it or without.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let last = text.chars().last().map(|c| c.to_ascii_uppercase());
    let unit = UNITS.into_iter().find(|(letter, _)| last == Some(*letter));
    let (digits, power) = match unit {
        Some((_, power)) => (text.get(..text.len() - 1).unwrap_or_default(), power),
        None => (text, 0),
    };
    let number = digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    number.and_then(|number| number.checked_mul(1 << power))
}

/// Bytes as people write them, in the largest unit that has no rest.
pub(crate) fn shown(bytes: u64) -> String {
    match UNITS.into_iter().find(|(_, power)| bytes.is_multiple_of(1 << power)) {
        Some((letter, power)) => format!("{}{letter}", bytes >> power),
        None => bytes.to_string(),
    }
}

impl Cpus {
    /// The most that can be asked for, in processors.
    const MAX: u32 = 1024;

    /// Takes a number of processors with at most two decimals: `0.5`, `2`, `1.25`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule =
                "write a number of processors with at most two decimals, such as 0.5 or 2; at most 1024";
            InvalidName::new("number of processors", text, rule)
        };
        let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
            return Err(refused());
        }
        let whole: u32 = whole.parse().ok().filter(|whole| *whole <= Self::MAX).ok_or_else(refused)?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| refused())?;
        let all = whole * 100 + hundredths;
        if (1..=Self::MAX * 100).contains(&all) { Ok(Self(all)) } else { Err(refused()) }
    }

    /// In percent of one processor.
    #[must_use]
    pub fn percent(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match hundredths {
            0 => write!(f, "{whole}"),
            _ => f.write_str(format!("{whole}.{hundredths:02}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn memory() {
        let good = [
            ("512M", "512M"),
            ("512m", "512M"),
            ("1024M", "1G"),
            ("4194304", "4M"),
            ("4194305", "4194305"),
            ("5000K", "5000K"),
            ("1024T", "1024T"),
        ];
        let bad = [
            "",
            "M",
            "3M",
            "0",
            "-1G",
            "+8M",
            "1.5G",
            "8 M",
            "8MB",
            "8MiB",
            "1025T",
            "99999999999999999999T",
            "8M\n",
            "８M",
        ];
        check(Memory::parse, &good, &bad);
    }

    #[test]
    fn processors() {
        let good =
            [("2", "2"), ("0.5", "0.5"), ("1.25", "1.25"), ("0.01", "0.01"), ("2.0", "2"), ("1024", "1024")];
        let bad = ["", ".", ".5", "1.", "0", "0.00", "1.255", "-1", "1e3", "1024.01", "4294967296", "1 "];
        check(Cpus::parse, &good, &bad);
        assert_eq!(Cpus::parse("1.5").unwrap().percent(), 150);
    }
}
