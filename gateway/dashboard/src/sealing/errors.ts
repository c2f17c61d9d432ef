/** Why sealed data was refused; the names are those of docs/formats/sealing.md. */
export type SealingError =
  | 'NotSealed'
  | 'UnsupportedVersion'
  | 'WrongAsset'
  | 'WrongKey'
  | 'Corrupted'
  | 'Truncated'
  | 'TrailingData'
  | 'MalformedIndex'
  | 'UnsafePath'
  | 'DuplicatePath'
  | 'LimitExceeded'
  | 'GrantRefused'
  | 'InvalidKey'
  | 'InvalidManifest'
  | 'InvalidKeyFile'
  | 'WrongPassphrase';

export class SealingFailure extends Error {
  constructor(
    readonly error: SealingError,
    message: string,
  ) {
    super(message);
    this.name = 'SealingFailure';
  }
}
