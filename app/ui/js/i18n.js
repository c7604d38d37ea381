// Text, numbers and times in the reader's language. The catalogue is made from app/ui/texts by app/ui/i18n.py.
import { useMemo, useSyncExternalStore } from "react";
import texts from "$/public/external/opsloom/texts.js";

const STORAGE_KEY = "opsloom.locale";
const listeners = new Set();
let chosen = null;

function fromBrowser() {
  try {
    const stored = window.localStorage.getItem(STORAGE_KEY);
    if (stored in texts) return stored;
  } catch {
    // Storage may be blocked; the browser's own languages then decide.
  }
  const spoken = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2));
  return spoken.find((tag) => tag in texts) ?? "en";
}

/** The language in use: "en" or "fr". */
export function getLocale() {
  if (typeof window === "undefined") return "en";
  chosen ??= fromBrowser();
  return chosen;
}

/** Change the language at once, and remember it in this browser unless `remember` is false. */
export function setLocale(locale, { remember = true } = {}) {
  if (!(locale in texts)) return;
  chosen = locale;
  document.documentElement.lang = locale;
  try {
    if (remember) window.localStorage.setItem(STORAGE_KEY, locale);
  } catch {
    // A browser without storage forgets the choice; the page still changes.
  }
  listeners.forEach((listener) => listener());
}

/** Whether the reader chose a language in this browser. */
export function hasChosenLocale() {
  try {
    return window.localStorage.getItem(STORAGE_KEY) in texts;
  } catch {
    return false;
  }
}

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The language in use, as a hook. The page that was rendered ahead is English. */
export function useLocale() {
  return useSyncExternalStore(subscribe, getLocale, () => "en");
}

const cache = new Map();

function intl(kind, locale, options) {
  const key = `${kind}|${locale}|${JSON.stringify(options ?? {})}`;
  if (!cache.has(key)) cache.set(key, new Intl[kind](locale, options));
  return cache.get(key);
}

function chosenForm(message, locale, params) {
  if (typeof message === "string") return message;
  const category = intl("PluralRules", locale).select(Number(params?.count ?? 0));
  return message[category] ?? message.other;
}

function shown(value, locale) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return intl("NumberFormat", locale).format(value);
  if (Array.isArray(value)) return intl("ListFormat", locale, { type: "conjunction" }).format(value.map(String));
  if (value.anyOf) return intl("ListFormat", locale, { type: "disjunction" }).format(value.anyOf.map(String));
  return typeof value === "object" ? value[locale] ?? JSON.stringify(value) : String(value);
}

function fill(message, locale, params) {
  return message.replace(/\{(\w+)\}/g, (whole, name) => (params && name in params ? shown(params[name], locale) : whole));
}

/** Whether the catalogue has `key`. */
export const hasText = (key) => key in texts.en;

/** The text `key` in `locale`; an unknown key is shown as it is, so that it is seen and mended. */
export function translate(locale, key, params) {
  const message = texts[locale]?.[key];
  return message === undefined ? String(key) : fill(chosenForm(message, locale, params), locale, params);
}

// In the order of size, with the seconds each lasts.
const UNITS = [
  ["year", 31557600],
  ["month", 2629800],
  ["week", 604800],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago" for a time in milliseconds. */
export function relative(locale, moment, now = Date.now()) {
  const seconds = (moment - now) / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  if (unit === "second" && Math.abs(seconds) < 45) return translate(locale, "time.now");
  return intl("RelativeTimeFormat", locale, { numeric: "auto", style: "short" }).format(
    Math.round(seconds / size),
    unit,
  );
}

/** "1 min 20 s" for a length in seconds; milliseconds below one second. */
export function duration(locale, seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  const unit = (value, name, digits = 0) =>
    intl("NumberFormat", locale, {
      style: "unit",
      unit: name,
      unitDisplay: "short",
      maximumFractionDigits: digits,
    }).format(value);
  if (seconds < 1) return unit(Math.round(seconds * 1000), "millisecond");
  if (seconds < 60) return unit(seconds, "second", seconds < 10 ? 1 : 0);
  if (seconds < 3600) return `${unit(Math.floor(seconds / 60), "minute")} ${unit(Math.floor(seconds % 60), "second")}`;
  return `${unit(Math.floor(seconds / 3600), "hour")} ${unit(Math.floor((seconds % 3600) / 60), "minute")}`;
}

// A family of codes (document_missing, document_extra_forbidden, …) has one text, called document_other.
function errorKey(code) {
  const parts = code.split("_");
  const families = parts.map((_, count) => `error.${parts.slice(0, parts.length - count).join("_")}_other`);
  return [`error.${code}`, ...families].find(hasText);
}

// A text may name what not every problem of its code knows; nobody shall read a placeholder.
const withoutGaps = (words) => words.replace(/\s*(\(\{\w+\}\)|« \{\w+\} »|“\{\w+\}”|\{\w+\})/g, "");

function said(locale, problem) {
  if (!problem) return "";
  if (typeof problem === "string") return hasText(problem) ? translate(locale, problem) : problem;
  const key = errorKey(String(problem.code));
  // The server's own sentence is English and names the thing at fault; other languages have one text for each code.
  const words = problem.message ?? problem.title;
  if (locale === "en" && words) return words;
  if (key) return withoutGaps(translate(locale, key, { ...problem.details, ...problem.params }));
  return words ?? translate(locale, "error.bad_request");
}

function textIn(locale) {
  const text = (key, params) => translate(locale, key, params);
  text.locale = locale;
  text.pick = (words) => (typeof words === "string" ? words : words?.[locale] ?? words?.en ?? "");
  text.say = (problem) => said(locale, problem);
  // Why a run or a row waits or failed.
  text.reason = (reason) => {
    const key = `reason.${reason?.code}`;
    return hasText(key) ? withoutGaps(translate(locale, key, reason)) : said(locale, reason);
  };
  // The platform's own words, where they are not what is shown anyhow: they are English, and name the thing at fault.
  text.original = (problem) => (locale !== "en" && !hasText(`reason.${problem?.code}`) && problem?.message) || "";
  text.number = (value, options) => intl("NumberFormat", locale, options).format(value);
  text.when = (moment) =>
    moment
      ? intl("DateTimeFormat", locale, { dateStyle: "medium", timeStyle: "medium" }).format(new Date(moment))
      : "";
  text.day = (moment) => (moment ? intl("DateTimeFormat", locale, { dateStyle: "medium" }).format(new Date(moment)) : "");
  text.ago = (moment, now) => relative(locale, new Date(moment).getTime(), now);
  text.lasts = (seconds) => duration(locale, seconds);
  text.has = hasText;
  return text;
}

/** The functions that give text in the reader's language; a component that uses them follows a change of language. */
export function useText() {
  const locale = useLocale();
  return useMemo(() => textIn(locale), [locale]);
}
