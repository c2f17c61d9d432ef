import { createContext, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import { ApiFailure, getJson, remove, whenSignedOut } from '../api/http';
import type { Session } from '../api/types';
import { keyId, type KeyPair } from '../sealing/hpke';
import { deleteKeys, loadKey, saveKey } from './keyStore';

export type SessionState =
  | { readonly kind: 'asking' }
  | { readonly kind: 'out'; readonly hasEnded: boolean }
  | { readonly kind: 'unreachable'; readonly error: unknown }
  | { readonly kind: 'in'; readonly session: Session; readonly key: KeyPair | null };

export interface SessionActions {
  readonly signedIn: (session: Session) => Promise<void>;
  readonly signOut: () => Promise<void>;
  readonly unlock: (key: KeyPair) => Promise<void>;
  readonly askAgain: () => void;
}

/** Who is signed in, and the key that opens this person's outputs. A key lives no longer than its session. */
export function useSessionState(): readonly [SessionState, SessionActions] {
  const [state, set] = useState<SessionState>({ kind: 'asking' });

  const ask = useCallback(async () => {
    try {
      const session = await getJson<Session>('/session');
      set({ kind: 'in', session, key: await loadKey(session.keyId) });
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 401) {
        await deleteKeys();
        set(before => ({ kind: 'out', hasEnded: before.kind === 'in' }));
      } else {
        set({ kind: 'unreachable', error });
      }
    }
  }, []);

  useEffect(() => {
    whenSignedOut(() =>
      set(before => {
        void deleteKeys();
        return before.kind === 'in' ? { kind: 'out', hasEnded: true } : before;
      }),
    );
    void ask();
  }, [ask]);

  const actions = useMemo<SessionActions>(
    () => ({
      signedIn: async session => set({ kind: 'in', session, key: await loadKey(session.keyId) }),
      signOut: async () => {
        // The key first: whatever becomes of the request, this browser opens nothing any more.
        await deleteKeys();
        try {
          await remove('/session');
          set({ kind: 'out', hasEnded: false });
        } catch (error) {
          set({ kind: 'unreachable', error });
        }
      },
      unlock: async key => {
        const id = await keyId(key.point);
        await saveKey(id, key);
        set(before => (before.kind === 'in' && before.session.keyId === id ? { ...before, key } : before));
      },
      askAgain: () => void ask(),
    }),
    [ask],
  );
  return [state, actions];
}

export interface SignedIn extends SessionActions {
  readonly session: Session;
  readonly key: KeyPair | null;
}

export const SignedInContext = createContext<SignedIn | null>(null);

export function useSignedIn(): SignedIn {
  const value = useContext(SignedInContext);
  if (value === null) {
    throw new Error('This part is shown to signed-in people only.');
  }
  return value;
}
