// The one list: dense rows with sorting, filters, columns to choose, selection, keyboard, export and paging.
import { useEffect, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import {
  flexRender, getCoreRowModel, getFilteredRowModel, getSortedRowModel, useReactTable,
} from "@tanstack/react-table";
import { Empty } from "./feedback.jsx";
import { useFilters, useWords } from "./filters.js";
import { useText } from "./i18n.js";
import { Icon } from "./icons.jsx";
import { isTyping, singleKeysOn } from "./keys.js";
import { ActionBar, TableBar } from "./table_bar.jsx";
import { cellOf, wordsOf } from "./table_cells.jsx";
import { useView } from "./table_view.js";

const SELECT = "select";

function definitions(columns, text, selectable) {
  const shown = columns.map((column) => ({
    id: column.id,
    accessorFn: (row) => sortValue(column, row, text),
    header: text(column.title),
    enableSorting: column.sort !== false,
    sortingFn: "alphanumeric",
    sortUndefined: "last",
    meta: column,
    cell: ({ row }) => cellOf(column, row.original, text),
  }));
  return selectable ? [{ id: SELECT, enableSorting: false, enableHiding: false, meta: { id: SELECT } }, ...shown] : shown;
}

function sortValue(column, row, text) {
  if (column.kind === "time") return row[column.id] ?? undefined;
  if (column.kind === "number") return row[column.id] ?? undefined;
  return wordsOf(column, row, text);
}

const anyWords = (row, _, wanted) =>
  row
    .getAllCells()
    .filter((cell) => cell.column.id !== SELECT)
    .some((cell) => String(cell.getValue() ?? "").toLowerCase().includes(wanted.toLowerCase()));

function HeadCell({ header, table, text }) {
  const { column } = header;
  if (column.id === SELECT) {
    return (
      <th className="os-cell-select">
        <input
          type="checkbox"
          aria-label={text("table.select_all")}
          checked={table.getIsAllRowsSelected()}
          ref={(box) => box && (box.indeterminate = table.getIsSomeRowsSelected())}
          onChange={table.getToggleAllRowsSelectedHandler()}
        />
      </th>
    );
  }
  const sorted = column.getIsSorted();
  const meta = column.columnDef.meta;
  return (
    <th
      data-narrow={meta.narrow}
      data-align={meta.align}
      style={{ width: meta.width }}
      aria-sort={sorted ? (sorted === "asc" ? "ascending" : "descending") : undefined}
    >
      {column.getCanSort() ? (
        <button type="button" onClick={column.getToggleSortingHandler()}>
          <span>{column.columnDef.header}</span>
          {sorted ? <Icon name={sorted === "asc" ? "chevron-up" : "chevron-down"} size={12} /> : null}
        </button>
      ) : (
        column.columnDef.header
      )}
    </th>
  );
}

function BodyRow({ row, cursor, onOpen, text }) {
  const open = (event) => {
    if (event.target.closest("a, button, input, label") || window.getSelection()?.toString()) return;
    onOpen(row.original);
  };
  return (
    <tr
      id={`row-${row.id}`}
      data-cursor={cursor}
      data-selected={row.getIsSelected()}
      data-opens={Boolean(row.original.href)}
      aria-selected={row.getIsSelected()}
      onClick={open}
    >
      {row.getVisibleCells().map((cell) => {
        const meta = cell.column.columnDef.meta;
        if (cell.column.id === SELECT) {
          return (
            <td key={cell.id} className="os-cell-select">
              <input
                type="checkbox"
                aria-label={text("table.select_row")}
                checked={row.getIsSelected()}
                disabled={!row.getCanSelect()}
                onChange={row.getToggleSelectedHandler()}
              />
            </td>
          );
        }
        return (
          <td key={cell.id} data-narrow={meta.narrow} data-align={meta.align} data-kind={meta.kind}>
            {flexRender(cell.column.columnDef.cell, cell.getContext())}
          </td>
        );
      })}
    </tr>
  );
}

function SkeletonRows({ columns, count = 8 }) {
  return Array.from({ length: count }, (_, row) => (
    <tr key={row} aria-hidden="true">
      {Array.from({ length: columns }, (_, cell) => (
        <td key={cell}>
          <div className="os-skeleton" style={{ width: `${80 - ((row * 17 + cell * 29) % 50)}%` }} />
        </td>
      ))}
    </tr>
  ));
}

// j, k, Enter, x, / and Escape, only while the list has the focus; the single letters can be switched off.
function useKeys({ rows, cursor, setCursor, onOpen, search, clear }) {
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const letters = singleKeysOn();
    const step = { ArrowDown: 1, ArrowUp: -1, ...(letters ? { j: 1, k: -1 } : {}) }[event.key];
    if (step) setCursor(Math.max(0, Math.min(rows.length - 1, cursor + step)));
    else if (event.key === "Enter" && rows[cursor] && event.target === event.currentTarget) onOpen(rows[cursor].original);
    else if (event.key === "x" && letters && rows[cursor]) rows[cursor].toggleSelected();
    else if (event.key === "/" && letters) search.current?.focus();
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  };
}

/** The list. See app/ui/table.py for what each property is. */
export function DataTable({
  name, columns, rows = [], loaded = true, filters = [], active = {}, onFilter, hasMore = false, onMore, actions = [],
  onAction, onOpen, csv, empty = {}, emptyAction, searchable = true, remote = "",
}) {
  const text = useText();
  const navigate = useNavigate();
  const [cursor, setCursor] = useState(-1);
  const [picked, setPicked] = useState({});
  const [view, changeView] = useView(name, columns);
  const [wanted, choose] = useFilters(active, onFilter);
  const [words, setWords] = useWords(remote, wanted, choose);
  const search = useRef(null);
  const box = useRef(null);
  const defined = useMemo(() => definitions(columns, text, actions.length > 0), [columns, text, actions.length]);
  const table = useReactTable({
    data: rows,
    columns: defined,
    state: { sorting: view.sorting, columnVisibility: view.hidden, globalFilter: remote ? "" : words, rowSelection: picked },
    getRowId: (row) => String(row.id),
    globalFilterFn: anyWords,
    getColumnCanGlobalFilter: () => true,
    enableRowSelection: (row) => row.original.selectable !== false,
    onSortingChange: (next) => changeView({ sorting: typeof next === "function" ? next(view.sorting) : next }),
    onRowSelectionChange: setPicked,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    getFilteredRowModel: getFilteredRowModel(),
  });
  const shown = table.getRowModel().rows;
  const open = (row) => (onOpen ? onOpen(String(row.id)) : row.href && navigate(row.href));
  const onKeyDown = useKeys({ rows: shown, cursor, setCursor, onOpen: open, search, clear: () => setPicked({}) });
  useEffect(() => {
    box.current?.querySelector('tr[data-cursor="true"]')?.scrollIntoView({ block: "nearest" });
  }, [cursor]);
  const chosen = table.getSelectedRowModel().rows.map((row) => row.original);
  const filtered = Boolean(words) || Object.values(wanted).some(Boolean);
  const nothing = loaded && shown.length === 0;
  return (
    <div className="os-table-box">
      <TableBar
        {...{ columns, filters, active: wanted, choose, remote, words, setWords, search, view, changeView, searchable }}
        csv={csv ? { name: csv, rows: shown.map((row) => row.original) } : null}
      />
      {chosen.length > 0 ? (
        <ActionBar
          count={chosen.length}
          actions={actions}
          onClear={() => setPicked({})}
          onAction={(action) => {
            onAction?.(action, chosen.map((row) => String(row.id)));
            setPicked({});
          }}
        />
      ) : null}
      {nothing ? (
        filtered ? (
          <Empty icon="search" title={text("table.no_match")} help={text("table.no_match_help")} />
        ) : (
          <Empty {...empty} action={emptyAction} />
        )
      ) : (
        <div
          ref={box}
          className="os-table-scroll"
          tabIndex={0}
          role="region"
          aria-label={text("table.list")}
          onKeyDown={onKeyDown}
          onFocus={() => cursor < 0 && setCursor(0)}
        >
          <table className="os-table" aria-busy={!loaded}>
            <thead>
              {table.getHeaderGroups().map((group) => (
                <tr key={group.id}>
                  {group.headers.map((header) => (
                    <HeadCell key={header.id} header={header} table={table} text={text} />
                  ))}
                </tr>
              ))}
            </thead>
            <tbody>
              {loaded ? (
                shown.map((row, index) => (
                  <BodyRow key={row.id} row={row} cursor={index === cursor} onOpen={open} text={text} />
                ))
              ) : (
                <SkeletonRows columns={table.getVisibleLeafColumns().length} />
              )}
            </tbody>
          </table>
          {hasMore ? (
            <div className="os-table-more">
              <button type="button" className="os-button" data-kind="quiet" onClick={() => onMore?.()}>
                {text("common.more")}
              </button>
            </div>
          ) : null}
        </div>
      )}
    </div>
  );
}
