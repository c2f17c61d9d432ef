import { Icon, type IconName } from './icons';

interface Look {
  readonly label: string;
  readonly icon: IconName;
  readonly tone: string;
}

const OK = 'bg-ok-soft text-ok';
const RUN = 'bg-run-soft text-run';
const BAD = 'bg-bad-soft text-bad';
const WARN = 'bg-warn-soft text-warn';
const QUIET = 'bg-sunken text-muted';

/** Jobs, units, attempts and nodes share one language: a shape and a colour for each state, and its name. */
const LOOKS: Record<string, Look> = {
  submitted: { label: 'Waiting', icon: 'clock', tone: WARN },
  running: { label: 'Running', icon: 'play', tone: RUN },
  completed: { label: 'Completed', icon: 'check', tone: OK },
  failed: { label: 'Failed', icon: 'cross', tone: BAD },
  canceled: { label: 'Canceled', icon: 'ban', tone: QUIET },
  pending: { label: 'Waiting', icon: 'clock', tone: QUIET },
  leased: { label: 'Running', icon: 'play', tone: RUN },
  offered: { label: 'Offered', icon: 'play', tone: RUN },
  revoking: { label: 'Stopping', icon: 'ban', tone: WARN },
  revoked: { label: 'Stopped', icon: 'ban', tone: QUIET },
  lost: { label: 'Lost', icon: 'warn', tone: BAD },
  refused: { label: 'Refused', icon: 'ban', tone: WARN },
  undelivered: { label: 'Not delivered', icon: 'ban', tone: WARN },
  online: { label: 'Online', icon: 'check', tone: OK },
  offline: { label: 'Offline', icon: 'ban', tone: QUIET },
};

/** A state that a newer platform has is shown by its own name. */
export const lookOf = (status: string): Look => LOOKS[status] ?? { label: status, icon: 'clock', tone: QUIET };

export function Status({ status }: { status: string }) {
  const { label, icon, tone } = lookOf(status);
  return (
    <span className={`inline-flex items-center gap-1 whitespace-nowrap rounded px-1.5 py-0.5 text-xs font-medium ${tone}`}>
      <Icon name={icon} size={12} />
      {label}
    </span>
  );
}
