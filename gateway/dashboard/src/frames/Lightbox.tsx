import { useEffect, useRef, useState } from 'react';
import { bytes } from '../parts/format';
import { Icon } from '../parts/icons';
import { useKeys } from '../parts/keys';
import type { Frame } from './Frames';
import type { OutputOpener } from './openOutput';
import { useOutput } from './useOutput';

/** One frame as large as the window, or pixel by pixel. */
export function Lightbox({ frame, opener, place, onClose, onMove }: { frame: Frame; opener: OutputOpener; place: string; onClose: () => void; onMove: (step: 1 | -1) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const state = useOutput(opener, frame.output);
  const [isFull, setFull] = useState(false);
  const [size, setSize] = useState('');
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  useKeys(
    {
      ArrowRight: () => onMove(1),
      ArrowLeft: () => onMove(-1),
      k: () => onMove(-1),
      j: () => onMove(1),
      z: () => setFull(before => !before),
    },
    true,
  );
  const opened = state.kind === 'opened' ? state.output : null;
  return (
    <dialog ref={dialog} onClose={onClose} aria-label={`Frame of unit ${frame.unitIndex}`} className="h-dvh max-h-none w-dvw max-w-none bg-black/90 p-0 text-white">
      <div className="flex h-full flex-col">
        <header className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-[13px]">
          <strong className="font-semibold">{opened?.name ?? `Unit ${frame.unitIndex}`}</strong>
          <span className="text-white/70">unit {frame.unitIndex}</span>
          {size !== '' && <span className="text-white/70">{size}</span>}
          {opened !== null && <span className="text-white/70">{bytes(opened.sizeBytes)}</span>}
          {opened !== null && (
            <span className="inline-flex items-center gap-1 text-white/70" title="Opened in this browser. Ciphertext hash, seal and keyed hash agree with what the node reported.">
              <Icon name="shield" size={14} /> verified
            </span>
          )}
          <span className="ml-auto text-white/70">{place}</span>
          <Tool label={isFull ? 'Fit the window (z)' : 'Full size (z)'} icon="search" onClick={() => setFull(!isFull)} />
          {opened !== null && (
            <a href={opened.url} download={opened.name.split('/').at(-1)} aria-label="Download" title="Download" className="grid size-8 place-items-center rounded-md hover:bg-white/15">
              <Icon name="download" />
            </a>
          )}
          <Tool label="Close (Esc)" icon="cross" onClick={() => dialog.current?.close()} />
        </header>
        <div className="relative min-h-0 flex-1">
          <div className={`h-full ${isFull ? 'overflow-auto' : 'grid place-items-center overflow-hidden'}`} tabIndex={isFull ? 0 : -1}>
            {opened?.imageType != null && (
              <img
                src={opened.url}
                alt={opened.name}
                onLoad={event => setSize(`${event.currentTarget.naturalWidth} × ${event.currentTarget.naturalHeight}`)}
                className={isFull ? 'max-w-none' : 'size-full object-scale-down p-2'}
              />
            )}
            {opened !== null && opened.imageType === null && <p className="m-auto text-white/80">This file is no picture that browsers show. Download it.</p>}
            {state.kind === 'failed' && (
              <p role="alert" className="m-auto max-w-prose p-6 text-center">
                {state.error.message}
              </p>
            )}
          </div>
          <Step side="left" onClick={() => onMove(-1)} />
          <Step side="right" onClick={() => onMove(1)} />
        </div>
      </div>
    </dialog>
  );
}

const Tool = ({ label, icon, onClick }: { label: string; icon: 'search' | 'cross'; onClick: () => void }) => (
  <button type="button" onClick={onClick} aria-label={label} title={label} className="grid size-8 place-items-center rounded-md hover:bg-white/15">
    <Icon name={icon} />
  </button>
);

const Step = ({ side, onClick }: { side: 'left' | 'right'; onClick: () => void }) => (
  <button
    type="button"
    onClick={onClick}
    aria-label={side === 'left' ? 'Frame before' : 'Next frame'}
    className={`absolute top-1/2 grid size-10 -translate-y-1/2 place-items-center rounded-full bg-black/50 hover:bg-black/80 ${side === 'left' ? 'left-3' : 'right-3'}`}
  >
    <Icon name={side} size={20} />
  </button>
);
