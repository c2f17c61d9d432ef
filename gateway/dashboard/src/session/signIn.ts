import { getJson, postJson } from '../api/http';
import type { Session } from '../api/types';
import { fromBase64, fromBase64Url, toBase64Url } from '../sealing/bytes';
import { openHandedOver, signInCode, signInProof } from '../sealing/handOver';
import { generatePair, keyId, type KeyPair } from '../sealing/hpke';
import { saveKey } from './keyStore';

const SECRET_CHARS = 43;
const PAUSE_MS = 400;

export type SignInStep = 'redeeming' | 'waiting' | 'done';

/** The secret of a link is the part of the address that browsers send to nobody. */
export const secretOf = (hash: string): string | null => (hash.length === SECRET_CHARS + 1 ? hash.slice(1) : null);

/**
 * Signs in with a link's secret and takes the creator's key over. The key pair that it is sealed for lives in this function only, so the link and everything
 * that the platform carried are worth nothing afterwards.
 */
export async function signIn(secretText: string, onStep: (step: SignInStep) => void): Promise<Session> {
  onStep('redeeming');
  const secret = fromBase64Url(secretText);
  const pair = await generatePair();
  const { signInId } = await postJson<{ signInId: string }>('/session', {
    code: toBase64Url(await signInCode(secret)),
    browserKey: toBase64Url(pair.point),
    proof: toBase64Url(await signInProof(secret, pair.point)),
    browserName: browserName(),
  });
  onStep('waiting');
  const session = await getJson<Session>('/session');
  const key = await takeKey(pair, signInId);
  if ((await keyId(key.point)) !== session.keyId) {
    throw new Error('The key that was handed over is not the one that this account opens its outputs with. Make a new link with: rendertrust dashboard');
  }
  await saveKey(session.keyId, key);
  onStep('done');
  return session;
}

async function takeKey(pair: KeyPair, signInId: string): Promise<KeyPair> {
  for (;;) {
    const answer = await getJson<{ handedOver?: string; open: boolean }>('/session/key');
    if (answer.handedOver !== undefined) {
      return openHandedOver(pair, fromBase64(answer.handedOver), signInId);
    }
    if (!answer.open) {
      throw new Error('You are signed in, but the command that made the link has not handed over the key. Keep it running until it says so: rendertrust dashboard');
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
  }
}

/** Enough to know one's browsers apart in a list. */
function browserName(): string {
  const agent = navigator.userAgent;
  const brand = [
    ['Edg/', 'Edge'],
    ['OPR/', 'Opera'],
    ['Firefox/', 'Firefox'],
    ['Chrome/', 'Chromium'],
    ['Safari/', 'Safari'],
  ].find(([mark]) => agent.includes(mark!));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'CrOS', 'Linux'].find(name => agent.includes(name));
  return `${brand?.[1] ?? 'A browser'} on ${system ?? 'an unknown system'}`;
}
