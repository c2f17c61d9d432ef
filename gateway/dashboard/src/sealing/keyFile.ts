import { type Bytes, concat, fromBase64, fromBase64Url, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { importPair, keyId, type KeyPair } from './hpke';
import { gcmOpen, subtle } from './primitives';

/** Section 6 of docs/formats/sealing.md: a private key on disk, with or without a passphrase. */
export async function openKeyFile(text: string, passphrase: string): Promise<KeyPair> {
  const file = parse(text);
  const point = fromBase64Url(file.publicKey);
  if ((await keyId(point)) !== file.keyId) {
    throw new SealingFailure('InvalidKeyFile', 'The key file names another key than it holds.');
  }
  return importPair(await privateKeyOf(file, passphrase), point);
}

async function privateKeyOf(file: KeyFile, passphrase: string): Promise<Bytes> {
  if (file.pkcs8 !== undefined) {
    return fromBase64(file.pkcs8);
  }
  const { kdf, iterations, salt, nonce, ciphertext } = file;
  if (kdf !== 'PBKDF2-HMAC-SHA256' || iterations === undefined || iterations < 100_000 || iterations > 10_000_000 || !salt || !nonce || !ciphertext) {
    throw new SealingFailure('InvalidKeyFile', 'The key file is protected in a way that this page does not read.');
  }
  const base = await subtle().importKey('raw', utf8(passphrase), 'PBKDF2', false, ['deriveKey']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-256', salt: fromBase64(salt), iterations };
  const key = await subtle().deriveKey(parameters, base, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
  const zero = Uint8Array.of(0);
  try {
    return await gcmOpen(key, fromBase64(nonce), fromBase64(ciphertext), concat(utf8('rendertrust/keyfile/v1'), zero, utf8(file.purpose), zero, utf8(file.publicKey)));
  } catch {
    throw new SealingFailure('WrongPassphrase', 'The passphrase does not open this key file.');
  }
}

interface KeyFile {
  readonly format: string;
  readonly version: number;
  readonly purpose: string;
  readonly keyId: string;
  readonly publicKey: string;
  readonly pkcs8?: string;
  readonly kdf?: string;
  readonly iterations?: number;
  readonly salt?: string;
  readonly nonce?: string;
  readonly ciphertext?: string;
}

function parse(text: string): KeyFile {
  let file: Partial<KeyFile> | null;
  try {
    file = JSON.parse(text) as Partial<KeyFile> | null;
  } catch {
    file = null;
  }
  if (file?.format !== 'rendertrust-key' || file.version !== 1 || file.purpose !== 'encryption' || typeof file.keyId !== 'string' || typeof file.publicKey !== 'string') {
    throw new SealingFailure('InvalidKeyFile', 'This is no RenderTrust encryption key file.');
  }
  return file as KeyFile;
}
