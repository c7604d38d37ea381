"""Who someone is: sign-in, sessions, bearer tokens, second factor.

The verbs here are those of accounts about themselves; what an owner does to others is in app.services.accounts.
"""

from app.services.auth.factors import WrongCode, present_code, seconds_left
from app.services.auth.names import email_key
from app.services.auth.preferences import set_preferences
from app.services.auth.sessions import (
    SESSION_COOKIE,
    SessionView,
    SignedIn,
    end_session,
    list_sessions,
    renew_session,
    resolve_session,
    sign_out,
)
from app.services.auth.signin import require_step_up, sign_in, step_up
from app.services.auth.tokens import (
    IssuedToken,
    TokenView,
    create_token,
    issue_local_token,
    issue_token,
    list_tokens,
    local_actor,
    resolve_token,
    resolve_token_in,
    revoke_token,
)

__all__ = [
    "SESSION_COOKIE",
    "IssuedToken",
    "SessionView",
    "SignedIn",
    "TokenView",
    "WrongCode",
    "create_token",
    "email_key",
    "end_session",
    "issue_local_token",
    "issue_token",
    "list_sessions",
    "list_tokens",
    "local_actor",
    "present_code",
    "renew_session",
    "require_step_up",
    "resolve_session",
    "resolve_token",
    "resolve_token_in",
    "revoke_token",
    "seconds_left",
    "set_preferences",
    "sign_in",
    "sign_out",
    "step_up",
]
