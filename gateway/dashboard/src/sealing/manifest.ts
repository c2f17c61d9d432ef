import { type Bytes, fromBase64, toHex, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { hmac } from './primitives';

/** What this page needs of a manifest: it checks outputs, so it reads the key for that and makes sure of the job. */
export interface JobManifest {
  readonly jobId: string;
  readonly module: string;
  readonly unitCount: number;
  readonly outputHashKey: Bytes;
}

const MEMBERS = [
  'formatVersion',
  'jobId',
  'module',
  'parameters',
  'units',
  'assets',
  'outputRecipients',
  'outputHashKey',
  'maxUnitDeviceSeconds',
  'capMicrocredits',
].sort();

/** Section 4 of docs/formats/sealing.md. */
export function readManifest(content: Bytes): JobManifest {
  const refuse = (why: string): SealingFailure => new SealingFailure('InvalidManifest', `The job's manifest ${why}.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content));
  } catch {
    throw refuse('is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Object.keys(parsed).sort().join() !== MEMBERS.join()) {
    throw refuse('has not exactly the members of version 1');
  }
  const { formatVersion, jobId, module, units, outputHashKey } = parsed as Record<string, unknown>;
  if (formatVersion !== 1 || typeof jobId !== 'string' || typeof module !== 'string' || !Array.isArray(units) || typeof outputHashKey !== 'string') {
    throw refuse('has members of the wrong type');
  }
  const key = fromBase64(outputHashKey);
  if (key.length !== 32) {
    throw refuse(`has an output hash key of ${key.length} bytes, not 32`);
  }
  return { jobId, module, unitCount: units.length, outputHashKey: key };
}

/** Section 5: what a node reported of a file, if the file is what it made. */
export const outputHash = async (key: Bytes, path: string, content: Bytes): Promise<string> =>
  toHex(await hmac(key, utf8('rendertrust/output/v1'), Uint8Array.of(0), utf8(path), Uint8Array.of(0), content));
