import type { KeyPair } from '../sealing/hpke';

/** Keys of this browser in IndexedDB: as handles that can be used and not be read, not even by these pages. */
const DATABASE = 'rendertrust';
const STORE = 'keys';

export const saveKey = (keyId: string, key: KeyPair): Promise<void> => run('readwrite', store => store.put(key, keyId)).then(() => undefined);

export const loadKey = (keyId: string): Promise<KeyPair | null> => run<KeyPair | undefined>('readonly', store => store.get(keyId)).then(key => key ?? null);

/** All of them: a signed-out browser keeps nothing. */
export const deleteKeys = (): Promise<void> => run('readwrite', store => store.clear()).then(() => undefined);

async function run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result as T);
      transaction.onabort = () => reject(transaction.error ?? new Error('The browser refused to store the key.'));
    });
  } finally {
    database.close();
  }
}

const open = (): Promise<IDBDatabase> =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('The browser offers no storage here.'));
  });
