// The account's menu: who is signed in, language, theme, single-key shortcuts, the way out.
import { useRef } from "react";
import { useNavigate } from "react-router";
import { DropdownMenu } from "@radix-ui/themes";
import { useTheme } from "$/utils/react-theme";
import { Icon } from "./icons.jsx";
import { setLocale, useText } from "./i18n.js";
import { useSingleKeys } from "./keys.js";
import { Mark } from "./switcher.jsx";

const LANGUAGES = [
  ["en", "English"],
  ["fr", "Français"],
];
const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "monitor", light: "sun", dark: "moon" };

function Choices({ value, options, onChange }) {
  return (
    <DropdownMenu.RadioGroup value={value} onValueChange={onChange}>
      {options.map(([code, words]) => (
        <DropdownMenu.RadioItem key={code} value={code}>
          {words}
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  );
}

/** The menu's entries, for the sidebar and for the bottom bar's sheet. `onPreference(name, value)` keeps a choice. */
function Entries({ me, onPreference, leave }) {
  const text = useText();
  const navigate = useNavigate();
  const { theme, setTheme } = useTheme();
  const [keys, setKeys] = useSingleKeys();
  return (
    <>
      <DropdownMenu.Label>{me.email}</DropdownMenu.Label>
      <DropdownMenu.Sub>
        <DropdownMenu.SubTrigger>
          <Icon name="languages" /> {text("account.language")}
        </DropdownMenu.SubTrigger>
        <DropdownMenu.SubContent>
          <Choices
            value={text.locale}
            options={LANGUAGES}
            onChange={(code) => {
              setLocale(code);
              onPreference?.("locale", code);
            }}
          />
        </DropdownMenu.SubContent>
      </DropdownMenu.Sub>
      <DropdownMenu.Sub>
        <DropdownMenu.SubTrigger>
          <Icon name={THEME_ICONS[theme]} /> {text("account.theme")}
        </DropdownMenu.SubTrigger>
        <DropdownMenu.SubContent>
          <Choices
            value={theme}
            options={THEMES.map((code) => [code, text(`account.theme_${code}`)])}
            onChange={(code) => {
              setTheme(code);
              onPreference?.("theme", code);
            }}
          />
        </DropdownMenu.SubContent>
      </DropdownMenu.Sub>
      <DropdownMenu.CheckboxItem checked={keys} onCheckedChange={setKeys}>
        {text("account.keys")}
      </DropdownMenu.CheckboxItem>
      <DropdownMenu.Separator />
      <DropdownMenu.Item onSelect={() => navigate("/health")}>
        <Icon name="health" /> {text("nav.health")}
      </DropdownMenu.Item>
      <DropdownMenu.Item onSelect={() => window.open("/api/v1/docs", "_blank", "noopener")}>
        <Icon name="help" /> {text("account.api")}
      </DropdownMenu.Item>
      <DropdownMenu.Separator />
      <DropdownMenu.Item onSelect={leave}>
        <Icon name="log-out" /> {text("account.sign_out")}
      </DropdownMenu.Item>
    </>
  );
}

/** The account's menu on a trigger given as children. Signing out is a form of its own: a full page load. */
export function AccountMenu({ me, signOut, onPreference, children }) {
  const form = useRef(null);
  return (
    <>
      <form ref={form} method="post" action={signOut} hidden />
      <DropdownMenu.Root>
        <DropdownMenu.Trigger>{children}</DropdownMenu.Trigger>
        <DropdownMenu.Content className="os-menu" side="top" align="start" size="1" variant="soft">
          <Entries me={me} onPreference={onPreference} leave={() => form.current?.requestSubmit()} />
        </DropdownMenu.Content>
      </DropdownMenu.Root>
    </>
  );
}

/** The account as a row of the sidebar. */
export function AccountRow({ me, signOut, onPreference }) {
  const text = useText();
  return (
    <AccountMenu me={me} signOut={signOut} onPreference={onPreference}>
      <button type="button" className="os-nav-item" aria-label={text("account.menu")}>
        <Mark name={me.name || me.email || ""} size={20} colour="var(--gray-9)" />
        <span className="os-truncate">{me.name || me.email}</span>
      </button>
    </AccountMenu>
  );
}
