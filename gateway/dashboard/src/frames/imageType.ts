import type { Bytes } from '../sealing/bytes';

const MAGICS: readonly (readonly [string, number, string])[] = [
  ['image/png', 0, '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/gif', 0, 'GIF8'],
  ['image/webp', 8, 'WEBP'],
  ['image/avif', 4, 'ftypavif'],
];

/** By content and not by name: a name is the module's word, and nothing but pictures is ever shown. */
export function imageTypeOf(content: Bytes): string | null {
  const found = MAGICS.find(([, at, magic]) => content.length >= at + magic.length && [...magic].every((char, i) => content[at + i] === char.charCodeAt(0)));
  return found?.[0] ?? null;
}
