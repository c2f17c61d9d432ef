import { useEffect, useState } from 'react';
import type { UnitOutput } from '../api/types';
import type { OpenedOutput, OutputOpener } from './openOutput';

export type OutputState = { readonly kind: 'opening' } | { readonly kind: 'opened'; readonly output: OpenedOutput } | { readonly kind: 'failed'; readonly error: Error };

const OPENING: OutputState = { kind: 'opening' };

export function useOutput(opener: OutputOpener | null, output: UnitOutput | undefined): OutputState {
  const [state, set] = useState<OutputState>(OPENING);
  useEffect(() => {
    if (opener === null || output === undefined) {
      return undefined;
    }
    let isShown = true;
    set(OPENING);
    opener.open(output).then(
      opened => isShown && set({ kind: 'opened', output: opened }),
      (error: unknown) => isShown && set({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) }),
    );
    return () => {
      isShown = false;
    };
  }, [opener, output]);
  return state;
}
