import { count } from './format';

interface Counts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly running?: number;
  /** What of the running ones is done, in units. */
  readonly inWork?: number;
}

/** What of a job is done, runs and failed, in one bar. Reading aids get the numbers. */
export function Progress({ total, completed, failed, running = 0, inWork = 0, size = 'small' }: Counts & { size?: 'small' | 'large' }) {
  const share = (value: number): string => `${total > 0 ? Math.min(100, (value / total) * 100) : 0}%`;
  return (
    <div
      role="progressbar"
      aria-label="Progress"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={completed}
      aria-valuetext={`${count(completed)} of ${count(total)} units completed${failed > 0 ? `, ${count(failed)} failed` : ''}`}
      className={`flex w-full overflow-hidden rounded-full bg-sunken ${size === 'large' ? 'h-2.5' : 'h-1.5'}`}
    >
      <div className="bg-ok-fill transition-[width] duration-500" style={{ width: share(completed) }} />
      <div className="bg-run-fill transition-[width] duration-500" style={{ width: share(inWork) }} />
      <div className="bg-run-fill/35 transition-[width] duration-500" style={{ width: share(Math.max(0, running - inWork)) }} />
      <div className="bg-bad-fill transition-[width] duration-500" style={{ width: share(failed) }} />
    </div>
  );
}
