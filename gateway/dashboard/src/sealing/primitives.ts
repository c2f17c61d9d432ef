import { type Bytes, concat } from './bytes';

/** WebCrypto is there on https and on this machine's own address only. */
export const subtle = (): SubtleCrypto => {
  if (globalThis.crypto?.subtle === undefined) {
    throw new Error('This browser offers no cryptography here. Open the dashboard over https, or at http://127.0.0.1 on the machine itself.');
  }
  return globalThis.crypto.subtle;
};

export const sha256 = async (...parts: readonly Bytes[]): Promise<Bytes> => new Uint8Array(await subtle().digest('SHA-256', concat(...parts)));

export async function hmac(key: Bytes, ...parts: readonly Bytes[]): Promise<Bytes> {
  // An empty key means the same as one of zeros, and WebCrypto takes no empty one.
  const raw = key.length === 0 ? new Uint8Array(32) : key;
  const imported = await subtle().importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await subtle().sign('HMAC', imported, concat(...parts)));
}

/** HKDF-Extract of RFC 5869. */
export const extract = (salt: Bytes, keyMaterial: Bytes): Promise<Bytes> => hmac(salt, keyMaterial);

/** HKDF-Expand of RFC 5869. */
export async function expand(key: Bytes, info: Bytes, length: number): Promise<Bytes> {
  let block: Bytes = new Uint8Array();
  let out: Bytes = new Uint8Array();
  for (let i = 1; out.length < length; i++) {
    block = await hmac(key, block, info, Uint8Array.of(i));
    out = concat(out, block);
  }
  return out.slice(0, length);
}

export const gcmKey = (key: Bytes, usage: 'decrypt' | 'encrypt' = 'decrypt'): Promise<CryptoKey> => subtle().importKey('raw', key, 'AES-GCM', false, [usage]);

/** Throws an OperationError when the data does not authenticate. */
export const gcmOpen = async (key: CryptoKey, nonce: Bytes, sealedBytes: Bytes, associatedData: Bytes): Promise<Bytes> =>
  new Uint8Array(await subtle().decrypt({ name: 'AES-GCM', iv: nonce, additionalData: associatedData, tagLength: 128 }, key, sealedBytes));
