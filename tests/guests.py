"""All guests by name."""

from __future__ import annotations

import guests_apps
import guests_git
import guests_long_lived
import guests_protocols
import guests_web

GUESTS = {
    **guests_web.GUESTS,
    **guests_apps.GUESTS,
    **guests_git.GUESTS,
    **guests_protocols.GUESTS,
    **guests_long_lived.GUESTS,
}
