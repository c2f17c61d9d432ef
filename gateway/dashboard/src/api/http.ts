const API = '/dashboard/api';

/** A refusal or a fault, in words for the person: what happened, and what helps. */
export class ApiFailure extends Error {
  constructor(
    /** HTTP status; 0 when nobody answered. */
    readonly status: number,
    message: string,
    readonly code?: string,
  ) {
    super(message);
    this.name = 'ApiFailure';
  }
}

let onSignedOut: () => void = () => {};

/** Who wants to know that the session is gone; there is one page and so one listener. */
export const whenSignedOut = (listener: () => void): void => {
  onSignedOut = listener;
};

export const getJson = async <T>(path: string, signal?: AbortSignal): Promise<T> => (await send('GET', path, undefined, signal)).json() as Promise<T>;

export const postJson = async <T>(path: string, body: unknown): Promise<T> => (await send('POST', path, body)).json() as Promise<T>;

export const remove = async (path: string): Promise<void> => {
  await send('DELETE', path);
};

export const getBytes = async (path: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await (await send('GET', path, undefined, signal)).arrayBuffer());

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(API + path, {
      method,
      credentials: 'same-origin',
      redirect: 'error',
      ...(signal && { signal }),
      ...(body !== undefined && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new ApiFailure(0, 'The platform does not answer. Check that it runs (./rendertrust status) and that this machine reaches it.');
  }
  if (response.ok) {
    return response;
  }
  const failure = await failureOf(response);
  if (response.status === 401) {
    onSignedOut();
  }
  throw failure;
}

async function failureOf(response: Response): Promise<ApiFailure> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string; code?: string };
    return new ApiFailure(response.status, problem.detail ?? problem.title ?? `The platform answered ${response.status}.`, problem.code);
  } catch {
    return new ApiFailure(response.status, `The platform answered ${response.status} without saying why. Try again; if it stays, look at the gateway's log.`);
  }
}
