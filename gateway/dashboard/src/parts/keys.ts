import { useEffect, useRef } from 'react';

/** What a key does on the page that is shown. Keys mean nothing while somebody types, holds a modifier, or a dialog is open that has its own. */
export type KeyMap = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function useKeys(map: KeyMap, isInDialog = false): void {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isBlocked = !isInDialog && document.querySelector('dialog[open]') !== null;
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isBlocked) {
        return;
      }
      const act = current.current[event.key];
      if (act !== undefined) {
        event.preventDefault();
        act(event);
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [isInDialog]);
}

/** Moves the focus among the elements of a list, as j and k do. */
export function moveFocus(selector: string, step: 1 | -1): void {
  const items = [...document.querySelectorAll<HTMLElement>(selector)];
  if (items.length === 0) {
    return;
  }
  const at = items.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step));
  items[next]!.focus();
  items[next]!.scrollIntoView({ block: 'nearest' });
}
