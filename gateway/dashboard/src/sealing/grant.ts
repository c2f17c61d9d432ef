import { type Bytes, concat, fromHex, fromUuid, utf8 } from './bytes';
import { type KeyPair, keyIdBytes, openHpke } from './hpke';

/** What a grant is tied to; taken from the reader's own context, never from the grant. */
export interface GrantContext {
  readonly jobId: string;
  /** Lower-case hex of the sealed manifest's SHA-256. */
  readonly manifestSha256: string;
  readonly assetId: string;
}

/** Section 3 of docs/formats/sealing.md. */
export async function grantInfo(context: GrantContext, recipientPoint: Bytes): Promise<Bytes> {
  return concat(
    utf8('rendertrust/grant/v1'),
    Uint8Array.of(0),
    fromUuid(context.jobId),
    fromHex(context.manifestSha256),
    fromUuid(context.assetId),
    await keyIdBytes(recipientPoint),
  );
}

/** @returns the set key, 32 bytes. */
export const openGrant = async (recipient: KeyPair, encapsulatedKey: Bytes, wrappedKey: Bytes, context: GrantContext): Promise<Bytes> =>
  openHpke(recipient, encapsulatedKey, wrappedKey, await grantInfo(context, recipient.point));
