"""What starts runs by itself: schedules, webhooks, events, and watches for drift."""

from app.services.triggers.configs import AnyConfig, EventConfig, ScheduleConfig, WebhookConfig
from app.services.triggers.hooks import LARGEST_PAYLOAD, Delivery, Received, receive
from app.services.triggers.look import Preview, fire_now, firings, get, list_triggers, preview
from app.services.triggers.manage import Change, create, remove, renew_secret, switch, update
from app.services.triggers.views import DriftView, FiringView, MadeTrigger, TriggerView

__all__ = [
    "LARGEST_PAYLOAD",
    "AnyConfig",
    "Change",
    "Delivery",
    "DriftView",
    "EventConfig",
    "FiringView",
    "MadeTrigger",
    "Preview",
    "Received",
    "ScheduleConfig",
    "TriggerView",
    "WebhookConfig",
    "create",
    "fire_now",
    "firings",
    "get",
    "list_triggers",
    "preview",
    "receive",
    "remove",
    "renew_secret",
    "switch",
    "update",
]
