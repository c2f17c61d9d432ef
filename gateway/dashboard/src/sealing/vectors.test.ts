import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkVectors } from './checkVectors';

const folder = new URL('../../../../docs/formats/vectors/', import.meta.url);
const vectors = Object.fromEntries(
  readdirSync(folder)
    .filter(name => name.endsWith('.json'))
    .map(name => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8'))]),
);
const results = await checkVectors(vectors);

test('every file of vectors is one that is checked', () => {
  expect(Object.keys(vectors).sort()).toEqual(['asset.json', 'grant.json', 'hand-over.json', 'key-file.json', 'manifest.json', 'paths.json']);
});

test.each(results)('$name', ({ failure }) => {
  expect(failure).toBeUndefined();
});
