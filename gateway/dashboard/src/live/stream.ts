import { getJson } from '../api/http';
import type { Change, NodeItem } from '../api/types';

/** How fresh what the page shows is. */
export type LiveState = 'connecting' | 'live' | 'stale' | 'offline';

export interface StreamHandlers {
  /** Something may have been missed: load everything anew; changes from now on are newer or already in what is loaded. */
  readonly onReset: () => void;
  readonly onChanges?: (changes: readonly Change[]) => void;
  readonly onFleet?: (nodes: readonly NodeItem[]) => void;
  readonly onState: (state: LiveState) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** A hidden page lets go of its connection: browsers give an origin only six. */
const HIDDEN_FOR_MS = 30_000;

/** Follows the platform's changes until closed; goes on after a break where it was. */
export function openStream(query: Record<string, string>, handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let lastEventId = '';
  let pauseMs = FIRST_PAUSE_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;

  const connect = (): void => {
    const parameters = new URLSearchParams(lastEventId === '' ? query : { ...query, lastEventId });
    source = new EventSource(`/dashboard/api/changes?${parameters}`);
    const on = (name: string, act: (data: string) => void): void =>
      source?.addEventListener(name, event => {
        lastEventId = event.lastEventId || lastEventId;
        act(event.data as string);
      });
    const isUp = (): void => {
      pauseMs = FIRST_PAUSE_MS;
      handlers.onState('live');
    };
    on('reset', () => {
      isUp();
      handlers.onReset();
    });
    on('resumed', isUp);
    on('changes', data => handlers.onChanges?.(JSON.parse(data) as Change[]));
    on('fleet', data => handlers.onFleet?.((JSON.parse(data) as { nodes: NodeItem[] }).nodes));
    on('stale', () => handlers.onState('stale'));
    on('fresh', () => handlers.onState('live'));
    on('ended', () => void askWhy());
    source.onerror = () => {
      handlers.onState('offline');
      // The browser's own way of coming back gives up at the first answer that is no stream, such as a gateway that starts again.
      source?.close();
      clearTimeout(timer);
      timer = setTimeout(() => void askWhy().finally(() => !isClosed && !document.hidden && connect()), pauseMs * (0.8 + Math.random() * 0.4));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    };
  };

  // A stream does not tell why it was refused; asking for the session does, and signs the page out if that is over.
  const askWhy = (): Promise<unknown> => getJson('/session').catch(() => undefined);

  const onVisibility = (): void => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => source?.close(), HIDDEN_FOR_MS);
    } else if (source?.readyState === EventSource.CLOSED) {
      handlers.onState('connecting');
      connect();
    }
  };

  document.addEventListener('visibilitychange', onVisibility);
  handlers.onState('connecting');
  connect();
  return () => {
    isClosed = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', onVisibility);
    source?.close();
  };
}
