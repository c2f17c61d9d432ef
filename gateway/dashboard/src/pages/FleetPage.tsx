import { useEffect, useRef, useState } from 'react';
import { getJson } from '../api/http';
import type { NodeItem } from '../api/types';
import { useLive } from '../live/LiveContext';
import { openStream } from '../live/stream';
import { ago, bytes, count, credits, dollars, exact, milliseconds } from '../parts/format';
import { moveFocus, useKeys } from '../parts/keys';
import { Command, Failure, Panel, Skeleton } from '../parts/Panels';
import { useQuery } from '../parts/router';
import { SearchBox } from '../parts/SearchBox';
import { Status } from '../parts/Status';
import { useNow, useTitle } from '../parts/hooks';

export function FleetPage() {
  useTitle('Fleet');
  const { setState } = useLive();
  const [nodes, setNodes] = useState<readonly NodeItem[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [search, setSearch] = useQuery('q');
  const box = useRef<HTMLInputElement>(null);
  useKeys({
    '/': () => box.current?.focus(),
    j: () => moveFocus('[data-row]', 1),
    k: () => moveFocus('[data-row]', -1),
  });

  const load = (): void => {
    getJson<{ nodes: NodeItem[] }>('/v1/nodes').then(
      list => {
        setNodes(list.nodes);
        setError(null);
      },
      (failure: unknown) => setError(failure),
    );
  };
  useEffect(() => openStream({ fleet: 'true' }, { onReset: load, onFleet: setNodes, onState: setState }), [setState]);

  if (error !== null && nodes === null) {
    return <Failure isWholePage error={error} onRetry={load} />;
  }
  const shown = (nodes ?? []).filter(node => `${node.name} ${node.status} ${node.capabilities?.runner ?? ''}`.toLowerCase().includes(search.toLowerCase()));
  return (
    <>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">Fleet</h1>
        {nodes !== null && nodes.length > 0 && <Summary nodes={nodes} />}
        {nodes !== null && nodes.length > 0 && <SearchBox ref={box} value={search} onChange={setSearch} label="Search nodes by name, state or runner" />}
      </div>
      {nodes === null ? (
        <Skeleton rows={3} label="Loading nodes" />
      ) : nodes.length === 0 ? (
        <Panel icon="system" title="No nodes of yours" action={<Command>./rendertrust node token my-gpu</Command>}>
          Your jobs run on studios’ nodes, which their owners see. To run a machine of your own and earn with it, make an enrolment token and give it to the agent there.
        </Panel>
      ) : shown.length === 0 ? (
        <Panel icon="search" title="No node fits">
          None of {count(nodes.length)} nodes has “{search}” in its name, state or runner.
        </Panel>
      ) : (
        <NodeTable nodes={shown} />
      )}
    </>
  );
}

function Summary({ nodes }: { nodes: readonly NodeItem[] }) {
  const online = nodes.filter(node => node.status === 'online');
  const slots = online.reduce((sum, node) => sum + (node.capabilities?.slots ?? 0), 0);
  const busy = online.reduce((sum, node) => sum + node.busySlots, 0);
  const earned = nodes.reduce((sum, node) => sum + node.earnedLastDayMicrocredits, 0);
  return (
    <p className="text-[13px] text-muted">
      <strong className="font-medium text-ink">{online.length}</strong> of {nodes.length} online · <strong className="font-medium text-ink">{busy}</strong> of {slots} slots busy ·{' '}
      <strong className="font-medium text-ink" title={dollars(earned)}>
        {credits(earned)} cr
      </strong>{' '}
      earned in 24 h
    </p>
  );
}

function NodeTable({ nodes }: { nodes: readonly NodeItem[] }) {
  const now = useNow();
  const head = 'px-3 py-2 text-left text-xs font-medium text-muted';
  return (
    <div className="card overflow-hidden">
      <table className="w-full border-collapse">
        <thead className="border-b border-line bg-sunken/60">
          <tr>
            <th scope="col" className={`${head} pl-4`}>
              State
            </th>
            <th scope="col" className={head}>
              Node
            </th>
            <th scope="col" className={head}>
              Slots
            </th>
            <th scope="col" className={`${head} hidden md:table-cell`}>
              Runner
            </th>
            <th scope="col" className={`${head} hidden lg:table-cell`}>
              Machine
            </th>
            <th scope="col" className={`${head} hidden text-right sm:table-cell`}>
              Latency
            </th>
            <th scope="col" className={`${head} hidden text-right sm:table-cell`}>
              Last seen
            </th>
            <th scope="col" className={`${head} pr-4 text-right`}>
              Earned, 24 h
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {nodes.map(node => (
            <NodeRow key={node.nodeId} node={node} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function NodeRow({ node, now }: { node: NodeItem; now: number }) {
  const cell = 'px-3 py-2.5 align-middle';
  const { capabilities } = node;
  return (
    <tr tabIndex={0} data-row data-node={node.name} className="focus-visible:outline-offset-[-2px] hover:bg-sunken/60">
      <td className={`${cell} pl-4`}>
        <Status status={node.status} />
      </td>
      <td className={cell}>
        <span className="font-medium">{node.name}</span>
        <span className="block font-mono text-xs text-muted" title="Id of the key that jobs are sealed to">
          {node.recipientKeyId}
        </span>
      </td>
      <td className={cell}>
        <Slots busy={node.busySlots} slots={capabilities?.slots ?? 0} />
      </td>
      <td className={`${cell} hidden md:table-cell`}>
        {capabilities?.runner ?? 'unknown'}
        <span className="block text-xs text-muted">
          {capabilities === undefined ? '' : capabilities.limitsEnforced ? 'limits enforced' : 'limits not enforced'}
          {capabilities?.engineRootless === true && ', rootless'}
        </span>
      </td>
      <td className={`${cell} hidden lg:table-cell`}>
        {capabilities !== undefined && (
          <>
            {capabilities.deviceKind === 'gpu' ? 'GPU' : `${capabilities.cpuCount} CPUs`}, {bytes(capabilities.memoryBytes)}
            <span className="block text-xs text-muted">
              scratch {bytes(capabilities.scratchBytes)}, agent {capabilities.agentVersion}
            </span>
          </>
        )}
      </td>
      <td className={`${cell} hidden whitespace-nowrap text-right sm:table-cell`}>{node.latencyMs === undefined ? '–' : milliseconds(node.latencyMs)}</td>
      <td className={`${cell} hidden whitespace-nowrap text-right text-muted sm:table-cell`} title={node.seenAt === undefined ? undefined : exact(node.seenAt)}>
        {node.seenAt === undefined ? 'never' : ago(node.seenAt, now)}
      </td>
      <td className={`${cell} whitespace-nowrap pr-4 text-right`} title={dollars(node.earnedLastDayMicrocredits)}>
        <span className="font-medium">{credits(node.earnedLastDayMicrocredits)} cr</span>
        <span className="block text-xs text-muted">{count(node.completedLastDay)} units</span>
      </td>
    </tr>
  );
}

/** A square a slot while they are few enough to count by eye. */
function Slots({ busy, slots }: { busy: number; slots: number }) {
  return (
    <span className="flex items-center gap-2">
      {slots <= 16 && (
        <span className="flex flex-wrap gap-0.5" aria-hidden="true">
          {Array.from({ length: slots }, (_, i) => (
            <span key={i} className={`size-2.5 rounded-sm ${i < busy ? 'bg-run-fill' : 'border border-line-strong'}`} />
          ))}
        </span>
      )}
      <span>
        {busy}
        <span className="text-muted"> / {slots}</span>
      </span>
    </span>
  );
}
