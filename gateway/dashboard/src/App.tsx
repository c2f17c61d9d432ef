import { useEffect, useState } from 'react';
import { Frame } from './parts/Frame';
import { Failure } from './parts/Panels';
import { navigate, usePlace } from './parts/router';
import { FleetPage } from './pages/FleetPage';
import { JobPage } from './pages/JobPage';
import { JobsPage } from './pages/JobsPage';
import { NotFoundPage } from './pages/NotFoundPage';
import { SignInPage } from './pages/SignInPage';
import { secretOf } from './session/signIn';
import { SignedInContext, useSessionState } from './session/useSession';

const AFTER_SIGN_IN = 'rendertrust-after-sign-in';

export function App() {
  const [state, actions] = useSessionState();
  const { path, query } = usePlace();
  const [secret, setSecret] = useState(takeSecret);
  const isLink = path === '/sign-in';

  // A link that is opened in a tab that shows the dashboard already changes nothing but the part that is ours to take.
  useEffect(() => {
    const onHash = (): void => setSecret(before => takeSecret() ?? before);
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  useEffect(() => {
    if (state.kind === 'out' && !isLink && path !== '/') {
      // Where the person was; the link opens another page, maybe another tab.
      sessionStorage.setItem(AFTER_SIGN_IN, path + (query.size > 0 ? `?${query}` : ''));
    }
  });

  if (state.kind === 'asking') {
    return <div className="grid h-dvh place-items-center text-muted" role="status" aria-label="Loading" />;
  }
  if (state.kind === 'unreachable') {
    return (
      <main className="mx-auto max-w-xl p-6 pt-24">
        <Failure isWholePage error={state.error} onRetry={actions.askAgain} />
      </main>
    );
  }
  if (isLink || state.kind === 'out') {
    return (
      <SignInPage
        secret={secret}
        signedInAs={state.kind === 'in' ? state.session.displayName : null}
        hasEnded={state.kind === 'out' && state.hasEnded}
        onDone={async session => {
          await actions.signedIn(session);
          setSecret(null);
          const back = sessionStorage.getItem(AFTER_SIGN_IN);
          sessionStorage.removeItem(AFTER_SIGN_IN);
          navigate(back ?? '/jobs', 'replace');
        }}
        onCancel={() => {
          setSecret(null);
          navigate('/jobs', 'replace');
        }}
      />
    );
  }
  return (
    <SignedInContext value={{ ...actions, session: state.session, key: state.key }}>
      <Frame>
        <Page path={path} />
      </Frame>
    </SignedInContext>
  );
}

function Page({ path }: { path: string }) {
  if (path === '/' || path === '/jobs') {
    return <JobsPage />;
  }
  if (path === '/fleet') {
    return <FleetPage />;
  }
  const job = /^\/jobs\/([0-9a-f-]{36})$/.exec(path)?.[1];
  return job === undefined ? <NotFoundPage /> : <JobPage key={job} jobId={job} />;
}

/** Out of the address at once: neither the history nor a screenshot should keep it. */
function takeSecret(): string | null {
  const secret = secretOf(location.hash);
  if (location.hash !== '') {
    history.replaceState(null, '', location.pathname + location.search);
  }
  return secret;
}
