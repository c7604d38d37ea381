// Comma-separated values: written so that a spreadsheet opens them safely, read as people's files come.

const BOM = "\ufeff";
const FORMULA = /^[=+\-@\t\r]/;

function quoted(value) {
  // A cell that begins like a formula would be run by a spreadsheet.
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\n\r;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows of strings as CSV text, with a byte order mark so that accents survive. */
export const toCsv = (rows) => BOM + rows.map((row) => row.map((cell) => quoted(String(cell ?? ""))).join(",")).join("\r\n");

/** Give the reader a file made in the browser. */
export function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
