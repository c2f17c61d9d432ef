import { Panel } from '../parts/Panels';
import { useTitle } from '../parts/hooks';
import { href, onLinkClick } from '../parts/router';

export function NotFoundPage({ what = 'page' }: { what?: string }) {
  useTitle('Not found');
  return (
    <Panel
      icon="search"
      isWholePage
      title="Not found"
      action={
        <a href={href('/jobs')} onClick={onLinkClick} className="font-medium text-accent underline-offset-2 hover:underline">
          All jobs
        </a>
      }
    >
      There is no such {what}, or it is not yours. Check the address, and that you are signed in as the right account.
    </Panel>
  );
}
