import { type Bytes, concat, fromUuid, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { importPair, type KeyPair, keyIdBytes, openHpke, POINT_BYTES } from './hpke';
import { expand, extract, hmac } from './primitives';

/** Section 7 of docs/formats/sealing.md: how a browser comes by its creator's key. */
const derive = async (secret: Bytes, what: 'code' | 'proof'): Promise<Bytes> =>
  expand(await extract(new Uint8Array(), secret), utf8(`rendertrust/sign-in/v1/${what}`), 32);

/** Shown to the platform. */
export const signInCode = (secret: Bytes): Promise<Bytes> => derive(secret, 'code');

/** Proves to the device that the key is this browser's. */
export const signInProof = async (secret: Bytes, point: Bytes): Promise<Bytes> => hmac(await derive(secret, 'proof'), point);

export async function openHandedOver(browser: KeyPair, handedOver: Bytes, signInId: string): Promise<KeyPair> {
  if (handedOver.length <= 2 * POINT_BYTES) {
    throw new SealingFailure('InvalidKey', 'The handed-over key is too short.');
  }
  const info = concat(utf8('rendertrust/key-hand-over/v1'), Uint8Array.of(0), fromUuid(signInId), await keyIdBytes(browser.point));
  const plain = await openHpke(browser, handedOver.slice(0, POINT_BYTES), handedOver.slice(POINT_BYTES), info);
  try {
    return await importPair(plain.slice(POINT_BYTES), plain.slice(0, POINT_BYTES));
  } finally {
    plain.fill(0);
  }
}
