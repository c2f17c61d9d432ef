import { expect, test } from 'vitest';
import { ago, bytes, credits, dollars, duration } from './format';

test.each([
  [0, '0'],
  [316, '0.0003'],
  [328_000, '0.3280'],
  [5_760_000, '5.7600'],
  [12_345_678, '12.35'],
  [1_234_000_000, '1,234.00'],
  [12_340_000_000, '12,340'],
])('%d micro-credits are %s credits', (micro, text) => expect(credits(micro)).toBe(text));

test.each([
  [0, '$0.00'],
  [316, '$0.00'],
  [50_000, '$0.005'],
  [12_000_000, '$1.20'],
])('%d micro-credits are %s', (micro, text) => expect(dollars(micro)).toBe(text));

test.each([
  [40, '0.0 s'],
  [1500, '1.5 s'],
  [59_400, '59 s'],
  [61_000, '1 m 1 s'],
  [3_661_000, '1 h 1 m'],
  [90_000_000, '1 d 1 h'],
])('%d ms are %s', (value, text) => expect(duration(value)).toBe(text));

test.each([
  [1_000, 'just now'],
  [42_000, '42 s ago'],
  [61_000, '1 m ago'],
  [7_300_000, '2 h ago'],
  [200_000_000, '2 d ago'],
])('%d ms back is %s', (back, text) => expect(ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:00Z') + back)).toBe(text));

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1536, '1.5 KiB'],
  [3 * 2 ** 30, '3 GiB'],
])('%d bytes are %s', (value, text) => expect(bytes(value)).toBe(text));
