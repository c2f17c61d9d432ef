import type { ReactNode } from 'react';
import type { JobMoney, JobSummary, UnitRow } from '../../api/types';
import { credits, dollars, milliseconds } from '../../parts/format';

const Card = ({ title, children }: { title: string; children: ReactNode }) => (
  <section className="card p-4">
    <h2 className="mb-3 text-xs font-semibold uppercase tracking-wide text-muted">{title}</h2>
    {children}
  </section>
);

const MOST_SHOWN = 8;

export function RunningNow({ running, isEnded, onOpen }: { running: ReadonlyMap<number, UnitRow>; isEnded: boolean; onOpen: (unitIndex: number) => void }) {
  const units = [...running.values()].sort((a, b) => a.unitIndex - b.unitIndex);
  return isEnded ? null : (
    <Card title="Running now">
      {units.length === 0 && <p className="text-[13px] text-muted">Nothing at this moment: the job waits for a node with a free slot.</p>}
      <ul className="space-y-2.5">
        {units.slice(0, MOST_SHOWN).map(unit => (
          <li key={unit.unitIndex}>
            <button type="button" onClick={() => onOpen(unit.unitIndex)} className="block w-full rounded text-left hover:bg-sunken">
              <span className="flex justify-between text-[13px]">
                <span className="font-medium">Unit {unit.unitIndex}</span>
                <span className="text-muted">
                  {unit.attempt?.nodeName}
                  {(unit.attempt?.number ?? 1) > 1 && `, attempt ${unit.attempt?.number}`}
                </span>
              </span>
              <span className="mt-1 block h-1 overflow-hidden rounded-full bg-sunken">
                {unit.attempt?.progress === undefined ? (
                  <span className="block h-full animate-pulse bg-run-fill/35" title="It has told no progress yet" />
                ) : (
                  <span className="block h-full bg-run-fill transition-[width] duration-500" style={{ width: `${unit.attempt.progress * 100}%` }} />
                )}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {units.length > MOST_SHOWN && <p className="mt-2 text-xs text-muted">and {units.length - MOST_SHOWN} more</p>}
    </Card>
  );
}

export function Money({ money, price }: { money: JobMoney; price: number }) {
  const shares = [
    ['Nodes', money.nodeEarnedMicrocredits],
    ['Module developer', money.developerEarnedMicrocredits],
    ['Platform', money.platformEarnedMicrocredits],
  ] as const;
  const part = (value: number): string => `${price > 0 ? (value / price) * 100 : 0}%`;
  return (
    <Card title="Cost">
      <div className="mb-3 flex h-2 overflow-hidden rounded-full bg-sunken" aria-hidden="true">
        <div className="bg-accent transition-[width] duration-500" style={{ width: part(money.chargedMicrocredits) }} />
      </div>
      <dl className="space-y-1.5 text-[13px]">
        <Amount name="Held at submission" value={money.heldMicrocredits} />
        <Amount name="Charged" value={money.chargedMicrocredits} isStrong />
        {money.holdClosed ? (
          <Amount name="Released" value={money.releasedMicrocredits} />
        ) : (
          <Amount name="Still reserved" value={Math.max(0, money.heldMicrocredits - money.chargedMicrocredits)} />
        )}
      </dl>
      {money.chargedMicrocredits > 0 && (
        <dl className="mt-3 space-y-1 border-t border-line pt-3 text-xs text-muted">
          {shares.map(([name, value]) => (
            <div key={name} className="flex justify-between">
              <dt>{name}</dt>
              <dd>{credits(value)} cr</dd>
            </div>
          ))}
        </dl>
      )}
    </Card>
  );
}

const Amount = ({ name, value, isStrong = false }: { name: string; value: number; isStrong?: boolean }) => (
  <div className={`flex justify-between ${isStrong ? 'font-semibold' : ''}`}>
    <dt className={isStrong ? '' : 'text-muted'}>{name}</dt>
    <dd data-amount={name} title={dollars(value)}>
      {credits(value)} cr
    </dd>
  </div>
);

const TIMINGS: Record<string, string> = {
  submit: 'Taking the job',
  dispatch: 'Ready to leased',
  return: 'Result to told',
  ledgerHandover: 'Ledger hand-over',
};

export const Latency = ({ timings }: { timings: JobSummary['timings'] }) =>
  timings.length === 0 ? null : (
    <Card title="How fast the platform was">
      <table className="w-full text-[13px]">
        <thead className="text-xs text-muted">
          <tr>
            <th scope="col" className="pb-1 text-left font-normal">
              Step
            </th>
            <th scope="col" className="pb-1 text-right font-normal">
              p50
            </th>
            <th scope="col" className="pb-1 text-right font-normal">
              p95
            </th>
          </tr>
        </thead>
        <tbody>
          {timings.map(timing => (
            <tr key={timing.name} title={`${timing.count} measured, at most ${milliseconds(timing.maxMs)}`}>
              <td className="py-0.5 text-muted">{TIMINGS[timing.name] ?? timing.name}</td>
              <td className="whitespace-nowrap py-0.5 pl-2 text-right">{milliseconds(timing.p50Ms)}</td>
              <td className="whitespace-nowrap py-0.5 pl-2 text-right">{milliseconds(timing.p95Ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
