"""Who may change things. What an access token allows is for django-oauth-toolkit to say."""

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

VIEWER = "viewer"


class ViewersOnlyRead(BasePermission):
    message = "Viewers may read, but not change anything."

    def has_permission(self, request: Request, view: object) -> bool:
        if request.method in SAFE_METHODS:
            return True
        return not request.user.groups.filter(name=VIEWER).exists()
