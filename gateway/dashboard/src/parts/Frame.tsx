import { type ReactNode, useCallback, useEffect, useState } from 'react';
import { getJson } from '../api/http';
import type { CreditBalance } from '../api/types';
import { LiveProvider, useLive } from '../live/LiveContext';
import type { LiveState } from '../live/stream';
import { useSignedIn } from '../session/useSession';
import { credits, dollars } from './format';
import { Icon } from './icons';
import { KeysOverlay } from './KeysOverlay';
import { useKeys } from './keys';
import { href, navigate, onLinkClick, usePlace } from './router';
import { useTheme } from './theme';

/** What stands around every page: where one can go, who one is, how fresh what one sees is. */
export function Frame({ children }: { children: ReactNode }) {
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [theme, toggleTheme] = useTheme();
  useKeys({
    '?': () => setHelpOpen(true),
    t: toggleTheme,
    g: () => navigate('/jobs'),
    f: () => navigate('/fleet'),
  });
  return (
    <LiveProvider>
      <a href="#main" className="sr-only focus:not-sr-only focus:fixed focus:left-2 focus:top-2 focus:z-20 focus:rounded focus:bg-surface focus:p-2">
        Skip to content
      </a>
      <header className="sticky top-0 z-10 border-b border-line bg-surface/95 backdrop-blur">
        <div className="mx-auto flex max-w-[1440px] flex-wrap items-center gap-x-5 gap-y-1 px-4 sm:px-6">
          <a href={href('/jobs')} onClick={onLinkClick} aria-label="RenderTrust" className="flex items-center gap-2 py-2.5 font-semibold">
            <img src="/dashboard/favicon.svg" alt="" width={22} height={22} />
            <span className="hidden sm:inline">RenderTrust</span>
          </a>
          <nav className="flex self-stretch" aria-label="Pages">
            <Tab path="/jobs" name="Jobs" />
            <Tab path="/fleet" name="Fleet" />
          </nav>
          <div className="ml-auto flex items-center gap-3 sm:gap-4">
            <LiveDot />
            <Balance />
            <div className="flex items-center">
              <IconButton label={`Theme: ${theme} (t)`} icon={theme === 'light' ? 'sun' : theme === 'dark' ? 'moon' : 'system'} onClick={toggleTheme} />
              <IconButton label="Keyboard (?)" icon="keyboard" onClick={() => setHelpOpen(true)} />
              <Account />
            </div>
          </div>
        </div>
      </header>
      <main id="main" className="mx-auto max-w-[1440px] px-4 py-5 sm:px-6" tabIndex={-1}>
        <Outage />
        {children}
      </main>
      {isHelpOpen && <KeysOverlay onClose={() => setHelpOpen(false)} />}
    </LiveProvider>
  );
}

function Tab({ path, name }: { path: string; name: string }) {
  const { path: here } = usePlace();
  const isHere = here.startsWith(path) || (path === '/jobs' && here === '/');
  return (
    <a
      href={href(path)}
      onClick={onLinkClick}
      aria-current={isHere ? 'page' : undefined}
      className={`-mb-px flex items-center border-b-2 px-3 py-2.5 font-medium ${isHere ? 'border-accent text-ink' : 'border-transparent text-muted hover:text-ink'}`}
    >
      {name}
    </a>
  );
}

const IconButton = ({ label, icon, onClick }: { label: string; icon: 'sun' | 'moon' | 'system' | 'keyboard' | 'out'; onClick: () => void }) => (
  <button type="button" aria-label={label} title={label} onClick={onClick} className="grid size-8 place-items-center rounded-md text-muted hover:bg-sunken hover:text-ink">
    <Icon name={icon} />
  </button>
);

const LIVE: Record<LiveState, { text: string; tone: string; dot: string }> = {
  connecting: { text: 'Connecting', tone: 'text-muted', dot: 'bg-line-strong' },
  live: { text: 'Live', tone: 'text-ok', dot: 'bg-ok-fill' },
  stale: { text: 'Delayed', tone: 'text-warn', dot: 'bg-warn' },
  offline: { text: 'Reconnecting', tone: 'text-bad', dot: 'bg-bad-fill' },
};

function LiveDot() {
  const { state } = useLive();
  const { text, tone, dot } = LIVE[state];
  return (
    <span role="status" className={`flex items-center gap-1.5 text-xs font-medium ${tone}`} data-live={state}>
      <span className={`size-2 rounded-full ${dot}`} />
      <span className="sr-only sm:not-sr-only">{text}</span>
    </span>
  );
}

function Outage() {
  const { state } = useLive();
  return state === 'stale' || state === 'offline' ? (
    <p role="alert" className={`mb-4 flex items-center gap-2 rounded-md px-3 py-2 text-[13px] ${state === 'stale' ? 'bg-warn-soft text-warn' : 'bg-bad-soft text-bad'}`}>
      <Icon name="warn" />
      {state === 'stale'
        ? 'The platform cannot follow its own job log at present. What you see may be old; jobs go on, and this page catches up by itself.'
        : 'The connection to the platform broke. Jobs go on without this page; it reconnects by itself and then shows what it missed.'}
    </p>
  ) : null;
}

/** Asked for again with every minute and whenever the page comes back: what is reserved changes with every job. */
function Balance() {
  const [balance, set] = useState<CreditBalance | null>(null);
  const load = useCallback(() => {
    // A missing balance leaves its place empty: the pages themselves say what is wrong with the platform.
    getJson<CreditBalance>('/v1/credits').then(set, () => set(null));
  }, []);
  const { path } = usePlace();
  useEffect(load, [load, path]);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && load(), 15_000);
    return () => clearInterval(timer);
  }, [load]);
  return balance === null ? null : (
    <dl className="flex gap-3 text-xs" title={`Available ${dollars(balance.availableMicrocredits)}, reserved for running jobs ${dollars(balance.reservedMicrocredits)}. One credit is $0.10.`}>
      <div className="flex items-baseline gap-1.5">
        <dt className="hidden text-muted md:inline">Available</dt>
        <dd className="font-semibold">{credits(balance.availableMicrocredits)} cr</dd>
      </div>
      <div className="hidden items-baseline gap-1.5 md:flex">
        <dt className="text-muted">Reserved</dt>
        <dd>{credits(balance.reservedMicrocredits)} cr</dd>
      </div>
    </dl>
  );
}

function Account() {
  const { session, signOut } = useSignedIn();
  return (
    <span className="flex items-center gap-1 border-l border-line pl-2">
      <span className="hidden max-w-40 truncate px-1 text-[13px] lg:inline" title={`Signed in until ${new Date(session.expiresAt).toLocaleString('en-GB')}`}>
        {session.displayName}
      </span>
      <IconButton
        label={`Sign out ${session.displayName}`}
        icon="out"
        onClick={() => {
          // Who signs in next has other pages.
          navigate('/', 'replace');
          void signOut();
        }}
      />
    </span>
  );
}
