"""Who is let have reports: by policies, by the right `audit`, and nobody else; a root that is away."""

import pytest

from adyton.errors import AdytonError
from natives import call, shared_user
