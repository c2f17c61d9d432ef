import { createContext, type ReactNode, useContext, useMemo, useState } from 'react';
import type { LiveState } from './stream';

interface Live {
  readonly state: LiveState;
  readonly setState: (state: LiveState) => void;
}

const Context = createContext<Live>({ state: 'connecting', setState: () => undefined });

/** The page that is shown owns the stream; the frame around it shows how fresh it is. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<LiveState>('connecting');
  return <Context value={useMemo(() => ({ state, setState }), [state])}>{children}</Context>;
}

export const useLive = (): Live => useContext(Context);
