// What an expression may speak of, to be inserted by a click.
import { useState } from "react";
import { Popover } from "@radix-ui/themes";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";

const rootOf = (group) => group.root ?? `steps.${group.node}.output`;

function Group({ group, wanted, onPick }) {
  const shown = group.fields.filter((field) => `${group.title} ${field.title} ${field.path}`.toLowerCase().includes(wanted));
  if (shown.length === 0) return null;
  return (
    <div>
      <div className="os-choices-title">
        <Icon name={group.icon} size={12} /> {group.title}
      </div>
      {shown.map((field) => (
        <button
          key={field.path}
          type="button"
          className="os-choice-main"
          data-type={field.type}
          onClick={() => onPick(`${rootOf(group)}.${field.path}`)}
        >
          <span className="os-truncate">{field.title}</span>
          <span className="os-mono os-muted os-truncate">{field.path}</span>
        </button>
      ))}
    </div>
  );
}

/** The button and its list. `onPick` gets the path, such as `steps.create.output.id`. */
export function References({ references, onPick }) {
  const text = useText();
  const [open, setOpen] = useState(false);
  const [wanted, setWanted] = useState("");
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger>
        <button type="button" className="os-icon-button" title={text("form.insert")} aria-label={text("form.insert")}>
          <Icon name="plus" size={13} />
        </button>
      </Popover.Trigger>
      <Popover.Content className="os-popover" width="320px" align="end">
        <input
          className="os-input os-choices-search"
          autoFocus
          value={wanted}
          placeholder={text("form.find_value")}
          aria-label={text("form.find_value")}
          onChange={(event) => setWanted(event.target.value)}
        />
        <div className="os-choices">
          {references.map((group) => (
            <Group
              key={rootOf(group)}
              group={group}
              wanted={wanted.trim().toLowerCase()}
              onPick={(path) => {
                setOpen(false);
                onPick(path);
              }}
            />
          ))}
        </div>
      </Popover.Content>
    </Popover.Root>
  );
}
