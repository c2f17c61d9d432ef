import { type ReactNode, useState } from 'react';
import { ApiFailure } from '../api/http';
import { Icon, type IconName } from './icons';

interface PanelProps {
  readonly icon: IconName;
  readonly title: string;
  readonly children?: ReactNode;
  readonly tone?: 'quiet' | 'bad';
  readonly action?: ReactNode;
  /** Whether it is all that the page has to say. */
  readonly isWholePage?: boolean;
}

/** Nothing is there, or something went wrong: each says what to do next. */
export function Panel({ icon, title, children, tone = 'quiet', action, isWholePage = false }: PanelProps) {
  const Heading = isWholePage ? 'h1' : 'h2';
  return (
    <div className="card flex flex-col items-center gap-3 px-6 py-12 text-center" role={tone === 'bad' ? 'alert' : undefined}>
      <span className={`grid size-10 place-items-center rounded-full ${tone === 'bad' ? 'bg-bad-soft text-bad' : 'bg-sunken text-muted'}`}>
        <Icon name={icon} size={20} />
      </span>
      <Heading className="text-base font-semibold">{title}</Heading>
      <div className="max-w-prose text-muted">{children}</div>
      {action}
    </div>
  );
}

export function Failure({ error, onRetry, isWholePage = false }: { error: unknown; onRetry?: () => void; isWholePage?: boolean }) {
  const isMissing = error instanceof ApiFailure && error.status === 404;
  return (
    <Panel
      icon={isMissing ? 'search' : 'warn'}
      tone="bad"
      isWholePage={isWholePage}
      title={isMissing ? 'Not found' : 'This could not be loaded'}
      action={onRetry !== undefined && !isMissing && <Button onClick={onRetry}>Try again</Button>}
    >
      {error instanceof Error ? error.message : String(error)}
    </Panel>
  );
}

export const Button = ({ onClick, children, label, kind = 'plain', disabled = false }: { onClick: () => void; children: ReactNode; label?: string; kind?: 'plain' | 'primary'; disabled?: boolean }) => (
  <button
    type="button"
    onClick={onClick}
    disabled={disabled}
    aria-label={label}
    title={label}
    className={`inline-flex items-center gap-1.5 rounded-md border px-2.5 py-1.5 text-[13px] font-medium disabled:opacity-50 ${
      kind === 'primary' ? 'border-accent bg-accent text-on-accent hover:opacity-90' : 'border-line-strong bg-surface hover:bg-sunken'
    }`}
  >
    {children}
  </button>
);

/** A command to copy. */
export function Command({ children }: { children: string }) {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(children).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <span className="inline-flex items-center gap-2 rounded-md border border-line bg-sunken py-1 pl-3 pr-1 font-mono text-[13px] text-ink">
      <code>{children}</code>
      <button type="button" onClick={copy} aria-label={copied ? 'Copied' : `Copy: ${children}`} title="Copy" className="grid size-7 place-items-center rounded text-muted hover:bg-surface hover:text-ink">
        <Icon name={copied ? 'check' : 'copy'} size={14} />
      </button>
    </span>
  );
}

export const Skeleton = ({ rows, label }: { rows: number; label: string }) => (
  <div className="card divide-y divide-line" role="status" aria-label={label}>
    {Array.from({ length: rows }, (_, i) => (
      <div key={i} className="flex gap-6 px-4 py-3.5">
        <div className="h-4 w-20 animate-pulse rounded bg-sunken" />
        <div className="h-4 flex-1 animate-pulse rounded bg-sunken" />
        <div className="h-4 w-24 animate-pulse rounded bg-sunken" />
      </div>
    ))}
  </div>
);
