import { expect, test } from 'vitest';
import { utf8 } from '../sealing/bytes';
import { imageTypeOf } from './imageType';

const of = (text: string) => Uint8Array.from(text, char => char.charCodeAt(0));

test.each([
  ['image/png', '\x89PNG\r\n\x1a\n....'],
  ['image/jpeg', '\xff\xd8\xff\xe0....'],
  ['image/webp', 'RIFF....WEBPVP8 '],
  ['image/gif', 'GIF89a....'],
])('%s is told by its first bytes', (type, content) => expect(imageTypeOf(of(content))).toBe(type));

test.each(['<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', '<!doctype html><script>alert(1)</script>', '%PDF-1.7', '\x89PN', ''])(
  'what could be more than a picture is none: %s',
  content => expect(imageTypeOf(utf8(content))).toBeNull(),
);
