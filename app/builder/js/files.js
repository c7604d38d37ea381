// The clipboard and files: a workflow, or part of one, as JSON text.
import { toListed } from "./document.js";
import { isTyping } from "./shared.js";

export function createClipboard({ actions, store, sight }) {
  // Kept for browsers that do not let a page write to the clipboard.
  let own = null;

  async function copy() {
    const ids = actions.selectedNodes();
    if (!ids.length) return;
    own = actions.copyText();
    store.set({ note: { kind: "info", key: "builder.copied", params: { count: ids.length } } });
    await navigator.clipboard?.writeText(own).catch(() => {});
  }

  async function cut() {
    await copy();
    actions.remove();
  }

  function onPaste(event) {
    const { phase, dialog, canWrite } = store.get();
    if (phase !== "ready" || dialog || !canWrite || isTyping(event)) return;
    const text = event.clipboardData?.getData("text/plain") || own;
    if (!text) return;
    event.preventDefault();
    const done = actions.paste(text, outOfSight(text) ? { at: sight.centre() } : {});
    if (!done) store.set({ note: { kind: "error", key: "builder.not_pasteable" } });
  }

  // What was copied elsewhere lands in the middle of what one sees; what was copied here, beside its original.
  function outOfSight(text) {
    const { doc } = store.get();
    try {
      return !JSON.parse(text).nodes?.some((node) => doc.nodes[node.id]?.type === node.type);
    } catch {
      return true;
    }
  }

  return { copy, cut, onPaste };
}

const fileName = (name) => `${name.normalize("NFD").replace(/\p{Diacritic}/gu, "").replace(/[^A-Za-z0-9]+/g, "-").toLowerCase() || "workflow"}.json`;

export function createFiles({ store, actions, edits }) {
  function save() {
    const { doc } = store.get();
    const blob = new Blob([`${JSON.stringify(toListed(doc), null, 2)}\n`], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileName(doc.name || "workflow");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function pick() {
    const field = document.createElement("input");
    field.type = "file";
    field.accept = "application/json,.json";
    field.onchange = async () => {
      const text = await field.files[0]?.text();
      if (text && !actions.paste(text)) store.set({ note: { kind: "error", key: "builder.not_a_workflow" } });
    };
    field.click();
  }

  return { save, pick };
}
