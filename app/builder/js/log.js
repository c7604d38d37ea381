// Edits that the server has not confirmed, kept in IndexedDB so that a lost connection, a reload or a crashed tab loses
// none of them. One record an edit, and one with the document and revision they were made on.
//
// Each tab writes under its own name and holds a lock of that name while it lives: what lies under a name whose lock is
// free was left behind by a tab that is gone, and is adopted by the next one that opens the workflow.

const DATABASE = "opsloom-builder";

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function openDatabase() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("ops", { keyPath: ["scope", "tab", "id"] });
    request.result.createObjectStore("bases", { keyPath: ["scope", "tab"] });
  };
  return asked(request);
}

// Takes a lock that ends with the tab.
const held = (name) =>
  new Promise((granted) => {
    navigator.locks.request(name, () => {
      granted();
      return new Promise(() => {});
    });
  });

const within = (scope) => IDBKeyRange.bound([scope], [scope, []]);

export async function openLog(scope) {
  const tab = crypto.randomUUID();
  let database;
  try {
    database = await openDatabase();
  } catch {
    return memoryLog(); // Private windows may refuse a database: edits are then safe until the tab is closed.
  }
  await held(`${DATABASE}:${tab}`);
  const store = (name, mode = "readwrite") => database.transaction(name, mode).objectStore(name);
  let order = 0;

  return {
    async put(op) {
      order += 1;
      await asked(store("ops").put({ scope, tab, id: op.id, order: Date.now() * 1000 + (order % 1000), op }));
    },
    async drop(ids) {
      const target = store("ops");
      await Promise.all(ids.map((id) => asked(target.delete([scope, tab, id]))));
    },
    async keepBase(revision, document) {
      await asked(store("bases").put({ scope, tab, revision, document }));
    },
    async dropBase() {
      await asked(store("bases").delete([scope, tab]));
    },
    // What one tab that is gone has left, {document, ops}, the longest gone first; null when there is nothing. In one
    // transaction it becomes this tab's own: at no moment does it belong to nobody, or to two.
    async adopt() {
      const { held: locks } = await navigator.locks.query();
      const alive = new Set(locks.map((lock) => lock.name));
      const work = database.transaction(["ops", "bases"], "readwrite");
      const [ops, bases] = [work.objectStore("ops"), work.objectStore("bases")];
      const rows = await asked(ops.getAll(within(scope)));
      const gone = rows.filter((row) => !alive.has(`${DATABASE}:${row.tab}`)).sort((a, b) => a.order - b.order);
      const from = gone[0]?.tab;
      let document = null;
      for (const row of await asked(bases.getAll(within(scope)))) {
        if (row.tab === from) bases.put({ ...row, tab });
        if (row.tab === from) document = row.document;
        const empty = !alive.has(`${DATABASE}:${row.tab}`) && !gone.some((one) => one.tab === row.tab);
        if (row.tab === from || empty) bases.delete([scope, row.tab]);
      }
      const own = gone.filter((row) => row.tab === from);
      for (const row of own) {
        ops.delete([scope, from, row.id]);
        ops.put({ ...row, tab });
      }
      return from ? { document, ops: own.map((row) => row.op) } : null;
    },
    lasting: true,
  };
}

function memoryLog() {
  const nothing = async () => {};
  return { put: nothing, drop: nothing, keepBase: nothing, dropBase: nothing, adopt: async () => null, lasting: false };
}
