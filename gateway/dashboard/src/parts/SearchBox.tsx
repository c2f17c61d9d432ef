import type { Ref } from 'react';
import { Icon } from './icons';

export function SearchBox({ ref, value, onChange, label }: { ref: Ref<HTMLInputElement>; value: string; onChange: (value: string) => void; label: string }) {
  return (
    <label className="relative ml-auto flex w-full items-center sm:w-64">
      <span className="sr-only">{label}</span>
      <Icon name="search" className="pointer-events-none absolute left-2.5 text-muted" />
      <input
        ref={ref}
        type="search"
        value={value}
        placeholder="Search"
        onChange={event => onChange(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Escape') {
            onChange('');
            event.currentTarget.blur();
          }
        }}
        className="w-full rounded-md border border-line-strong bg-surface py-1.5 pl-8 pr-8 text-[13px] placeholder:text-muted [&::-webkit-search-cancel-button]:hidden"
      />
      <kbd className="pointer-events-none absolute right-2 rounded border border-line px-1.5 font-mono text-xs text-muted">/</kbd>
    </label>
  );
}
