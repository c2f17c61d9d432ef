import type { Change } from '../api/types';

/** Changes that arrive while something is being loaded: they go in after it, and by their numbers say which of them it had already. */
export class Early {
  private loads = 0;
  private kept: Change[] = [];

  add(changes: readonly Change[]): void {
    if (this.loads > 0) {
      this.kept.push(...changes);
    }
  }

  /** @returns what was loaded, and what came meanwhile. */
  async during<T>(load: () => Promise<T>): Promise<readonly [T, readonly Change[]]> {
    this.loads++;
    try {
      return [await load(), this.kept];
    } finally {
      this.loads--;
      if (this.loads === 0) {
        // A new list: the caller holds the old one.
        this.kept = [];
      }
    }
  }
}
