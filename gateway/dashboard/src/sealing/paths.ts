import { utf8 } from './bytes';

/** Section 1.5: whether a path could leave its folder or mean different files on different systems. */
export function isUnsafePath(path: string): boolean {
  const size = utf8(path).length;
  return (
    size < 1 ||
    size > 1024 ||
    /[\u0000-\u001f\u007f\\:]/.test(path) ||
    path.split('/').some(part => part === '' || /[. ]$/.test(part) || utf8(part).length > 255)
  );
}

/** Section 1.5: equal after mapping A-Z to a-z, or one a folder of the other. */
export function hasDuplicates(paths: readonly string[]): boolean {
  const lower = (path: string): string => path.replace(/[A-Z]/g, char => char.toLowerCase());
  const seen = new Set<string>();
  for (const path of paths.map(lower)) {
    if (seen.has(path)) {
      return true;
    }
    seen.add(path);
  }
  return [...seen].some(path => {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (seen.has(path.slice(0, at))) {
        return true;
      }
    }
    return false;
  });
}
