// Two people changed the same thing: both sides stand next to each other, and nothing is lost until one is chosen.
import { useState } from "react";
import { Dialog } from "@radix-ui/themes";
import { Icon, useText } from "./shared.js";
import { useBuilder, useSelect } from "./store.js";
import { Difference, placeOf, Value } from "./difference.jsx";

export function ConflictDialog({ close }) {
  const text = useText();
  const { store, edits } = useBuilder();
  const conflict = useSelect((s) => s.conflict);
  const doc = useSelect((s) => s.doc);
  const types = useSelect((s) => s.types);
  const [chosen, setChosen] = useState({});
  if (!conflict) return null;
  const { items, by, changes, theirs } = conflict;
  const all = (side) => setChosen(Object.fromEntries(items.map((_, i) => [i, side])));
  const settle = () => {
    edits.resolve(items.map((_, i) => chosen[i] ?? "mine"));
    store.set({ dialog: null });
  };
  const side = (i, which, value) => (
    <label className="ob-side" data-chosen={(chosen[i] ?? "mine") === which}>
      <input type="radio" name={`conflict-${i}`} checked={(chosen[i] ?? "mine") === which} onChange={() => setChosen({ ...chosen, [i]: which })} />
      <span><small>{which === "mine" ? text("builder.mine") : text("builder.theirs", { by: by || text("builder.somebody") })}</small><Value value={value} /></span>
    </label>
  );
  return (
    <>
      <Dialog.Title size="4">{text("builder.conflict", { by: by || text("builder.somebody") })}</Dialog.Title>
      <Dialog.Description size="2" className="os-muted">{text("builder.conflict_help", { count: items.length })}</Dialog.Description>
      <div className="ob-dialog-body">
        <div className="ob-conflict-all">
          <button type="button" className="os-button" data-size="small" onClick={() => all("mine")}>{text("builder.all_mine")}</button>
          <button type="button" className="os-button" data-size="small" onClick={() => all("theirs")}>{text("builder.all_theirs")}</button>
        </div>
        {items.map(({ path, mine, theirs: other }, i) => (
          <fieldset key={path.join("|")} className="ob-conflict">
            <legend>{placeOf(path, { doc, other: theirs, types, text })}</legend>
            {side(i, "mine", mine)}
            {side(i, "theirs", other)}
          </fieldset>
        ))}
        <details className="ob-details"><summary>{text("builder.all_changes", { count: changes.length })}</summary><Difference changes={changes} before={doc} after={theirs} /></details>
      </div>
      <div className="ob-dialog-foot">
        <button type="button" className="os-button" onClick={close}>{text("builder.later")}</button>
        <button type="button" className="os-button" data-kind="primary" onClick={settle}><Icon name="check" size={15} />{text("builder.settle")}</button>
      </div>
    </>
  );
}
