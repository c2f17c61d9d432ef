import { useEffect, useRef, useState } from 'react';
import type { Session } from '../api/types';
import { Icon } from '../parts/icons';
import { Button, Command } from '../parts/Panels';
import { useTitle } from '../parts/hooks';
import { signIn, type SignInStep } from '../session/signIn';

interface SignInProps {
  readonly secret: string | null;
  readonly signedInAs: string | null;
  readonly hasEnded: boolean;
  readonly onDone: (session: Session) => Promise<void>;
  readonly onCancel: () => void;
}

/** Without a link: how to get one. With one: signs in, and takes the key over from the command that made it. */
export function SignInPage({ secret, signedInAs, hasEnded, onDone, onCancel }: SignInProps) {
  useTitle('Sign in');
  const [step, setStep] = useState<SignInStep | 'idle' | 'failed'>('idle');
  const [failure, setFailure] = useState('');
  const used = useRef<string | null>(null);

  const begin = (): void => {
    // A link works once: a second try with it could only fail.
    if (secret === null || used.current === secret) {
      return;
    }
    used.current = secret;
    signIn(secret, setStep)
      .then(onDone)
      .catch((error: unknown) => {
        setStep('failed');
        setFailure(error instanceof Error ? error.message : String(error));
      });
  };
  // Somebody who is signed in decides whether to change; for others the link is the decision.
  useEffect(() => {
    if (signedInAs === null) {
      begin();
    }
  });

  const isBusy = step === 'redeeming' || step === 'waiting' || step === 'done';
  return (
    <main className="grid min-h-dvh place-items-center p-5">
      <div className="w-full max-w-md">
        <div className="mb-6 flex items-center gap-2.5 text-lg font-semibold">
          <img src="/dashboard/favicon.svg" alt="" width={28} height={28} />
          RenderTrust
        </div>
        <section className="card p-6" aria-live="polite">
          {isBusy ? (
            <Busy step={step} />
          ) : secret !== null && signedInAs !== null && step === 'idle' ? (
            <Change name={signedInAs} onChange={begin} onCancel={onCancel} />
          ) : (
            <HowTo failure={step === 'failed' ? failure : null} hasEnded={hasEnded} onCancel={signedInAs === null ? null : onCancel} />
          )}
        </section>
        <p className="mt-4 flex gap-2 text-[13px] leading-relaxed text-muted">
          <Icon name="shield" className="mt-0.5" />
          Your key reaches this browser sealed: the platform carries it and cannot read it. Frames are opened here and nowhere else. Signing out deletes the key from this browser.
        </p>
      </div>
    </main>
  );
}

const Busy = ({ step }: { step: SignInStep }) => (
  <div role="status">
    <h1 className="text-base font-semibold">Signing in</h1>
    <ol className="mt-4 space-y-2.5">
      <Line isDone={step !== 'redeeming'} text="Using the link" />
      <Line isDone={step === 'done'} text="Waiting for your key from the command that made the link" />
    </ol>
  </div>
);

const Line = ({ isDone, text }: { isDone: boolean; text: string }) => (
  <li className="flex items-center gap-2.5">
    <span className={`grid size-5 place-items-center rounded-full ${isDone ? 'bg-ok-soft text-ok' : 'animate-pulse bg-run-soft text-run'}`}>
      <Icon name={isDone ? 'check' : 'clock'} size={12} />
    </span>
    {text}
  </li>
);

const Change = ({ name, onChange, onCancel }: { name: string; onChange: () => void; onCancel: () => void }) => (
  <>
    <h1 className="text-base font-semibold">Use this link?</h1>
    <p className="mt-2 text-muted">
      You are signed in as <strong className="text-ink">{name}</strong>. The link replaces that with the account that it was made for. Use it only if you made it yourself.
    </p>
    <div className="mt-5 flex gap-2">
      <Button kind="primary" onClick={onChange}>
        Use the link
      </Button>
      <Button onClick={onCancel}>Stay as {name}</Button>
    </div>
  </>
);

const HowTo = ({ failure, hasEnded, onCancel }: { failure: string | null; hasEnded: boolean; onCancel: (() => void) | null }) => (
  <>
    <h1 className="text-base font-semibold">{failure !== null ? 'The link did not work' : hasEnded ? 'Your session has ended' : 'Sign in'}</h1>
    {failure !== null && (
      <p role="alert" className="mt-3 rounded-md bg-bad-soft px-3 py-2 text-bad">
        {failure}
      </p>
    )}
    <p className="mt-3 text-muted">Where your keys are, run</p>
    <div className="mt-2">
      <Command>./rendertrust dashboard</Command>
    </div>
    <p className="mt-3 text-muted">and open the link that it prints in this browser. A link is good once, for one minute.</p>
    <p className="mt-3 text-muted">
      No account yet? <code className="font-mono text-[13px] text-ink">./rendertrust login</code> makes one.
    </p>
    {onCancel !== null && (
      <div className="mt-4">
        <Button onClick={onCancel}>Back to the dashboard</Button>
      </div>
    )}
  </>
);
