import { useCallback, useSyncExternalStore } from 'react';

const BASE = '/dashboard';
const CHANGED = 'rendertrust:navigated';

/** The address is the only state that pages share: reload, back and a sent link all show the same. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const subscribe = (listener: () => void): (() => void) => {
  addEventListener('popstate', listener);
  addEventListener(CHANGED, listener);
  return () => {
    removeEventListener('popstate', listener);
    removeEventListener(CHANGED, listener);
  };
};

export function usePlace(): Place {
  const address = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const [path = '', query = ''] = address.split('?', 2);
  return { path: path.startsWith(BASE) ? path.slice(BASE.length) || '/' : '/', query: new URLSearchParams(query) };
}

export const href = (path: string): string => BASE + path;

export function navigate(path: string, how: 'push' | 'replace' = 'push'): void {
  if (location.pathname + location.search === href(path)) {
    return;
  }
  how === 'push' ? history.pushState(null, '', href(path)) : history.replaceState(null, '', href(path));
  dispatchEvent(new Event(CHANGED));
}

/** One value of the query, and how to change it; an empty one is left out. */
export function useQuery(name: string): readonly [string, (value: string, how?: 'push' | 'replace') => void] {
  const { query } = usePlace();
  const set = useCallback(
    (value: string, how: 'push' | 'replace' = 'replace') => {
      const next = new URLSearchParams(location.search);
      value === '' ? next.delete(name) : next.set(name, value);
      navigate(location.pathname.slice(BASE.length) + (next.size > 0 ? `?${next}` : ''), how);
    },
    [name],
  );
  return [query.get(name) ?? '', set];
}

/** For links inside the dashboard: plain clicks stay on the page, all others are the browser's. */
export function onLinkClick(event: React.MouseEvent<HTMLAnchorElement>): void {
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const target = event.currentTarget.getAttribute('href');
  if (isPlain && !event.defaultPrevented && target?.startsWith(BASE)) {
    event.preventDefault();
    navigate(target.slice(BASE.length));
  }
}
