"""What the OpenID provider tells about a person: django-oauth-toolkit alone tells only an id."""

from collections.abc import Callable
from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request


def roles_of(request: Request) -> list[str]:
    return sorted(request.user.groups.values_list("name", flat=True))


class Claims(OAuth2Validator):
    oidc_claim_scope = {**OAuth2Validator.oidc_claim_scope, "roles": "profile"}

    def get_additional_claims(self) -> dict[str, Callable[[Request], Any]]:
        return {
            "name": lambda request: request.user.get_full_name(),
            "email": lambda request: request.user.email,
            "roles": roles_of,
        }
