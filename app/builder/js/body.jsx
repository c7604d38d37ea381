// The steps inside a step that holds some, as text: a document of their own, kept only where it can be read.
import { useEffect, useRef, useState } from "react";
import { problemsIn } from "./derive.js";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { insideInWords } from "./view.js";

const EMPTY = { schema: "opsloom/workflow@1", nodes: [], edges: [] };
// What was typed and cannot be read yet is still there when its step is opened again.
const unkept = new Map();
const written = (body) => JSON.stringify(body ?? EMPTY, null, 2);

// What cannot be kept at all; what the steps mean is for the server to check, which names each one.
function readBody(words) {
  let found;
  try {
    found = JSON.parse(words);
  } catch (error) {
    return { error: { key: "builder.body_not_json", why: String(error.message) } };
  }
  if (found === null || typeof found !== "object" || Array.isArray(found)) return { error: { key: "builder.body_no_document" } };
  for (const kind of ["nodes", "edges"]) {
    if (!Array.isArray(found[kind] ?? [])) return { error: { key: "builder.body_no_list", name: kind } };
  }
  const seen = new Set();
  for (const [index, node] of (found.nodes ?? []).entries()) {
    if (!node?.id || !node?.type) return { error: { key: "builder.body_no_step", number: index + 1 } };
    if (seen.has(node.id)) return { error: { key: "builder.body_twice", name: node.id } };
    seen.add(node.id);
  }
  return { body: { ...EMPTY, ...found } };
}

export function BodySettings({ node }) {
  const text = useText();
  const { actions } = useBuilder();
  const canWrite = useSelect((s) => s.canWrite);
  const problems = useSelect((s) => problemsIn(s, node.id)).filter((problem) => problem.node !== node.id);
  const kept = written(node.body);
  const [draft, setDraft] = useState(unkept.get(node.id) ?? kept);
  const [wrong, setWrong] = useState(unkept.has(node.id) ? readBody(unkept.get(node.id)).error : null);
  const seen = useRef(kept);
  useEffect(() => {
    if (seen.current === kept) return;
    seen.current = kept;
    unkept.delete(node.id);
    setDraft(kept);
    setWrong(null);
  }, [kept]);
  const keep = () => {
    const { body, error } = readBody(draft);
    setWrong(error ?? null);
    if (error) unkept.set(node.id, draft);
    else unkept.delete(node.id);
    if (body && draft !== kept) actions.setField(node.id, ["body"], body, false);
  };
  return (
    <div className="os-field" data-body-of={node.id}>
      <label className="os-label" htmlFor={`body-${node.id}`}>{text("builder.body")}</label>
      <p className="os-help">{insideInWords(node, text)}. {text("builder.inside_help")}</p>
      {problems.map((problem, i) => (
        <span key={i} className="os-error"><Icon name="circle-alert" size={13} /><span><b className="os-mono">{problem.node.slice(node.id.length + 1)}</b> {text.say(problem)}</span></span>
      ))}
      <textarea id={`body-${node.id}`} className="os-input os-mono ob-json" rows={16} spellCheck={false} value={draft} disabled={!canWrite} aria-invalid={Boolean(wrong)}
        onChange={(event) => setDraft(event.target.value)} onBlur={keep} />
      {wrong ? <span className="os-error" role="alert"><Icon name="circle-alert" size={13} />{text(wrong.key, wrong)}</span> : null}
      {canWrite && draft !== kept ? <button type="button" className="os-button" data-action="keep-body" onClick={keep}>{text("builder.body_keep")}</button> : null}
    </div>
  );
}
