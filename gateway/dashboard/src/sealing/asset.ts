import { type Bytes, compare, concat, equal, fromUuid, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { hasDuplicates, isUnsafePath } from './paths';
import { expand, extract, gcmKey, gcmOpen, sha256 } from './primitives';

/** Section 1 of docs/formats/sealing.md. */
const MAGIC = utf8('RTSEAL1\n');
const HEADER_BYTES = 96;
const CHUNK_BYTES = 65_536;
const TAG_BYTES = 16;
const PREFACE_BYTES = 16;
const MAX_INDEX_BYTES = 16 * 1_048_576;
const MAX_FILES = 65_536;
const ZERO = Uint8Array.of(0);

export interface OpenedFile {
  readonly path: string;
  readonly content: Bytes;
}

/** What the reader is ready to take; checked on the preface and the index, before any content. */
export interface AssetLimits {
  readonly maxFiles: number;
  readonly maxTotalBytes: number;
}

export async function openAsset(setKey: Bytes, assetId: string, container: Bytes, limits: AssetLimits): Promise<OpenedFile[]> {
  const reader = new Reader(container);
  const keys = await readHeader(reader, setKey, fromUuid(assetId));
  const preface = await openSegment(reader, keys, 'preface', '', PREFACE_BYTES);
  const view = new DataView(preface.buffer, preface.byteOffset);
  const [indexBytes, fileCount, totalBytes] = [view.getUint32(0), view.getUint32(4), Number(view.getBigUint64(8))];
  if (indexBytes > MAX_INDEX_BYTES || fileCount > Math.min(MAX_FILES, limits.maxFiles) || totalBytes > limits.maxTotalBytes) {
    throw new SealingFailure('LimitExceeded', `The asset announces ${fileCount} files of ${totalBytes} bytes; ${limits.maxFiles} of ${limits.maxTotalBytes} are taken.`);
  }
  const entries = readIndex(await openSegment(reader, keys, 'index', '', indexBytes), fileCount, totalBytes);
  const files: OpenedFile[] = [];
  for (const { path, size } of entries) {
    files.push({ path, content: await openSegment(reader, keys, 'file', path, size) });
  }
  if (!reader.isAtEnd) {
    throw new SealingFailure('TrailingData', 'The container goes on after its last file.');
  }
  return files;
}

async function readHeader(reader: Reader, setKey: Bytes, assetId: Bytes): Promise<Keys> {
  const start = reader.peek(MAGIC.length);
  if (!equal(start, MAGIC.slice(0, start.length))) {
    throw new SealingFailure('NotSealed', 'These bytes are not a sealed asset.');
  }
  const header = reader.take(HEADER_BYTES);
  if (header[8] !== 1 || header[9] !== 1 || header.slice(10, 16).some(value => value !== 0)) {
    throw new SealingFailure('UnsupportedVersion', 'The asset is sealed in a version that this page does not read.');
  }
  if (!equal(header.slice(16, 32), assetId)) {
    throw new SealingFailure('WrongAsset', 'The container holds another asset than the one asked for.');
  }
  const keys = new Keys(await extract(header.slice(32, 64), setKey), assetId);
  if (!equal(header.slice(64, 96), await keys.commitment())) {
    throw new SealingFailure('WrongKey', 'The set key is not the one that sealed this asset.');
  }
  return keys;
}

async function openSegment(reader: Reader, keys: Keys, kind: 'preface' | 'index' | 'file', path: string, size: number): Promise<Bytes> {
  const { key, associatedData } = await keys.segment(kind, path);
  const count = Math.max(1, Math.ceil(size / CHUNK_BYTES));
  const content = new Uint8Array(size);
  for (let i = 0; i < count; i++) {
    const sealedBytes = reader.take(Math.min(CHUNK_BYTES, size - i * CHUNK_BYTES) + TAG_BYTES);
    try {
      content.set(await gcmOpen(key, nonceOf(i, i === count - 1), sealedBytes, associatedData), i * CHUNK_BYTES);
    } catch {
      throw new SealingFailure('Corrupted', `Chunk ${i} of ${kind === 'file' ? `'${path}'` : `the ${kind}`} was changed.`);
    }
  }
  return content;
}

/** Section 1.3: an 11-byte counter and the flag of the last chunk. */
export function nonceOf(counter: number, isLast: boolean): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(counter));
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function readIndex(index: Bytes, fileCount: number, totalBytes: number): { path: string; size: number }[] {
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const entries: { path: string; size: number; raw: Bytes }[] = [];
  for (let at = 0; at < index.length; ) {
    const length = at + 2 <= index.length ? view.getUint16(at) : -1;
    if (length < 0 || at + 2 + length + 8 > index.length) {
      throw malformed('its last entry is cut off');
    }
    const raw = index.slice(at + 2, at + 2 + length);
    entries.push({ path: decodePath(decoder, raw), raw, size: Number(view.getBigUint64(at + 2 + length)) });
    at += 2 + length + 8;
  }
  if (entries.length !== fileCount || entries.length === 0 || entries.reduce((sum, entry) => sum + entry.size, 0) !== totalBytes) {
    throw malformed('its entries are not what the preface says');
  }
  if (entries.some((entry, i) => i > 0 && compare(entries[i - 1]!.raw, entry.raw) >= 0)) {
    throw malformed('its paths do not ascend');
  }
  const unsafe = entries.find(entry => isUnsafePath(entry.path));
  if (unsafe !== undefined) {
    throw new SealingFailure('UnsafePath', 'A path in the asset could leave its folder.');
  }
  if (hasDuplicates(entries.map(entry => entry.path))) {
    throw new SealingFailure('DuplicatePath', 'Two paths in the asset are the same on some systems.');
  }
  return entries;
}

function decodePath(decoder: TextDecoder, raw: Bytes): string {
  try {
    return decoder.decode(raw);
  } catch {
    throw new SealingFailure('UnsafePath', 'A path in the asset is not UTF-8.');
  }
}

const malformed = (why: string): SealingFailure => new SealingFailure('MalformedIndex', `The asset's index breaks the format: ${why}.`);

/** Section 1.2: keys of one sealing. */
export class Keys {
  constructor(
    private readonly pseudoRandomKey: Bytes,
    private readonly assetId: Bytes,
  ) {}

  commitment(): Promise<Bytes> {
    return expand(this.pseudoRandomKey, concat(utf8('rendertrust/asset/v1/commit'), ZERO, this.assetId), 32);
  }

  async segment(kind: string, path: string, usage: 'decrypt' | 'encrypt' = 'decrypt'): Promise<{ key: CryptoKey; associatedData: Bytes }> {
    const pathId = await sha256(utf8(`rendertrust/asset/v1/${kind}`), ZERO, utf8(path));
    const key = await expand(this.pseudoRandomKey, concat(utf8('rendertrust/asset/v1/key'), ZERO, this.assetId, pathId), 32);
    return { key: await gcmKey(key, usage), associatedData: concat(MAGIC, Uint8Array.of(1, 1), this.assetId, pathId) };
  }
}

class Reader {
  private at = 0;

  constructor(private readonly bytes: Bytes) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  peek(length: number): Bytes {
    return this.bytes.slice(this.at, this.at + length);
  }

  take(length: number): Bytes {
    if (this.at + length > this.bytes.length) {
      throw new SealingFailure('Truncated', 'The container ends before it should.');
    }
    return this.bytes.slice(this.at, (this.at += length));
  }
}
