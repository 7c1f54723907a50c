//! One-time passwords by the time (RFC 6238): HMAC-SHA-1, six digits, thirty seconds.

use ring::hmac;

use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// The bytes of a secret, as RFC 4226 recommends.
pub(in crate::auth) const SECRET_LEN: usize = 20;
/// How long a code is shown, in milliseconds.
const STEP_MILLIS: i64 = 30_000;
/// How many steps a clock may be wrong, in either direction.
const SKEW: i64 = 1;
const DIGITS: u32 = 6;

/// The step whose code this is, now or nearly; none: it is wrong.
pub(in crate::auth) fn step_of(secret: &Secret, code: &str, now: Timestamp) -> Option<i64> {
    let step = now.0.div_euclid(STEP_MILLIS);
    let mut found = None;
    // All of them, so that it takes the same time whichever is right.
    for candidate in step - SKEW..=step + SKEW {
        let right = format!("{:06}", code_at(secret, candidate, DIGITS));
        if bool::from(subtle::ConstantTimeEq::ct_eq(right.as_bytes(), code.as_bytes())) {
            found = Some(candidate);
        }
    }
    found
}

/// The code of this moment.
#[cfg(test)]
pub(in crate::auth) fn code(secret: &Secret, now: Timestamp) -> String {
    format!("{:06}", code_at(secret, now.0.div_euclid(STEP_MILLIS), DIGITS))
}

/// RFC 4226, section 5.3.
fn code_at(secret: &Secret, step: i64, digits: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.reveal());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let word = tag.iter().skip(offset).take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    (word & 0x7fff_ffff) % 10_u32.pow(digits)
}

/// What an authenticator reads, as a link or a picture of it.
pub(in crate::auth) fn url(secret: &Secret, issuer: &str, login: &str) -> String {
    let issuer = percent(issuer);
    format!(
        "otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        percent(login),
        base32(secret.reveal())
    )
}

/// RFC 4648, without padding.
pub(in crate::auth) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    let mut put = |index: u32| {
        let letter = usize::try_from(index & 31).ok().and_then(|index| ALPHABET.get(index));
        text.push(letter.map_or('A', |letter| char::from(*letter)));
    };
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(buffer >> bits);
        }
    }
    if bits > 0 {
        put(buffer << (5 - bits));
    }
    text
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from("12345678901234567890")
    }

    #[test]
    fn the_vectors_of_rfc_6238_and_4226() {
        for (seconds, expect) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(code_at(&secret(), seconds / 30, 8), expect, "{seconds}");
        }
        let expect =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (step, expect) in (0..).zip(expect) {
            assert_eq!(code_at(&secret(), step, 6), expect, "{step}");
        }
    }

    #[test]
    fn a_clock_may_be_wrong_by_one_step() {
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let shown = code(&secret(), at(3_000));
        for (now, expect) in
            [(2_969, None), (2_970, Some(100)), (3_000, Some(100)), (3_059, Some(100)), (3_060, None)]
        {
            assert_eq!(step_of(&secret(), &shown, at(now)), expect, "{now}");
        }
        for bad in ["", "1", "0000000", &format!("{shown} ")] {
            assert_eq!(step_of(&secret(), bad, at(3_000)), None, "{bad:?}");
        }
    }

    #[test]
    fn what_an_authenticator_reads() {
        for (bytes, expect) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), expect);
        }
        assert_eq!(
            url(&secret(), "rivetr on box", "ada@example.org"),
            "otpauth://totp/rivetr%20on%20box:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=rivetr%20on%20box&algorithm=SHA1&digits=6&period=30"
        );
    }
}
