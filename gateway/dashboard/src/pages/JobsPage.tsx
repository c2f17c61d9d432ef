import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { getJson } from '../api/http';
import type { JobList, JobListItem } from '../api/types';
import { Early } from '../live/early';
import { applyToList } from '../live/jobs';
import { useLive } from '../live/LiveContext';
import { openStream } from '../live/stream';
import { ago, count, credits, dollars, duration, exact, shortId } from '../parts/format';
import { moveFocus, useKeys } from '../parts/keys';
import { Button, Command, Failure, Panel, Skeleton } from '../parts/Panels';
import { Progress } from '../parts/Progress';
import { href, navigate, onLinkClick, useQuery } from '../parts/router';
import { SearchBox } from '../parts/SearchBox';
import { Status } from '../parts/Status';
import { useNow, useTitle } from '../parts/hooks';

const FILTERS = [
  ['', 'All'],
  ['active', 'Active'],
  ['completed', 'Completed'],
  ['failed', 'Failed'],
  ['canceled', 'Canceled'],
] as const;

const isActive = (job: JobListItem): boolean => job.status === 'submitted' || job.status === 'running';

export function JobsPage() {
  useTitle('Jobs');
  const { jobs, error, hasMore, isLoadingMore, loadMore, retry } = useJobs();
  const [search, setSearch] = useQuery('q');
  const [filter, setFilter] = useQuery('status');
  const box = useRef<HTMLInputElement>(null);
  useKeys({
    '/': () => box.current?.focus(),
    j: () => moveFocus('[data-row]', 1),
    k: () => moveFocus('[data-row]', -1),
    r: retry,
  });

  const shown = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return (jobs ?? []).filter(
      job =>
        (filter === '' || (filter === 'active' ? isActive(job) : job.status === filter)) &&
        words.every(word => `${job.jobId} ${job.module} ${job.status} ${job.reason ?? ''}`.toLowerCase().includes(word)),
    );
  }, [jobs, search, filter]);

  if (error !== null && jobs === null) {
    return <Failure isWholePage error={error} onRetry={retry} />;
  }
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">Jobs</h1>
        <div className="flex flex-wrap gap-1" role="group" aria-label="Which jobs">
          {FILTERS.map(([value, name]) => (
            <button
              key={value}
              type="button"
              aria-pressed={filter === value}
              onClick={() => setFilter(value)}
              className={`rounded-full px-2.5 py-1 text-[13px] ${filter === value ? 'bg-accent-soft font-medium text-accent' : 'text-muted hover:bg-sunken'}`}
            >
              {name}
              {value === 'active' && jobs !== null && jobs.some(isActive) && <span className="ml-1.5">{jobs.filter(isActive).length}</span>}
            </button>
          ))}
        </div>
        <SearchBox ref={box} value={search} onChange={setSearch} label="Search jobs by id, module, state or reason" />
      </div>
      {jobs === null ? (
        <Skeleton rows={6} label="Loading jobs" />
      ) : jobs.length === 0 ? (
        <Panel icon="play" title="No jobs yet" action={<Command>./rendertrust submit scene.pov --frames 24</Command>}>
          Submit one from where your scene is. It is sealed before it leaves your machine, and shows up here at once.
        </Panel>
      ) : shown.length === 0 ? (
        <Panel
          icon="search"
          title="No job fits"
          action={
            <Button
              onClick={() => {
                navigate('/jobs', 'replace');
              }}
            >
              Show all
            </Button>
          }
        >
          None of the {count(jobs.length)} jobs loaded {search !== '' && <>has “{search}” in its id, module, state or reason{filter !== '' && ' and '}</>}
          {filter !== '' && <>is {filter}</>}.{hasMore && ' Older ones are not loaded yet.'}
        </Panel>
      ) : (
        <JobTable jobs={shown} />
      )}
      {hasMore && (
        <div className="mt-4 flex justify-center">
          <Button onClick={loadMore} disabled={isLoadingMore}>
            Load older jobs
          </Button>
        </div>
      )}
    </>
  );
}

function JobTable({ jobs }: { jobs: readonly JobListItem[] }) {
  const now = useNow();
  const head = 'px-3 py-2 text-left text-xs font-medium text-muted';
  return (
    <div className="card overflow-hidden">
      <table className="w-full border-collapse">
        <thead className="border-b border-line bg-sunken/60">
          <tr>
            <th scope="col" className={`${head} hidden pl-4 sm:table-cell`}>
              State
            </th>
            <th scope="col" className={`${head} pl-4 sm:pl-3`}>
              Job
            </th>
            <th scope="col" className={`${head} w-[26%]`}>
              Progress
            </th>
            <th scope="col" className={`${head} pr-4 text-right sm:pr-3`}>
              Units
            </th>
            <th scope="col" className={`${head} hidden text-right sm:table-cell`}>
              Failed
            </th>
            <th scope="col" className={`${head} hidden text-right md:table-cell`}>
              Submitted
            </th>
            <th scope="col" className={`${head} hidden text-right lg:table-cell`}>
              Time
            </th>
            <th scope="col" className={`${head} hidden pr-4 text-right sm:table-cell`}>
              Cost
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {jobs.map(job => (
            <JobRow key={job.jobId} job={job} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({ job, now }: { job: JobListItem; now: number }) {
  const cell = 'px-3 py-2.5 align-middle';
  const address = `/jobs/${job.jobId}`;
  return (
    <tr className="relative focus-within:bg-accent-soft/50 hover:bg-sunken/60" data-job={job.jobId} data-status={job.status}>
      <td className={`${cell} hidden pl-4 sm:table-cell`}>
        <Status status={job.status} />
      </td>
      <td className={`${cell} w-[46%] max-w-0 pl-4 sm:w-[30%] sm:pl-3`}>
        <span className="mb-1 block sm:hidden">
          <Status status={job.status} />
        </span>
        {/* The link covers the row, so that all of it can be clicked and is one stop for the keyboard. */}
        <a href={href(address)} onClick={onLinkClick} data-row className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-offset-[-2px]">
          {job.module}
          <span className="ml-2 font-mono text-xs font-normal text-muted">{shortId(job.jobId)}</span>
        </a>
        {job.reason !== undefined && (job.status === 'failed' || job.status === 'submitted') && (
          <span className={`block truncate text-xs ${job.status === 'failed' ? 'text-bad' : 'text-muted'}`} title={job.reason}>
            {job.reason}
          </span>
        )}
      </td>
      <td className={cell}>
        <Progress total={job.unitCount} completed={job.unitsCompleted} failed={job.unitsFailed} />
      </td>
      <td className={`${cell} whitespace-nowrap pr-4 text-right sm:pr-3`}>
        {count(job.unitsCompleted)}
        <span className="text-muted"> / {count(job.unitCount)}</span>
      </td>
      <td className={`${cell} hidden text-right sm:table-cell ${job.unitsFailed > 0 ? 'font-medium text-bad' : 'text-muted'}`}>{count(job.unitsFailed)}</td>
      <td className={`${cell} hidden whitespace-nowrap text-right text-muted md:table-cell`} title={exact(job.submittedAt)}>
        {ago(job.submittedAt, now)}
      </td>
      <td className={`${cell} hidden whitespace-nowrap text-right text-muted lg:table-cell`}>
        {duration((job.endedAt === undefined ? now : Date.parse(job.endedAt)) - Date.parse(job.submittedAt))}
      </td>
      <td className={`${cell} hidden whitespace-nowrap pr-4 text-right sm:table-cell`} title={`${dollars(job.chargedMicrocredits)} charged, at most ${dollars(job.priceMicrocredits)}`}>
        {credits(job.chargedMicrocredits)} cr
      </td>
    </tr>
  );
}

/** The list, kept up by the stream: loaded once, then changed by what happens. */
function useJobs() {
  const { setState } = useLive();
  const [jobs, setJobs] = useState<readonly JobListItem[] | null>(null);
  const [cursor, setCursor] = useState<string | undefined>(undefined);
  const [error, setError] = useState<unknown>(null);
  const [isLoadingMore, setLoadingMore] = useState(false);
  const early = useRef(new Early());

  const loadNewest = useCallback(async () => {
    try {
      const [list, meanwhile] = await early.current.during(() => getJson<JobList>('/v1/jobs'));
      setJobs(before => {
        const fresh = new Set(list.jobs.map(job => job.jobId));
        const older = (before ?? []).filter(job => !fresh.has(job.jobId));
        const all = before === null ? list.jobs : [...list.jobs, ...older];
        return applyToList(all, meanwhile).jobs;
      });
      setCursor(before => before ?? list.nextCursor);
      setError(null);
    } catch (failure) {
      setError(failure);
    }
  }, []);

  useEffect(
    () =>
      openStream(
        {},
        {
          onReset: () => {
            // What was loaded may have missed something, older pages too: begin with the newest again.
            setJobs(null);
            setCursor(undefined);
            void loadNewest();
          },
          onChanges: changes => {
            early.current.add(changes);
            setJobs(before => {
              if (before === null) {
                return null;
              }
              const after = applyToList(before, changes);
              if (after.hasUnknown) {
                queueMicrotask(() => void loadNewest());
              }
              return after.jobs;
            });
          },
          onState: setState,
        },
      ),
    [loadNewest, setState],
  );

  const loadMore = (): void => {
    setLoadingMore(true);
    getJson<JobList>(`/v1/jobs?cursor=${cursor ?? ''}`)
      .then(
        list => {
          setJobs(before => [...(before ?? []), ...list.jobs.filter(job => before?.some(known => known.jobId === job.jobId) !== true)]);
          setCursor(list.nextCursor);
        },
        (failure: unknown) => setError(failure),
      )
      .finally(() => setLoadingMore(false));
  };

  return { jobs, error, hasMore: cursor !== undefined, isLoadingMore, loadMore, retry: () => void loadNewest() };
}
