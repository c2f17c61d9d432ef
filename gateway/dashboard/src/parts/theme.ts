import { useCallback, useState } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const STORED = 'rendertrust-theme';
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

const stored = (): Theme => {
  const value = localStorage.getItem(STORED);
  return value === 'light' || value === 'dark' ? value : 'system';
};

export function applyTheme(theme: Theme = stored()): void {
  theme === 'system' ? document.documentElement.removeAttribute('data-theme') : document.documentElement.setAttribute('data-theme', theme);
}

/** The theme follows the system until the person chooses one. */
export function useTheme(): readonly [Theme, () => void] {
  const [theme, set] = useState(stored);
  const toggle = useCallback(() => {
    set(before => {
      const next = NEXT[before];
      next === 'system' ? localStorage.removeItem(STORED) : localStorage.setItem(STORED, next);
      applyTheme(next);
      return next;
    });
  }, []);
  return [theme, toggle];
}
