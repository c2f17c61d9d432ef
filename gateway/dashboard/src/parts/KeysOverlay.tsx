import { useEffect, useRef } from 'react';
import { Icon } from './icons';

const GROUPS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'Everywhere',
    [
      ['?', 'This overview'],
      ['g', 'Jobs'],
      ['f', 'Fleet'],
      ['t', 'Theme: system, light, dark'],
      ['Esc', 'Close, or back to the list'],
    ],
  ],
  [
    'Lists',
    [
      ['/', 'Search'],
      ['j  k', 'Next row, row before'],
      ['Enter', 'Open the row'],
      ['r', 'Load anew'],
    ],
  ],
  [
    'Job',
    [
      ['1  2', 'Frames, units'],
      ['j  k', 'Next frame or unit, the one before'],
      ['Enter', 'Open it'],
    ],
  ],
  [
    'Frame',
    [
      ['←  →', 'Frame before, next frame'],
      ['z', 'Fit the window, or pixel by pixel'],
      ['Esc', 'Close'],
    ],
  ],
];

export function KeysOverlay({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="keys-title" className="card w-full max-w-2xl p-0 shadow-2xl">
      <div className="flex items-center justify-between border-b border-line px-5 py-3">
        <h2 id="keys-title" className="font-semibold">
          Keyboard
        </h2>
        <button type="button" onClick={() => dialog.current?.close()} aria-label="Close" className="grid size-8 place-items-center rounded-md text-muted hover:bg-sunken">
          <Icon name="cross" />
        </button>
      </div>
      <div className="grid gap-x-8 gap-y-5 p-5 sm:grid-cols-2">
        {GROUPS.map(([group, keys]) => (
          <section key={group}>
            <h3 className="mb-2 text-xs font-semibold uppercase tracking-wide text-muted">{group}</h3>
            <dl className="space-y-1.5">
              {keys.map(([key, does]) => (
                <div key={key} className="flex items-center gap-3">
                  <dt className="flex w-20 shrink-0 gap-1">
                    {key.split('  ').map(one => (
                      <kbd key={one} className="min-w-6 rounded border border-line-strong bg-sunken px-1.5 py-0.5 text-center font-mono text-xs">
                        {one}
                      </kbd>
                    ))}
                  </dt>
                  <dd className="text-[13px]">{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
