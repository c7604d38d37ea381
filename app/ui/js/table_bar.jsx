// What stands over a list: search, filter chips, saved views, columns, export; and the bar of a selection.
import { useState } from "react";
import { DropdownMenu } from "@radix-ui/themes";
import { download, toCsv } from "./csv.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { wordsOf } from "./table_cells.jsx";

const optionWords = (option, text) => (option.title ? text(option.title) : option.label);

function Filter({ filter, value, onChange }) {
  const text = useText();
  const chosen = filter.options.find((option) => option.value === value);
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <button type="button" className="os-chip" data-on={Boolean(chosen)}>
          {text(filter.title)}
          {chosen ? <b>{optionWords(chosen, text)}</b> : null}
          <Icon name="chevron-down" size={12} />
        </button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content size="1" variant="soft">
        <DropdownMenu.RadioGroup value={value ?? ""} onValueChange={(next) => onChange(filter.id, next)}>
          <DropdownMenu.RadioItem value="">{text("common.all")}</DropdownMenu.RadioItem>
          {filter.options.map((option) => (
            <DropdownMenu.RadioItem key={option.value} value={option.value}>
              {optionWords(option, text)}
            </DropdownMenu.RadioItem>
          ))}
        </DropdownMenu.RadioGroup>
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

function Columns({ columns, view, changeView }) {
  const text = useText();
  const toggle = (id, on) => changeView({ hidden: { ...view.hidden, [id]: on } });
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <button type="button" className="os-icon-button" aria-label={text("table.columns")} title={text("table.columns")}>
          <Icon name="columns" size={15} />
        </button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content size="1" variant="soft" align="end">
        {columns.map((column, index) => (
          <DropdownMenu.CheckboxItem
            key={column.id}
            checked={view.hidden[column.id] !== false}
            disabled={index === 0}
            onCheckedChange={(on) => toggle(column.id, on)}
            onSelect={(event) => event.preventDefault()}
          >
            {text(column.title)}
          </DropdownMenu.CheckboxItem>
        ))}
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

// A saved view is a name with filters and an order.
function Views({ view, changeView, active, filters, remote, choose }) {
  const text = useText();
  const [name, setName] = useState("");
  const apply = (saved) => {
    changeView({ sorting: saved.sorting, hidden: saved.hidden });
    const names = [...filters.map((filter) => filter.id), ...(remote ? [remote] : [])];
    choose(Object.fromEntries(names.map((name) => [name, saved.active[name] ?? ""])));
  };
  const save = (event) => {
    event.preventDefault();
    if (!name.trim()) return;
    const made = { name: name.trim(), sorting: view.sorting, hidden: view.hidden, active };
    changeView({ saved: [...view.saved.filter((one) => one.name !== made.name), made] });
    setName("");
  };
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <button type="button" className="os-icon-button" aria-label={text("table.views")} title={text("table.views")}>
          <Icon name="save" size={15} />
        </button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content size="1" variant="soft" align="end">
        {view.saved.length === 0 ? <DropdownMenu.Label>{text("table.no_views")}</DropdownMenu.Label> : null}
        {view.saved.map((saved) => (
          <DropdownMenu.Item key={saved.name} onSelect={() => apply(saved)}>
            {saved.name}
            <button
              type="button"
              className="os-icon-button"
              aria-label={text("table.drop_view", { name: saved.name })}
              onClick={(event) => {
                event.stopPropagation();
                changeView({ saved: view.saved.filter((one) => one.name !== saved.name) });
              }}
            >
              <Icon name="x" size={12} />
            </button>
          </DropdownMenu.Item>
        ))}
        <DropdownMenu.Separator />
        <form className="os-view-form" onSubmit={save} onKeyDown={(event) => event.stopPropagation()}>
          <input
            className="os-input"
            value={name}
            placeholder={text("table.view_name")}
            aria-label={text("table.view_name")}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" className="os-button" data-size="small">
            {text("common.save")}
          </button>
        </form>
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

/** Where one types what to look for. */
export function SearchBox({ box, wide, title, words, setWords }) {
  const text = useText();
  return (
    <label className="os-table-search" data-remote={wide}>
      <Icon name="search" size={14} />
      <input
        ref={box}
        value={words}
        placeholder={text(title)}
        aria-label={text(title)}
        maxLength={500}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && setWords("")}
      />
    </label>
  );
}

/** The line over a list. */
export function TableBar({
  columns, filters, active, choose, remote, words, setWords, search, view, changeView, searchable, csv,
}) {
  const text = useText();
  const exportCsv = () => {
    const shown = columns.filter((column) => view.hidden[column.id] !== false);
    const head = shown.map((column) => text(column.title));
    const lines = csv.rows.map((row) => shown.map((column) => wordsOf(column, row, text)));
    download(`${csv.name}.csv`, toCsv([head, ...lines]), "text/csv");
  };
  return (
    <div className="os-table-bar">
      {searchable ? (
        <SearchBox box={search} wide={Boolean(remote)} title={remote ? `table.search_${remote}` : "table.search"} {...{ words, setWords }} />
      ) : null}
      {filters.map((filter) => (
        <Filter key={filter.id} filter={filter} value={active[filter.id]} onChange={(id, value) => choose({ [id]: value })} />
      ))}
      {Object.values(active).some(Boolean) ? (
        <button
          type="button"
          className="os-button"
          data-kind="quiet"
          data-size="small"
          onClick={() => choose(Object.fromEntries(Object.keys(active).map((name) => [name, ""])))}
        >
          {text("table.clear")}
        </button>
      ) : null}
      <span className="os-table-tools">
        <Views {...{ view, changeView, active, filters, remote, choose }} />
        <Columns {...{ columns, view, changeView }} />
        {csv ? (
          <button
            type="button"
            className="os-icon-button"
            aria-label={text("table.csv")}
            title={text("table.csv")}
            onClick={exportCsv}
          >
            <Icon name="download" size={15} />
          </button>
        ) : null}
      </span>
    </div>
  );
}

/** What can be done with the selected rows. */
export function ActionBar({ count, actions, onAction, onClear }) {
  const text = useText();
  return (
    <div className="os-action-bar" role="toolbar" aria-label={text("table.selection")}>
      <span className="os-figures">{text("table.selected", { count })}</span>
      {actions.map((action) => (
        <button
          key={action.id}
          type="button"
          className="os-button"
          data-size="small"
          data-kind={action.danger ? "danger" : ""}
          onClick={() => onAction(action.id)}
        >
          {action.icon ? <Icon name={action.icon} size={13} /> : null}
          {text(action.title, { count })}
        </button>
      ))}
      <button type="button" className="os-icon-button" aria-label={text("table.unselect")} onClick={onClear}>
        <Icon name="x" size={14} />
      </button>
    </div>
  );
}
