import { Keys, nonceOf, openAsset } from './asset';
import { type Bytes, compare, concat, fromHex, fromUuid, toBase64Url, toHex, utf8 } from './bytes';
import { SealingFailure } from './errors';
import { grantInfo, openGrant } from './grant';
import { openHandedOver, signInCode, signInProof } from './handOver';
import { importPair, keyId, type KeyPair } from './hpke';
import { openKeyFile } from './keyFile';
import { outputHash, readManifest } from './manifest';
import { isUnsafePath } from './paths';
import { extract, sha256, subtle } from './primitives';

/** The files of docs/formats/vectors by their names; their form is written down there. */
export type Vectors = Record<string, any>;

export interface VectorResult {
  readonly name: string;
  /** Absent when the vector agrees. */
  readonly failure?: string;
}

/** Runs every vector through this page's own code: by the unit tests under Node, and by the browser tests inside Chromium. */
export async function checkVectors(vectors: Vectors): Promise<VectorResult[]> {
  const results: VectorResult[] = [];
  const check = async (name: string, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
      results.push({ name });
    } catch (error) {
      results.push({ name, failure: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
    }
  };
  await checkAssets(vectors['asset.json'], check);
  await check('paths', async () => {
    const { accepted, refused } = vectors['paths.json'] as { accepted: string[]; refused: string[] };
    same(accepted.filter(isUnsafePath), []);
    same(
      refused.filter(path => !isUnsafePath(path)),
      [],
    );
  });
  await checkKeys(vectors, check);
  return results;
}

type Check = (name: string, run: () => Promise<void>) => Promise<void>;

const LIMITS = { maxFiles: 100, maxTotalBytes: 10_000_000 };

async function checkAssets(asset: Vectors, check: Check): Promise<void> {
  const setKey = fromHex(asset.setKey);
  const salt = fromHex(asset.salt);
  for (const sample of asset.cases) {
    await check(`asset: ${sample.name}`, async () => {
      const files = sample.files.map((file: { path: string; content: string }) => ({ path: file.path, content: fromHex(file.content) }));
      same(await openAsset(setKey, asset.assetId, fromHex(sample.container), LIMITS), files);
      same(toHex(await seal(setKey, asset.assetId, salt, files)), sample.container);
    });
  }
  await check('asset: several chunks', async () => {
    const content = Uint8Array.from({ length: asset.big.length }, (_, i) => ((i * 31) >> 3) & 255);
    const container = await seal(setKey, asset.assetId, salt, [{ path: asset.big.path, content }]);
    same(container.length, asset.big.containerLength);
    same(toHex(await sha256(container)), asset.big.containerSha256);
    const [opened] = await openAsset(setKey, asset.assetId, container, LIMITS);
    same(opened?.path, asset.big.path);
    same(compare(opened!.content, content), 0);
    await refused('LimitExceeded', () => openAsset(setKey, asset.assetId, container, { maxFiles: 1, maxTotalBytes: 1000 }));
  });
  for (const sample of asset.refused) {
    await check(`asset refused: ${sample.name}`, () => refused(sample.error, () => openAsset(setKey, asset.assetId, fromHex(sample.container), LIMITS)));
  }
}

async function checkKeys(vectors: Vectors, check: Check): Promise<void> {
  const { 'grant.json': grant, 'manifest.json': manifest, 'key-file.json': keyFile, 'hand-over.json': handOver } = vectors as Record<string, Vectors>;
  await check('grant', async () => {
    const recipient = await pairOf(grant!.recipientPrivateScalar, grant!.recipientPoint);
    same(await keyId(recipient.point), grant!.recipientKeyId);
    same(toBase64Url(recipient.point), grant!.recipientEncoded);
    same(toHex(await grantInfo(grant as never, recipient.point)), grant!.info);
    same(toHex(await openGrant(recipient, fromHex(grant!.encapsulatedKey), fromHex(grant!.wrappedKey), grant as never)), grant!.setKey);
    const otherJob = { ...grant, jobId: grant!.assetId };
    await refused('GrantRefused', () => openGrant(recipient, fromHex(grant!.encapsulatedKey), fromHex(grant!.wrappedKey), otherJob as never));
  });
  await check('manifest', async () => {
    const read = readManifest(utf8(manifest!.utf8));
    same([read.jobId, read.module, read.unitCount, read.outputHashKey.length], [grant!.jobId, 'povray@1.0.0', 2, 32]);
    await refused('InvalidManifest', async () => readManifest(utf8(`${manifest!.utf8.slice(0, -1)},"more":1}`)));
    for (const sample of manifest!.outputHashes) {
      same(await outputHash(fromHex(sample.key), sample.path, fromHex(sample.content)), sample.hash);
    }
  });
  await check('key file', async () => {
    const opened = await openKeyFile(JSON.stringify(keyFile!.file), keyFile!.passphrase);
    same(await keyId(opened.point), keyFile!.file.keyId);
    await refused('WrongPassphrase', () => openKeyFile(JSON.stringify(keyFile!.file), 'wrong'));
    same(opened.privateKey.extractable, false);
  });
  await check('key hand-over', async () => {
    const browser = await pairOf(handOver!.browserPrivateScalar, handOver!.browserPoint);
    same(toHex(await signInCode(fromHex(handOver!.secret))), handOver!.code);
    same(toHex(await signInProof(fromHex(handOver!.secret), browser.point)), handOver!.proof);
    const creator = await openHandedOver(browser, fromHex(handOver!.handedOver), handOver!.signInId);
    same(toHex(creator.point), handOver!.creatorPoint);
    same(creator.privateKey.extractable, false);
    await refused('GrantRefused', () => openHandedOver(browser, fromHex(handOver!.handedOver), grant!.jobId));
  });
}

/** PKCS#8 around a bare scalar and its point, as libraries write it (RFC 5958, RFC 5915). */
const pairOf = (scalar: string, point: string): Promise<KeyPair> =>
  importPair(
    fromHex(`308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420${scalar}a144034200${point}`),
    fromHex(point),
  );

async function seal(setKey: Bytes, assetId: string, salt: Bytes, files: readonly { path: string; content: Bytes }[]): Promise<Bytes> {
  const keys = new Keys(await extract(salt, setKey), fromUuid(assetId));
  const segment = async (kind: string, path: string, content: Bytes): Promise<Bytes> => {
    const { key, associatedData } = await keys.segment(kind, path, 'encrypt');
    const count = Math.max(1, Math.ceil(content.length / 65_536));
    const chunks: Bytes[] = [];
    for (let i = 0; i < count; i++) {
      const parameters = { name: 'AES-GCM', iv: nonceOf(i, i === count - 1), additionalData: associatedData, tagLength: 128 };
      chunks.push(new Uint8Array(await subtle().encrypt(parameters, key, content.slice(i * 65_536, (i + 1) * 65_536))));
    }
    return concat(...chunks);
  };
  const big = (value: number, bytes: number): Bytes => fromHex(value.toString(16).padStart(bytes * 2, '0'));
  const index = concat(...files.map(file => concat(big(utf8(file.path).length, 2), utf8(file.path), big(file.content.length, 8))));
  const total = files.reduce((sum, file) => sum + file.content.length, 0);
  const preface = concat(big(index.length, 4), big(files.length, 4), big(total, 8));
  const sealedFiles: Bytes[] = [];
  for (const file of files) {
    sealedFiles.push(await segment('file', file.path, file.content));
  }
  return concat(
    utf8('RTSEAL1\n'),
    Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0),
    fromUuid(assetId),
    salt,
    await keys.commitment(),
    await segment('preface', '', preface),
    await segment('index', '', index),
    ...sealedFiles,
  );
}

function same(actual: unknown, expected: unknown): void {
  const plain = (value: unknown): string => JSON.stringify(value, (_, inner: unknown) => (inner instanceof Uint8Array ? toHex(inner as Bytes) : inner));
  if (plain(actual) !== plain(expected)) {
    throw new Error(`expected ${plain(expected)?.slice(0, 200)}, got ${plain(actual)?.slice(0, 200)}`);
  }
}

async function refused(error: string, run: () => Promise<unknown>): Promise<void> {
  let seen: unknown = 'nothing was refused';
  try {
    await run();
  } catch (failure) {
    seen = failure instanceof SealingFailure ? failure.error : failure;
  }
  if (seen !== error) {
    throw new Error(`expected ${error}, got ${String(seen)}`);
  }
}
