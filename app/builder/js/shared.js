// What the builder takes from the rest of the interface, in one place.
export { useText } from "$/public/external/app/ui/js/i18n.js";
export { Icon } from "$/public/external/app/ui/js/icons.jsx";
export { StateBadge, Tag } from "$/public/external/app/ui/js/badges.jsx";
export { notify, Skeleton } from "$/public/external/app/ui/js/feedback.jsx";
export { isTyping, singleKeysOn } from "$/public/external/app/ui/js/keys.js";
