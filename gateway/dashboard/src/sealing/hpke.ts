import { type Bytes, concat, toBase64Url, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { expand, extract, gcmKey, gcmOpen, sha256, subtle } from './primitives';

/** A key pair whose private half cannot leave the browser; the point is needed beside it, since WebCrypto does not give it back. */
export interface KeyPair {
  readonly privateKey: CryptoKey;
  /** 65 bytes, SEC1 uncompressed. */
  readonly point: Bytes;
}

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;
const NONE: Bytes = new Uint8Array();
const KEM = concat(utf8('KEM'), Uint8Array.of(0x00, 0x10));
const SUITE = concat(utf8('HPKE'), Uint8Array.of(0x00, 0x10, 0x00, 0x01, 0x00, 0x02));

export const POINT_BYTES = 65;

/** base64url of the first 16 bytes of SHA-256 of the point. */
export const keyIdBytes = async (point: Bytes): Promise<Bytes> => (await sha256(point)).slice(0, 16);

export const keyId = async (point: Bytes): Promise<string> => toBase64Url(await keyIdBytes(point));

export async function generatePair(): Promise<KeyPair> {
  const pair = await subtle().generateKey(CURVE, false, ['deriveBits']);
  return { privateKey: pair.privateKey, point: new Uint8Array(await subtle().exportKey('raw', pair.publicKey)) };
}

/** Imports so that the private half can be used and never be read again; checks that the two halves belong together. */
export async function importPair(pkcs8: Bytes, point: Bytes): Promise<KeyPair> {
  try {
    const privateKey = await subtle().importKey('pkcs8', pkcs8, CURVE, false, ['deriveBits']);
    const probe = await subtle().generateKey(CURVE, false, ['deriveBits']);
    const mine = await agree(privateKey, new Uint8Array(await subtle().exportKey('raw', probe.publicKey)));
    const theirs = await agree(probe.privateKey, point);
    if (mine.every((value, i) => value === theirs[i])) {
      return { privateKey, point };
    }
  } catch {
    // Not a key, or not of this curve: said below.
  }
  throw new SealingFailure('InvalidKey', 'This is no private key on P-256 that belongs to its public key.');
}

/** HPKE (RFC 9180) in base mode, one message: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, no associated data. */
export async function openHpke(recipient: KeyPair, encapsulated: Bytes, sealedBytes: Bytes, info: Bytes): Promise<Bytes> {
  try {
    const agreed = await agree(recipient.privateKey, encapsulated);
    const shared = await labeledExpand(KEM, await labeledExtract(KEM, NONE, 'eae_prk', agreed), 'shared_secret', concat(encapsulated, recipient.point), 32);
    const context = concat(Uint8Array.of(0), await labeledExtract(SUITE, NONE, 'psk_id_hash', NONE), await labeledExtract(SUITE, NONE, 'info_hash', info));
    const secret = await labeledExtract(SUITE, shared, 'secret', NONE);
    const key = await gcmKey(await labeledExpand(SUITE, secret, 'key', context, 32));
    return await gcmOpen(key, await labeledExpand(SUITE, secret, 'base_nonce', context, 12), sealedBytes, NONE);
  } catch {
    throw new SealingFailure('GrantRefused', 'What was sealed for this key does not open: it was made for something else, or was changed on the way.');
  }
}

/** Throws for a point that is not on the curve. */
async function agree(privateKey: CryptoKey, point: Bytes): Promise<Bytes> {
  const publicKey = await subtle().importKey('raw', point, CURVE, false, []);
  return new Uint8Array(await subtle().deriveBits({ name: 'ECDH', public: publicKey }, privateKey, 256));
}

const labeledExtract = (suite: Bytes, salt: Bytes, label: string, keyMaterial: Bytes): Promise<Bytes> =>
  extract(salt, concat(utf8('HPKE-v1'), suite, utf8(label), keyMaterial));

const labeledExpand = (suite: Bytes, key: Bytes, label: string, info: Bytes, length: number): Promise<Bytes> =>
  expand(key, concat(Uint8Array.of(length >> 8, length & 255), utf8('HPKE-v1'), suite, utf8(label), info), length);
