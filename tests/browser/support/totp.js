// What an authenticator shows (RFC 6238): HMAC-SHA-1, six digits, thirty seconds.
import { createHmac } from 'node:crypto';

const STEP = 30_000;

/** The code of a key in base32, so many steps after now. */
export function totp(key, ahead = 0) {
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(Math.floor(Date.now() / STEP) + ahead));
  const tag = createHmac('sha1', base32(key)).update(counter).digest();
  const offset = tag[19] & 0xf;
  return String((tag.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}

function base32(text) {
  const bits = [...text.replace(/[\s=]/g, '').toUpperCase()]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}
