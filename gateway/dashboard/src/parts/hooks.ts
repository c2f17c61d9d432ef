import { useEffect, useState } from 'react';

/** The time, again every so often, for ages that count up. */
export function useNow(everyMs = 1000): number {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === '' ? 'RenderTrust' : `${title} · RenderTrust`;
  }, [title]);
}
