//! Keys as text that shows when a letter is wrong: Bech32 (BIP 173), for 32 bytes.

use zeroize::Zeroizing;

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECK: usize = 6;

/// `prefix`, a 1, the bytes, and six letters that check it.
pub(super) fn encode(prefix: &str, bytes: &[u8; 32]) -> String {
    let mut fives = Zeroizing::new(Vec::with_capacity(64));
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            fives.push(five(held >> bits));
        }
    }
    fives.push(five(held << (5 - bits)));
    let sum = checksum(prefix, fives.iter().copied().chain([0; CHECK])) ^ 1;
    fives.extend((0..CHECK).map(|index| five(sum >> (5 * (CHECK - 1 - index)))));
    let letters =
        fives.iter().filter_map(|five| LETTERS.get(usize::from(*five))).map(|&letter| char::from(letter));
    let mut text = String::with_capacity(prefix.len() + 1 + fives.len());
    text.push_str(prefix);
    text.push('1');
    text.extend(letters);
    text
}

/// The bytes of such a text in lower case.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let letters = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |letter| LETTERS.iter().position(|&one| one == letter);
    let fives = letters.bytes().map(|letter| value(letter).and_then(|value| u8::try_from(value).ok()));
    let fives = Zeroizing::new(fives.collect::<Option<Vec<u8>>>()?);
    if fives.len() != 52 + CHECK || checksum(prefix, fives.iter().copied()) != 1 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    let mut into = bytes.iter_mut();
    let (mut held, mut bits) = (0_u32, 0);
    for value in fives.iter().take(52) {
        held = (held << 5 | u32::from(*value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *into.next()? = u8::try_from(held >> bits & 0xff).ok()?;
        }
    }
    // What fills the last letter is zeros.
    (held & ((1 << bits) - 1) == 0).then_some(bytes)
}

fn five(value: u32) -> u8 {
    u8::try_from(value & 31).unwrap_or(0)
}

fn checksum(prefix: &str, fives: impl Iterator<Item = u8>) -> u32 {
    let high = prefix.bytes().map(|letter| letter >> 5);
    let low = prefix.bytes().map(|letter| letter & 31);
    high.chain([0]).chain(low).chain(fives).fold(1, |sum, value| {
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        let factors = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let set = factors.iter().enumerate().filter(|(bit, _)| sum >> (25 + bit) & 1 == 1);
        set.fold(next, |next, (_, factor)| next ^ factor)
    })
}
