import { ApiFailure, getBytes, getJson } from '../api/http';
import type { ManifestGrants, UnitOutput } from '../api/types';
import { openAsset } from '../sealing/asset';
import { type Bytes, fromBase64, toHex } from '../sealing/bytes';
import { openGrant } from '../sealing/grant';
import { keyId, type KeyPair } from '../sealing/hpke';
import { type JobManifest, outputHash, readManifest } from '../sealing/manifest';
import { sha256 } from '../sealing/primitives';
import { imageTypeOf } from './imageType';

/** A page holds an output in memory whole; larger ones are for the command line. */
const MAX_OUTPUT_BYTES = 256 * 1_048_576;
const MAX_MANIFEST_BYTES = 16 * 1_048_576;
const MAX_AT_ONCE = 4;
const MAX_KEPT = 200;

/** An output that was opened and is proven to be what its node made. */
export interface OpenedOutput {
  readonly name: string;
  /** An address within this page only. */
  readonly url: string;
  readonly sizeBytes: number;
  /** Of an image that browsers show; null: something else, to be downloaded. */
  readonly imageType: string | null;
}

/** Opens one job's outputs with the creator's key. Order: fetch, hash of the ciphertext, grant, seal, keyed hash of the content. */
export class OutputOpener {
  private readonly kept = new Map<string, Promise<OpenedOutput>>();
  private readonly waiting: (() => void)[] = [];
  private manifest: Promise<{ manifest: JobManifest; sha256: string }> | null = null;
  private active = 0;

  constructor(
    private readonly jobId: string,
    private readonly key: KeyPair,
  ) {}

  open(output: UnitOutput): Promise<OpenedOutput> {
    // By everything that is checked: two units that name one blob must not answer for each other.
    const id = `${output.blobSha256}/${output.assetId}/${output.keyedHash}`;
    const known = this.kept.get(id);
    if (known !== undefined) {
      return known;
    }
    const opening = this.inTurn(() => this.openNow(output));
    this.kept.set(id, opening);
    // What failed may be tried again; what is oldest makes room.
    opening.catch(() => this.kept.delete(id));
    for (const [oldest, opened] of this.kept) {
      if (this.kept.size <= MAX_KEPT) {
        break;
      }
      this.kept.delete(oldest);
      void opened.then(({ url }) => URL.revokeObjectURL(url)).catch(() => undefined);
    }
    return opening;
  }

  close(): void {
    for (const opened of this.kept.values()) {
      void opened.then(({ url }) => URL.revokeObjectURL(url)).catch(() => undefined);
    }
    this.kept.clear();
  }

  private async openNow(output: UnitOutput): Promise<OpenedOutput> {
    if (output.sizeBytes > MAX_OUTPUT_BYTES) {
      throw new Error(`This output has ${output.sizeBytes} bytes, more than a page opens. Use: rendertrust fetch ${this.jobId}`);
    }
    this.manifest ??= this.readManifest();
    const { manifest, sha256: manifestSha256 } = await this.manifest.catch((error: unknown) => {
      this.manifest = null;
      throw error;
    });
    const id = await keyId(this.key.point);
    const grant = output.grants.find(candidate => candidate.recipientKeyId === id);
    if (grant === undefined) {
      throw new Error('This output was not sealed for your key. The job named other recipients.');
    }
    const container = await fetchSealed(output.blobSha256, output.sizeBytes);
    const context = { jobId: this.jobId, manifestSha256, assetId: output.assetId };
    const setKey = await openGrant(this.key, fromBase64(grant.encapsulatedKey), fromBase64(grant.wrappedKey), context);
    const [file] = await openAsset(setKey, output.assetId, container, { maxFiles: 1, maxTotalBytes: output.sizeBytes });
    if ((await outputHash(manifest.outputHashKey, file!.path, file!.content)) !== output.keyedHash) {
      throw new Error('This output is not what its node reported: somebody put another one in its place. Nothing of it is shown.');
    }
    const imageType = imageTypeOf(file!.content);
    const blob = new Blob([file!.content], { type: imageType ?? 'application/octet-stream' });
    return { name: file!.path, url: URL.createObjectURL(blob), sizeBytes: file!.content.length, imageType };
  }

  /** The sealed manifest holds the key that outputs are checked with; nobody but the creator and the nodes can make it up. */
  private async readManifest(): Promise<{ manifest: JobManifest; sha256: string }> {
    const { manifest: reference, grants } = await getJson<ManifestGrants>(`/v1/jobs/${this.jobId}/grants/${await keyId(this.key.point)}`);
    const grant = grants[0];
    if (grant === undefined) {
      throw new Error(`The program that submitted this job did not seal its manifest for your key, so outputs cannot be checked here. Use: rendertrust fetch ${this.jobId}`);
    }
    const container = await fetchSealed(reference.blobSha256, MAX_MANIFEST_BYTES);
    const context = { jobId: this.jobId, manifestSha256: reference.blobSha256, assetId: reference.assetId };
    const setKey = await openGrant(this.key, fromBase64(grant.encapsulatedKey), fromBase64(grant.wrappedKey), context);
    const [file] = await openAsset(setKey, reference.assetId, container, { maxFiles: 1, maxTotalBytes: MAX_MANIFEST_BYTES });
    const manifest = readManifest(file!.content);
    if (file!.path !== 'manifest.json' || manifest.jobId !== this.jobId) {
      throw new Error('The platform gave the manifest of another job. Nothing is shown.');
    }
    return { manifest, sha256: reference.blobSha256 };
  }

  private async inTurn<T>(act: () => Promise<T>): Promise<T> {
    if (this.active >= MAX_AT_ONCE) {
      await new Promise<void>(resolve => this.waiting.push(resolve));
    }
    this.active++;
    try {
      return await act();
    } finally {
      this.active--;
      this.waiting.shift()?.();
    }
  }
}

async function fetchSealed(hash: string, mostBytes: number): Promise<Bytes> {
  let container: Bytes;
  try {
    container = await getBytes(`/v1/blobs/${hash}`);
  } catch (error) {
    throw error instanceof ApiFailure && error.status === 404 ? new Error('The platform does not have this output any more.') : error;
  }
  if (container.length > mostBytes || toHex(await sha256(container)) !== hash) {
    throw new Error('What the platform sent is not the sealed output that its node reported: it was changed on the way. Nothing of it is shown.');
  }
  return container;
}
