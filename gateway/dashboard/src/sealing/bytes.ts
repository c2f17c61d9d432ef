/** Bytes over a buffer of their own: what WebCrypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export const utf8 = (text: string): Bytes => encoder.encode(text);

export function concat(...parts: readonly Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const toHex = (bytes: Bytes): string => Array.from(bytes, value => value.toString(16).padStart(2, '0')).join('');

export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) {
    throw new Error(`'${text.slice(0, 40)}' is not lower-case hex.`);
  }
  return Uint8Array.from(text.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}

/** 16 bytes in network order. */
export const fromUuid = (text: string): Bytes => fromHex(text.replaceAll('-', ''));

export const toBase64 = (bytes: Bytes): string => btoa(String.fromCharCode(...bytes));

export const fromBase64 = (text: string): Bytes => Uint8Array.from(atob(text), char => char.charCodeAt(0));

export const toBase64Url = (bytes: Bytes): string => toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

/** Without padding; one key has one name, so spare bits must be zero. */
export function fromBase64Url(text: string): Bytes {
  const bytes = /^[A-Za-z0-9_-]*$/.test(text) ? fromBase64(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (text.length % 4)) % 4)) : null;
  if (bytes === null || toBase64Url(bytes) !== text) {
    throw new Error('This is not base64url without padding.');
  }
  return bytes;
}

export function equal(a: Bytes, b: Bytes): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) {
    difference |= a[i]! ^ (b[i] ?? 0);
  }
  return difference === 0;
}

export function compare(a: Bytes, b: Bytes): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i] !== b[i]) {
      return a[i]! - b[i]!;
    }
  }
  return a.length - b.length;
}
