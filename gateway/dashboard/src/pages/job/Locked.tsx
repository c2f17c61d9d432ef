import { useRef, useState } from 'react';
import { openKeyFile } from '../../sealing/keyFile';
import { keyId } from '../../sealing/hpke';
import { Icon } from '../../parts/icons';
import { Button, Command } from '../../parts/Panels';
import { useSignedIn } from '../../session/useSession';

/** Signed in, but this browser has no key: by a new link, or from the key file itself. */
export function Locked() {
  const { session, unlock } = useSignedIn();
  const file = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState('');
  const [text, setText] = useState('');
  const [passphrase, setPassphrase] = useState('');

  const open = async (content: string): Promise<void> => {
    try {
      const key = await openKeyFile(content, passphrase);
      if ((await keyId(key.point)) !== session.keyId) {
        throw new Error('This is the key of another account.');
      }
      await unlock(key);
    } catch (error) {
      setText(content);
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <section className="card mb-4 flex flex-wrap items-start gap-4 p-4" aria-label="Frames are locked">
      <span className="grid size-9 place-items-center rounded-full bg-warn-soft text-warn">
        <Icon name="lock" />
      </span>
      <div className="min-w-0 flex-1 space-y-2">
        <h2 className="font-semibold">This browser has no key to open frames with</h2>
        <p className="text-[13px] text-muted">Everything else works. Make a new link and open it here, or choose the key file (encryption.key.json of your profile); it is read here and sent nowhere.</p>
        <div className="flex flex-wrap items-center gap-2">
          <Command>./rendertrust dashboard</Command>
          <Button onClick={() => file.current?.click()}>Choose key file</Button>
          <input
            ref={file}
            type="file"
            accept=".json,application/json"
            aria-label="Key file"
            className="sr-only"
            tabIndex={-1}
            onChange={event => void event.target.files?.[0]?.text().then(open)}
          />
        </div>
        {failure !== '' && (
          <div className="space-y-2">
            <p role="alert" className="text-[13px] text-bad">
              {failure}
            </p>
            <form
              className="flex gap-2"
              onSubmit={event => {
                event.preventDefault();
                void open(text);
              }}
            >
              <label className="flex items-center gap-2 text-[13px]">
                Passphrase
                <input type="password" autoComplete="off" value={passphrase} onChange={event => setPassphrase(event.target.value)} className="rounded-md border border-line-strong bg-surface px-2 py-1" />
              </label>
              <Button onClick={() => void open(text)}>Open</Button>
            </form>
          </div>
        )}
      </div>
    </section>
  );
}
