import { useEffect, useMemo } from 'react';
import { ApiFailure } from '../api/http';
import { Frames } from '../frames/Frames';
import { OutputOpener } from '../frames/openOutput';
import { ago, count, duration, exact } from '../parts/format';
import { moveFocus, useKeys } from '../parts/keys';
import { Failure, Skeleton } from '../parts/Panels';
import { Progress } from '../parts/Progress';
import { href, navigate, onLinkClick, useQuery } from '../parts/router';
import { Status } from '../parts/Status';
import { useNow, useTitle } from '../parts/hooks';
import { useSignedIn } from '../session/useSession';
import { Locked } from './job/Locked';
import { Latency, Money, RunningNow } from './job/Side';
import { Units } from './job/Units';
import { UnitPanel } from './job/UnitPanel';
import { useJob } from './job/useJob';
import { NotFoundPage } from './NotFoundPage';

export function JobPage({ jobId }: { jobId: string }) {
  const { key } = useSignedIn();
  const { job, running, error, listen, retry } = useJob(jobId);
  const [tab, setTab] = useQuery('tab');
  const [unit, setUnit] = useQuery('unit');
  const isUnits = tab === 'units';
  useTitle(job === null ? 'Job' : `${job.module}, ${job.unitsCompleted} of ${job.unitCount}`);
  useKeys({
    '1': () => setTab(''),
    '2': () => setTab('units'),
    j: () => moveFocus(isUnits ? '[data-unit]' : '[data-frame]', 1),
    k: () => moveFocus(isUnits ? '[data-unit]' : '[data-frame]', -1),
    Escape: () => (unit !== '' ? setUnit('') : navigate('/jobs')),
    r: retry,
  });
  const opener = useMemo(() => (key === null ? null : new OutputOpener(jobId, key)), [jobId, key]);
  useEffect(() => () => opener?.close(), [opener]);

  if (error !== null && job === null) {
    return error instanceof ApiFailure && (error.status === 404 || error.status === 400) ? <NotFoundPage what="job" /> : <Failure isWholePage error={error} onRetry={retry} />;
  }
  if (job === null) {
    return <Skeleton rows={5} label="Loading the job" />;
  }
  const inWork = [...running.values()].reduce((sum, one) => sum + (one.attempt?.progress ?? 0), 0);
  return (
    <>
      <nav aria-label="Where" className="mb-2 text-[13px] text-muted">
        <a href={href('/jobs')} onClick={onLinkClick} className="underline decoration-line-strong underline-offset-2 hover:text-ink">
          Jobs
        </a>{' '}
        / <span className="font-mono">{jobId}</span>
      </nav>
      <Head job={job} running={running.size} inWork={inWork} />
      <div className="mt-5 grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <section>
          <div role="tablist" aria-label="What of the job" className="mb-4 flex gap-1 border-b border-line">
            <TabButton id="frames" isOn={!isUnits} onClick={() => setTab('')} name="Frames" hint="1" />
            <TabButton id="units" isOn={isUnits} onClick={() => setTab('units')} name="Units" hint="2" />
          </div>
          <div role="tabpanel" aria-labelledby={isUnits ? 'tab-units' : 'tab-frames'}>
            {isUnits ? (
              <Units jobId={jobId} unitCount={job.unitCount} listen={listen} onOpen={index => setUnit(String(index), 'push')} opened={unit} />
            ) : (
              <>
                {key === null && <Locked />}
                <Frames jobId={jobId} unitCount={job.unitCount} isOver={job.endedAt !== undefined} opener={opener} listen={listen} />
              </>
            )}
          </div>
        </section>
        <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-1">
          <RunningNow running={running} isEnded={job.endedAt !== undefined} onOpen={index => setUnit(String(index), 'push')} />
          <Money money={job.money} price={job.priceMicrocredits} />
          <Latency timings={job.timings} />
        </div>
      </div>
      {unit !== '' && <UnitPanel key={unit} jobId={jobId} unitIndex={unit} opener={opener} listen={listen} onClose={() => setUnit('')} />}
    </>
  );
}

function Head({ job, running, inWork }: { job: NonNullable<ReturnType<typeof useJob>['job']>; running: number; inWork: number }) {
  const now = useNow();
  const ended = job.endedAt === undefined ? now : Date.parse(job.endedAt);
  const waiting = Math.max(0, job.unitCount - job.unitsCompleted - job.unitsFailed - running);
  const isOver = job.endedAt !== undefined;
  return (
    <header className="card p-4 sm:p-5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h1 className="text-lg font-semibold">{job.module}</h1>
        <Status status={job.status} />
        <span className="ml-auto text-[13px] text-muted">
          {isOver ? (
            <>
              <span title={exact(job.submittedAt)}>submitted {ago(job.submittedAt, now)}</span> · took {duration(ended - Date.parse(job.submittedAt))}
            </>
          ) : (
            <>
              <span title={`Submitted ${exact(job.submittedAt)}`}>since {duration(now - Date.parse(job.submittedAt))}</span>
              {job.deadlineAt !== undefined && <span title={exact(job.deadlineAt)}> · deadline in {duration(Date.parse(job.deadlineAt) - now)}</span>}
            </>
          )}
        </span>
      </div>
      <div className="mt-3.5">
        <Progress size="large" total={job.unitCount} completed={job.unitsCompleted} failed={job.unitsFailed} running={running} inWork={inWork} />
      </div>
      <dl className="mt-3 flex flex-wrap gap-x-7 gap-y-1 text-[13px]">
        <Figure name="Completed" value={`${count(job.unitsCompleted)} of ${count(job.unitCount)}`} dot="bg-ok-fill" />
        <Figure name="Running" value={count(running)} dot="bg-run-fill" />
        <Figure name={isOver ? 'Not run' : 'Waiting'} value={count(waiting)} dot="bg-line-strong" />
        <Figure name="Failed" value={count(job.unitsFailed)} dot="bg-bad-fill" />
      </dl>
      {job.reason !== undefined && job.status !== 'completed' && job.status !== 'running' && (
        <p className={`mt-3 rounded-md px-3 py-2 text-[13px] ${job.status === 'failed' ? 'bg-bad-soft text-bad' : 'bg-sunken text-ink'}`} role={job.status === 'failed' ? 'alert' : undefined}>
          {job.reason}
          {job.status === 'failed' && (
            <>
              {' What was completed stays, and only that was charged. '}
              <a href={href(`/jobs/${job.jobId}?tab=units`)} onClick={onLinkClick} className="font-medium underline underline-offset-2">
                See what happened to each unit
              </a>
              {'; submit again once the cause is mended.'}
            </>
          )}
        </p>
      )}
    </header>
  );
}

const Figure = ({ name, value, dot }: { name: string; value: string; dot: string }) => (
  <div className="flex items-center gap-2">
    <dt className="flex items-center gap-2 text-muted">
      <span className={`size-2 rounded-full ${dot}`} aria-hidden="true" />
      {name}
    </dt>
    <dd className="font-medium" data-figure={name}>
      {value}
    </dd>
  </div>
);

const TabButton = ({ id, isOn, onClick, name, hint }: { id: string; isOn: boolean; onClick: () => void; name: string; hint: string }) => (
  <button
    type="button"
    role="tab"
    id={`tab-${id}`}
    aria-selected={isOn}
    onClick={onClick}
    className={`-mb-px border-b-2 px-3 py-2 font-medium ${isOn ? 'border-accent text-ink' : 'border-transparent text-muted hover:text-ink'}`}
  >
    {name} <kbd className="ml-1 hidden rounded border border-line px-1 font-mono text-[11px] font-normal text-muted sm:inline">{hint}</kbd>
  </button>
);
