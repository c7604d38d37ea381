// The icons in use, by name, so that a step type or a page can name one and only these are shipped.
import {
  Activity, ArrowRight, BadgeCheck, Bell, Box, Braces, Building2, Calendar, Check, ChevronDown, ChevronLeft,
  ChevronRight, ChevronsUpDown, ChevronUp, Circle, CircleAlert, CircleCheck, CircleDashed, CirclePlay,
  CircleQuestionMark, CircleSlash, CircleX, Clock, Cloud, Code, Columns3, Copy, CornerDownLeft, Cpu, Database, Download,
  Ellipsis, ExternalLink, Eye, EyeOff, FileText, FileUp, Filter, Fingerprint, GitBranch, Hand, HardDrive, HeartPulse,
  History, Hourglass, House, IdCard, Info, Key, Keyboard, KeyRound, Languages, Layers, Link as LinkIcon, ListChecks,
  LoaderCircle, Lock, LockOpen, LogOut, Mail, Menu, MessagesSquare, Minus, Monitor, Moon, PanelLeftClose, PanelLeftOpen,
  Pause, Pencil, Play, Plug, Plus, Power, RefreshCw, Repeat, RotateCcw, Save, ScrollText, Search, Send, Server, Settings,
  Shield, ShieldCheck, Shuffle, SlidersHorizontal, Split, Square, Stamp, Star, Sun, Table2, Ticket, Timer, Trash2,
  TriangleAlert, Undo2, Upload, User, UserCheck, UserCog, UserMinus, UserPlus, Users, UsersRound, UserX, Webhook, WifiOff,
  Workflow, Wrench, X, Zap, WandSparkles, CircleDot, OctagonX, UserPen, UserSearch, BadgePlus, BadgeMinus,
  UserRoundPlus, UserRoundMinus, ServerCog, Disc, Network, Globe,
} from "lucide-react";

const ICONS = {
  activity: Activity, "arrow-right": ArrowRight, "badge-check": BadgeCheck, bell: Bell, box: Box, braces: Braces,
  building: Building2, "building-2": Building2, calendar: Calendar, check: Check, "chevron-down": ChevronDown,
  "chevron-left": ChevronLeft, "chevron-right": ChevronRight, "chevrons-up-down": ChevronsUpDown, "chevron-up": ChevronUp,
  circle: Circle, "circle-alert": CircleAlert, "circle-check": CircleCheck, "circle-dashed": CircleDashed,
  "circle-play": CirclePlay, help: CircleQuestionMark, "circle-slash": CircleSlash, "circle-x": CircleX, clock: Clock,
  cloud: Cloud, code: Code, columns: Columns3, copy: Copy, enter: CornerDownLeft, cpu: Cpu, database: Database,
  download: Download, ellipsis: Ellipsis, "external-link": ExternalLink, eye: Eye, "eye-off": EyeOff,
  "file-text": FileText, "file-up": FileUp, filter: Filter, fingerprint: Fingerprint, "git-branch": GitBranch, hand: Hand,
  "hard-drive": HardDrive, health: HeartPulse, history: History, hourglass: Hourglass, house: House, "id-card": IdCard,
  info: Info, key: Key, keyboard: Keyboard, "key-round": KeyRound, languages: Languages, layers: Layers, link: LinkIcon,
  "list-checks": ListChecks, loader: LoaderCircle, lock: Lock, "lock-open": LockOpen, "log-out": LogOut, mail: Mail,
  menu: Menu, "messages-square": MessagesSquare, minus: Minus, monitor: Monitor, moon: Moon,
  "panel-left-close": PanelLeftClose, "panel-left-open": PanelLeftOpen, pause: Pause, pencil: Pencil, play: Play,
  plug: Plug, plus: Plus, power: Power, "refresh-cw": RefreshCw, repeat: Repeat, "rotate-ccw": RotateCcw, save: Save,
  "scroll-text": ScrollText, search: Search, send: Send, server: Server, settings: Settings, shield: Shield,
  "shield-check": ShieldCheck, shuffle: Shuffle, sliders: SlidersHorizontal, split: Split, square: Square, stamp: Stamp,
  star: Star, sun: Sun, table: Table2, ticket: Ticket, timer: Timer, "trash-2": Trash2, trash: Trash2,
  "triangle-alert": TriangleAlert, "undo-2": Undo2, undo: Undo2, upload: Upload, user: User, "user-check": UserCheck,
  "user-cog": UserCog, "user-minus": UserMinus, "user-plus": UserPlus, users: Users, "users-round": UsersRound,
  "user-x": UserX, webhook: Webhook, "wifi-off": WifiOff, workflow: Workflow, wrench: Wrench, x: X, zap: Zap,
  "wand-sparkles": WandSparkles, "circle-dot": CircleDot, "octagon-x": OctagonX, "user-pen": UserPen,
  "user-search": UserSearch, "badge-plus": BadgePlus, "badge-minus": BadgeMinus, "user-round-plus": UserRoundPlus,
  "user-round-minus": UserRoundMinus, "server-cog": ServerCog, disc: Disc, network: Network, globe: Globe,
};

/** The names of the icons there are. */
export const iconNames = Object.keys(ICONS);

/** An icon by name; a name without one shows a box. It is decoration: words stand beside it. */
export function Icon({ name, size = 16, ...rest }) {
  const Shape = ICONS[name] ?? Box;
  return <Shape size={size} strokeWidth={1.75} aria-hidden="true" {...rest} />;
}
