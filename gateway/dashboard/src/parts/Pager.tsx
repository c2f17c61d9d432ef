import { count } from './format';
import { Icon } from './icons';

interface PagerProps {
  readonly page: number;
  readonly pages: number;
  readonly what: string;
  readonly from: number;
  readonly to: number;
  readonly total: number;
  readonly onPage: (page: number) => void;
}

export function Pager({ page, pages, what, from, to, total, onPage }: PagerProps) {
  if (pages <= 1) {
    return null;
  }
  return (
    <nav className="mt-4 flex items-center justify-between gap-3 text-[13px] text-muted" aria-label={`Pages of ${what}`}>
      <span>
        {count(from)} to {count(to - 1)} of {count(total)} {what}
      </span>
      <span className="flex items-center gap-1">
        <Turn label="Page before" icon="left" isDisabled={page === 0} onClick={() => onPage(page - 1)} />
        <span className="px-2">
          {count(page + 1)} / {count(pages)}
        </span>
        <Turn label="Next page" icon="right" isDisabled={page === pages - 1} onClick={() => onPage(page + 1)} />
      </span>
    </nav>
  );
}

const Turn = ({ label, icon, isDisabled, onClick }: { label: string; icon: 'left' | 'right'; isDisabled: boolean; onClick: () => void }) => (
  <button type="button" aria-label={label} disabled={isDisabled} onClick={onClick} className="grid size-8 place-items-center rounded-md border border-line-strong bg-surface text-ink hover:bg-sunken disabled:opacity-40">
    <Icon name={icon} />
  </button>
);
