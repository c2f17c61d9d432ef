// A second reader of the sealing formats, written from ../sealing.md: it shares no code with libs/Sealing, so agreement on
// the vectors means that the page says enough. Run: node docs/formats/vectors/verify.mjs
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';

const read = name => JSON.parse(fs.readFileSync(new URL(name, import.meta.url), 'utf8'));
const hex = text => Buffer.from(text, 'hex');
const uuid = text => hex(text.replaceAll('-', ''));
const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const hmac = (key, ...parts) => crypto.createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const text = value => Buffer.from(value, 'utf8');
const zero = Buffer.from([0]);

function expand(key, info, length) {
  let block = Buffer.alloc(0);
  let out = Buffer.alloc(0);
  for (let i = 1; out.length < length; i++) {
    block = hmac(key, block, info, Buffer.from([i]));
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}

function gcmOpen(key, nonce, sealed, aad) {
  const cipher = crypto.createDecipheriv('aes-256-gcm', key, nonce).setAAD(aad).setAuthTag(sealed.subarray(-16));
  return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
}

function gcmSeal(key, nonce, plaintext, aad) {
  const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

const fail = error => { throw Object.assign(new Error(error), { sealing: error }); };

function pathProblem(path) {
  const bytes = text(path);
  if (bytes.length < 1 || bytes.length > 1024 || /[\u0000-\u001f\u007f\\:]/.test(path)) return true;
  return path.split('/').some(part => part === '' || /[. ]$/.test(part) || text(part).length > 255);
}

class Keys {
  constructor(setKey, assetId, salt) {
    this.assetId = assetId;
    this.prk = hmac(salt, setKey);
    this.commitment = expand(this.prk, Buffer.concat([text('rendertrust/asset/v1/commit'), zero, assetId]), 32);
  }

  segment(kind, path) {
    const pathId = sha256(text(`rendertrust/asset/v1/${kind}`), zero, text(path));
    return {
      key: expand(this.prk, Buffer.concat([text('rendertrust/asset/v1/key'), zero, this.assetId, pathId]), 32),
      aad: Buffer.concat([text('RTSEAL1\n'), Buffer.from([1, 1]), this.assetId, pathId]),
    };
  }
}

const nonceOf = (counter, last) => {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(counter), 3);
  nonce[11] = last ? 1 : 0;
  return nonce;
};

function openAsset(setKey, assetId, container) {
  let at = 0;
  const take = length => {
    if (at + length > container.length) fail('Truncated');
    return container.subarray(at, at += length);
  };
  if (!text('RTSEAL1\n').subarray(0, container.length).equals(container.subarray(0, 8))) fail('NotSealed');
  const header = take(96);
  if (header[8] !== 1 || header[9] !== 1 || !header.subarray(10, 16).equals(Buffer.alloc(6))) fail('UnsupportedVersion');
  if (!header.subarray(16, 32).equals(assetId)) fail('WrongAsset');
  const keys = new Keys(setKey, assetId, header.subarray(32, 64));
  if (!crypto.timingSafeEqual(keys.commitment, header.subarray(64, 96))) fail('WrongKey');

  const open = (kind, path, size) => {
    const { key, aad } = keys.segment(kind, path);
    const chunks = [];
    const count = Math.max(1, Math.ceil(size / 65536));
    for (let i = 0; i < count; i++) {
      const sealed = take(Math.min(65536, size - i * 65536) + 16);
      try {
        chunks.push(gcmOpen(key, nonceOf(i, i === count - 1), sealed, aad));
      } catch {
        fail('Corrupted');
      }
    }
    return Buffer.concat(chunks);
  };

  const preface = open('preface', '', 16);
  const index = open('index', '', preface.readUInt32BE(0));
  const files = [];
  for (let i = 0; i < index.length;) {
    const length = index.readUInt16BE(i);
    const path = index.toString('utf8', i + 2, i + 2 + length);
    files.push({ path, size: Number(index.readBigUInt64BE(i + 2 + length)) });
    i += 2 + length + 8;
  }
  if (files.length !== preface.readUInt32BE(4)) fail('MalformedIndex');
  if (files.reduce((sum, file) => sum + file.size, 0) !== Number(preface.readBigUInt64BE(8))) fail('MalformedIndex');
  files.forEach((file, i) => {
    if (pathProblem(file.path)) fail('UnsafePath');
    if (i > 0 && Buffer.compare(text(files[i - 1].path), text(file.path)) >= 0) fail('MalformedIndex');
  });
  for (const file of files) file.content = open('file', file.path, file.size);
  if (at !== container.length) fail('TrailingData');
  return files;
}

function sealAsset(setKey, assetId, salt, files) {
  const keys = new Keys(setKey, assetId, salt);
  const seal = (kind, path, content) => {
    const { key, aad } = keys.segment(kind, path);
    const count = Math.max(1, Math.ceil(content.length / 65536));
    return Buffer.concat(Array.from({ length: count }, (_, i) =>
      gcmSeal(key, nonceOf(i, i === count - 1), content.subarray(i * 65536, (i + 1) * 65536), aad)));
  };
  const ordered = [...files].sort((a, b) => Buffer.compare(text(a.path), text(b.path)));
  const index = Buffer.concat(ordered.map(({ path, content }) => {
    const entry = Buffer.alloc(2 + text(path).length + 8);
    entry.writeUInt16BE(text(path).length);
    text(path).copy(entry, 2);
    entry.writeBigUInt64BE(BigInt(content.length), entry.length - 8);
    return entry;
  }));
  const preface = Buffer.alloc(16);
  preface.writeUInt32BE(index.length, 0);
  preface.writeUInt32BE(files.length, 4);
  preface.writeBigUInt64BE(BigInt(files.reduce((sum, file) => sum + file.content.length, 0)), 8);
  return Buffer.concat([
    text('RTSEAL1\n'), Buffer.from([1, 1, 0, 0, 0, 0, 0, 0]), assetId, salt, keys.commitment,
    seal('preface', '', preface), seal('index', '', index), ...ordered.map(file => seal('file', file.path, file.content)),
  ]);
}

function openHpke(privateScalar, enc, sealed, info) {
  const agreement = crypto.createECDH('prime256v1');
  agreement.setPrivateKey(privateScalar);
  const recipient = agreement.getPublicKey();
  const u16 = value => Buffer.from([value >> 8, value & 255]);
  const kem = Buffer.concat([text('KEM'), u16(0x0010)]);
  const hpke = Buffer.concat([text('HPKE'), u16(0x0010), u16(0x0001), u16(0x0002)]);
  const extract = (suite, salt, label, ikm) => hmac(salt, text('HPKE-v1'), suite, text(label), ikm);
  const derive = (suite, prk, label, context, length) =>
    expand(prk, Buffer.concat([u16(length), text('HPKE-v1'), suite, text(label), context]), length);
  const none = Buffer.alloc(0);
  const shared = derive(kem, extract(kem, none, 'eae_prk', agreement.computeSecret(enc)), 'shared_secret', Buffer.concat([enc, recipient]), 32);
  const context = Buffer.concat([zero, extract(hpke, none, 'psk_id_hash', none), extract(hpke, none, 'info_hash', info)]);
  const secret = extract(hpke, shared, 'secret', none);
  return gcmOpen(derive(hpke, secret, 'key', context, 32), derive(hpke, secret, 'base_nonce', context, 12), sealed, none);
}

function publicPoint(privateScalar) {
  const pair = crypto.createECDH('prime256v1');
  pair.setPrivateKey(privateScalar);
  return pair.getPublicKey();
}

function openGrant(grant) {
  const scalar = hex(grant.recipientPrivateScalar);
  const recipient = publicPoint(scalar);
  const keyId = sha256(recipient).subarray(0, 16);
  const info = Buffer.concat([text('rendertrust/grant/v1'), zero, uuid(grant.jobId), hex(grant.manifestSha256), uuid(grant.assetId), keyId]);
  assert.equal(info.toString('hex'), grant.info);
  assert.equal(recipient.toString('base64url'), grant.recipientEncoded);
  assert.equal(keyId.toString('base64url'), grant.recipientKeyId);
  return openHpke(scalar, hex(grant.encapsulatedKey), hex(grant.wrappedKey), info);
}

const asset = read('asset.json');
const [setKey, assetId, salt] = [hex(asset.setKey), uuid(asset.assetId), hex(asset.salt)];
for (const sample of asset.cases) {
  const expected = sample.files.map(file => ({ path: file.path, size: hex(file.content).length, content: hex(file.content) }));
  assert.deepEqual(openAsset(setKey, assetId, hex(sample.container)), expected);
  assert.equal(sealAsset(setKey, assetId, salt, expected).toString('hex'), sample.container);
  assert.equal(sha256(hex(sample.container)).toString('hex'), sample.containerSha256);
}
const big = Buffer.from(Array.from({ length: asset.big.length }, (_, i) => (i * 31 >> 3) & 255));
const bigContainer = sealAsset(setKey, assetId, salt, [{ path: asset.big.path, content: big }]);
assert.equal(bigContainer.length, asset.big.containerLength);
assert.equal(sha256(bigContainer).toString('hex'), asset.big.containerSha256);
for (const sample of asset.refused) {
  assert.throws(() => openAsset(setKey, assetId, hex(sample.container)), { sealing: sample.error }, sample.name);
}

const paths = read('paths.json');
for (const path of paths.accepted) assert.ok(!pathProblem(path), path);
for (const path of paths.refused) assert.ok(pathProblem(path), path);

const grant = read('grant.json');
assert.equal(openGrant(grant).toString('hex'), grant.setKey);

const manifest = read('manifest.json');
assert.equal(JSON.parse(manifest.utf8).formatVersion, 1);
for (const sample of manifest.outputHashes) {
  assert.equal(hmac(hex(sample.key), text('rendertrust/output/v1'), zero, text(sample.path), zero, hex(sample.content)).toString('hex'), sample.hash);
}

const { passphrase, pkcs8, file } = read('key-file.json');
const fileKey = crypto.pbkdf2Sync(passphrase, Buffer.from(file.salt, 'base64'), file.iterations, 32, 'sha256');
const fileAad = Buffer.concat([text('rendertrust/keyfile/v1'), zero, text(file.purpose), zero, text(file.publicKey)]);
assert.equal(gcmOpen(fileKey, Buffer.from(file.nonce, 'base64'), Buffer.from(file.ciphertext, 'base64'), fileAad).toString('hex'), pkcs8);

const handOver = read('hand-over.json');
const browser = publicPoint(hex(handOver.browserPrivateScalar));
const deriveFrom = label => expand(hmac(Buffer.alloc(32), hex(handOver.secret)), text(`rendertrust/sign-in/v1/${label}`), 32);
assert.equal(deriveFrom('code').toString('hex'), handOver.code);
assert.equal(browser.toString('hex'), handOver.browserPoint);
assert.equal(hmac(deriveFrom('proof'), browser).toString('hex'), handOver.proof);
const handOverInfo = Buffer.concat([text('rendertrust/key-hand-over/v1'), zero, uuid(handOver.signInId), sha256(browser).subarray(0, 16)]);
const handed = hex(handOver.handedOver);
const opened = openHpke(hex(handOver.browserPrivateScalar), handed.subarray(0, 65), handed.subarray(65), handOverInfo);
assert.equal(opened.toString('hex'), handOver.creatorPoint + handOver.creatorPkcs8);

console.log('All vectors agree.');
